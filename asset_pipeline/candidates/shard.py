"""Parts of a run that are made one by one or side by side, each by a process with a device of its own."""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.progress import Progress
from asset_pipeline.candidates.records import Workshop, order_for
from asset_pipeline.candidates.rounds import make_rounds
from asset_pipeline.store.worker import working

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"


class Shard(BaseModel):
    """A part of what a campaign wants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    campaign: str
    index: int
    of: int
    afresh: bool


def cut(campaigns: Iterable[str], of: int, *, afresh: bool) -> list[Shard]:
    """Each campaign in `of` shards."""
    parts = itertools.product(campaigns, range(of))
    return [Shard(campaign=campaign, index=index, of=of, afresh=afresh) for campaign, index in parts]


def make_shard(workshop: Workshop, shard: Shard, run_id: str, report: Callable[[str], None]) -> Progress:
    """Make the missing images of a shard, on its device; raises what ``order_for`` and ``produce`` raise."""
    if shard.of > 1:
        take_device(shard.index)
    order = order_for(workshop, shard.campaign, afresh=shard.afresh).shard(shard.index, shard.of)
    with working(workshop.store, run_id) as worker:
        if order.rounds is not None and workshop.judge is not None:
            return make_rounds(workshop, order, order.rounds, workshop.judge, worker, report)
        return produce(order, workshop.store, worker, report)


def take_device(index: int) -> None:
    """Leave this process one of its CUDA devices; only what has not used CUDA yet is bound by it.

    A process that makes several shards, as the in-process executor's does, keeps the first one's device, and
    with it its model.
    """
    device = device_of(index, os.environ, installed=len(list(Path("/dev").glob("nvidia[0-9]*"))))
    if device is not None:
        os.environ[VISIBLE_DEVICES] = device


def device_of(index: int, environ: Mapping[str, str], *, installed: int) -> str | None:
    """The CUDA device of a shard: they are dealt out in turn.

    Args:
        index: the shard's number, from 0.
        environ: where ``CUDA_VISIBLE_DEVICES`` may name the devices that there are.
        installed: how many there are if it does not.

    Returns:
        What ``CUDA_VISIBLE_DEVICES`` has to be; none where there is nothing to choose.
    """
    named = environ.get(VISIBLE_DEVICES)
    devices = [str(number) for number in range(installed)] if named is None else named.split(",")
    return devices[index % len(devices)] if len(devices) > 1 else None
