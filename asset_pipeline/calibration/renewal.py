"""What becomes of an asset type's guarantee: it stands, is made anew, or is frozen. Pure.

- Calibrating is attempted when there are enough decisions, and again when there are twice as many as at the
  last attempt: with every attempt the promise may fail anew, so there is none for each new decision.
- A guarantee stands until then. One whose thresholds, rules, scorers or promise are others now is made anew.
- An alarm freezes it, and frozen it stays until a person has looked and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asset_pipeline.calibration.acceptance import Acceptance
from asset_pipeline.calibration.decided import Decided
from asset_pipeline.calibration.drift import kept
from asset_pipeline.calibration.guarantee import Guarantee, promise
from asset_pipeline.calibration.learn_then_test import Learned, fewest_accepted, learn
from asset_pipeline.calibration.settings import Settings
from asset_pipeline.store.events import Event

QUALITY = "quality"
"""What the reference calls the mean margin, beside the dimensions."""
TWICE = 2


@dataclass(frozen=True)
class Sample:
    """What there is to calibrate an asset type with."""

    asset_type: str
    usable: Sequence[Decided]
    settings: Settings
    since: datetime | None = None


def is_frozen_still(previous: Guarantee | None, acceptance: Event[Acceptance] | None) -> bool:
    """Whether it is frozen and nobody has accepted that since."""
    if previous is None or previous.state != "frozen":
        return False
    return acceptance is None or (
        previous.frozen_at is not None and acceptance.recorded_at <= previous.frozen_at
    )


def counted_since(previous: Guarantee | None, acceptance: Event[Acceptance] | None) -> datetime | None:
    """The moment from which decisions count, as the last acceptance says it."""
    if acceptance is not None and not is_frozen_still(previous, acceptance):
        return acceptance.body.decisions_since
    return previous.decisions_since if previous else None


def renewed(
    previous: Guarantee | None,
    sample: Sample,
    alarms: Sequence[str],
    acceptance: Event[Acceptance] | None,
    now: datetime,
) -> Guarantee:
    """The guarantee that holds from now on: the previous one itself wherever nothing has changed.

    Args:
        previous: the one that is recorded last.
        sample: the decisions that count.
        alarms: what speaks against the previous one, each a sentence.
        acceptance: the last one of the asset type.
        now: the moment.
    """
    if previous is not None and is_frozen_still(previous, acceptance):
        return previous
    if previous is None or previous.state == "frozen" or not _still_applies(previous, sample):
        return _attempt(sample, now)
    if previous.state == "calibrated" and alarms:
        return _frozen(previous, alarms, now)
    if len(sample.usable) >= TWICE * previous.attempted_with:
        return _attempt(sample, now)
    return previous if previous.state == "calibrated" else _waiting(previous, len(sample.usable))


def _frozen(previous: Guarantee, alarms: Sequence[str], now: datetime) -> Guarantee:
    look = f"look, then: asset-pipeline calibrate --accept {previous.asset_type}"
    return previous.model_copy(
        update={
            "state": "frozen",
            "least_quality": None,
            "frozen_at": now,
            "reasons": tuple(alarms),
            "words": f"frozen: {'; '.join(alarms)}; {look}",
        }
    )


def _waiting(previous: Guarantee, count: int) -> Guarantee:
    """An attempt that came to nothing, with how many decisions there are of those that the next one takes."""
    if count == previous.decisions:
        return previous
    found = previous.words.partition("; now ")[0]
    following = f"; now {count} decisions, the next attempt is at {TWICE * previous.attempted_with}"
    return previous.model_copy(update={"decisions": count, "words": found + following})


def _still_applies(previous: Guarantee, sample: Sample) -> bool:
    """Whether its promise, thresholds, rules and scorers are those of now."""
    if (previous.alpha, previous.delta) != (sample.settings.alpha, sample.settings.delta):
        return False
    if previous.decisions_since != sample.since:
        return False
    judged_by, versions = _judged_by(sample.usable)
    return (
        set(previous.rules_sha256) <= set(judged_by) and previous.scorer_versions.items() <= versions.items()
    )


def _judged_by(usable: Sequence[Decided]) -> tuple[tuple[str, ...], dict[str, str]]:
    versions: dict[str, str] = {}
    for each in usable:
        versions.update(each.picture.judged.versions)
    return tuple(sorted({each.picture.judged.rules_sha256 for each in usable})), dict(
        sorted(versions.items())
    )


def _attempt(sample: Sample, now: datetime) -> Guarantee:
    usable, alpha, delta = sample.usable, sample.settings.alpha, sample.settings.delta
    learned = learn_from(sample)
    judged_by, versions = _judged_by(usable)
    enough = len(usable) >= fewest_accepted(alpha, delta)
    last = learned.last
    made = Guarantee(
        asset_type=sample.asset_type,
        state="uncalibrated",
        words=f"uncalibrated: {learned.words}",
        alpha=alpha,
        delta=delta,
        decisions=len(usable),
        attempted_with=len(usable) if enough else 0,
        decisions_since=sample.since,
        rules_sha256=judged_by,
        scorer_versions=versions,
        made_at=now if enough else None,
    )
    if last is None:
        return made
    share = last.accepted / len(usable)
    return made.model_copy(
        update={
            "state": "calibrated",
            "least_quality": last.least_quality,
            "accepted": last.accepted,
            "errors": last.errors,
            "share": share,
            "reference": _reference(usable),
            "words": f"from quality {last.least_quality:.4g} on, {promise(alpha, delta)} "
            f"({len(usable)} decisions; {last.errors} of {last.accepted} would have been wrong)",
        }
    )


def learn_from(sample: Sample) -> Learned:
    """What the decisions that count come to."""
    return learn(
        [each.quality for each in sample.usable],
        [each.is_rejected for each in sample.usable],
        alpha=sample.settings.alpha,
        delta=sample.settings.delta,
    )


def _reference(usable: Sequence[Decided]) -> dict[str, tuple[float, ...]]:
    names = sorted({name for each in usable for name in each.picture.values})
    values = {
        name: [each.picture.values[name] for each in usable if name in each.picture.values] for name in names
    }
    return {QUALITY: kept([each.quality for each in usable])} | {
        name: kept(found) for name, found in values.items()
    }
