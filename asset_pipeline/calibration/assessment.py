"""Looks at every asset type: what people decided, what follows from it, and whether it still holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from asset_pipeline.calibration.agreement import Ratings
from asset_pipeline.calibration.decided import (
    Decided,
    ScoredPicture,
    by_asset_type,
    decided_pictures,
    left_out,
    why_not,
)
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.calibration.learn_then_test import Learned
from asset_pipeline.calibration.records import load_acceptance, load_guarantees, load_pictures
from asset_pipeline.calibration.renewal import Sample, counted_since, learn_from, renewed
from asset_pipeline.calibration.settings import Settings, load_settings, settings_of
from asset_pipeline.calibration.watch import Case, Watch, watch_over
from asset_pipeline.catalog.records import load_products
from asset_pipeline.decisions.records import load_decisions
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.scores.expectation import expectations
from asset_pipeline.scores.judging import Measuring
from asset_pipeline.scores.score import Scorer
from asset_pipeline.store.store import Store


@dataclass(frozen=True)
class Assessment:
    """All there is to say of one asset type."""

    asset_type: str
    settings: Settings
    guarantee: Guarantee
    pictures: tuple[ScoredPicture, ...]
    decided: tuple[Decided, ...]
    usable: tuple[Decided, ...]
    left_out: Mapping[str, int]
    learned: Learned
    """What the decisions that count now come to, whether or not anything was made of it."""
    watch: Watch

    @property
    def rated_by_people(self) -> list[Ratings]:
        """What reviewers said of each picture."""
        return [each.ratings for each in self.decided]

    @property
    def scores_and_people(self) -> list[Ratings]:
        """What scores would do with each decided picture, and what people did."""
        return [
            {"scores": "approve" if self.lets_pass(each.picture) else "reject",
             "people": "reject" if each.is_rejected else "approve"}
            for each in self.decided
        ]  # fmt: skip

    @property
    def disputed(self) -> int:
        """Pictures about which reviewers said different things."""
        return sum(each.is_disputed for each in self.decided)

    @property
    def gate_rejections(self) -> list[Decided]:
        """Decisions on pictures that a gate rejects."""
        return [each for each in self.decided if not each.picture.judged.passes]

    def lets_pass(self, picture: ScoredPicture) -> bool:
        """Whether scores alone would approve it: every gate, and the calibrated quality if there is one."""
        least, quality = self.guarantee.least_quality, picture.judged.quality
        return picture.judged.passes and (least is None or (quality is not None and quality >= least))


def assess(store: Store, data: Path, scorers: Sequence[Scorer], now: datetime) -> list[Assessment]:
    """Assess every asset type that has a scored picture or a guarantee, in the order of their names.

    Records nothing; measures the golden pictures again.

    Raises:
        NotFound: there are no thresholds.
        InvalidFile: a file is wrong.
    """
    pictures = load_pictures(store, data, scorers)
    previous, settings = load_guarantees(store), load_settings(data)
    decisions = {
        name: load_decisions(store, name) for name in sorted({each.campaign_id for each in pictures})
    }
    decided = by_asset_type(decided_pictures(pictures, decisions))
    measuring = Measuring(store, scorers, expectations(load_products(store), load_asset_types(data)))
    return [
        _assess(
            Case(
                name,
                settings_of(name, settings),
                tuple(each for each in pictures if each.asset_type == name),
                tuple(decided.get(name, ())),
                previous.get(name),
                load_acceptance(store, name),
            ),
            measuring,
            now,
        )
        for name in sorted({*previous, *(each.asset_type for each in pictures)})
    ]


def _assess(case: Case, measuring: Measuring, now: datetime) -> Assessment:
    since = counted_since(case.previous, case.acceptance)
    usable = tuple(each for each in case.decided if why_not(each, since) is None)
    sample = Sample(case.asset_type, usable, case.settings, since)
    watch = watch_over(case, measuring)
    return Assessment(
        asset_type=case.asset_type,
        settings=case.settings,
        guarantee=renewed(case.previous, sample, watch.alarms, case.acceptance, now),
        pictures=case.pictures,
        decided=case.decided,
        usable=usable,
        left_out=left_out(case.decided, since),
        learned=learn_from(sample),
        watch=watch,
    )
