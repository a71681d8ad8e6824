"""What speaks for or against a calibrated guarantee since it was made."""

from dataclasses import dataclass

from asset_pipeline.calibration.acceptance import Acceptance
from asset_pipeline.calibration.auditing import is_audited
from asset_pipeline.calibration.cusum import sums
from asset_pipeline.calibration.decided import Decided, ScoredPicture
from asset_pipeline.calibration.drift import Shift, shifts
from asset_pipeline.calibration.golden import changed_scores, golden_set
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.calibration.renewal import QUALITY
from asset_pipeline.calibration.settings import Settings
from asset_pipeline.scores.judging import Measuring, measure_again
from asset_pipeline.store.events import Event


@dataclass(frozen=True)
class Case:
    """What there is to be assessed of one asset type."""

    asset_type: str
    settings: Settings
    pictures: tuple[ScoredPicture, ...]
    decided: tuple[Decided, ...]
    previous: Guarantee | None
    acceptance: Event[Acceptance] | None


@dataclass(frozen=True)
class Watch:
    """What speaks for or against a guarantee since it was made."""

    shifts: tuple[Shift, ...] = ()
    audits: tuple[Decided, ...] = ()
    """Pictures that it lets pass and that chance, or a campaign that asks for people, sent to one since."""
    sums: tuple[float, ...] = ()
    """The cumulative sum after each."""
    measured_again: int = 0
    alarms: tuple[str, ...] = ()


def watch_over(case: Case, measuring: Measuring) -> Watch:
    """Compare what a calibrated guarantee rests on with what there is now."""
    guarantee = case.previous
    if guarantee is None or guarantee.state != "calibrated" or guarantee.made_at is None:
        return Watch()
    moved = shifts(guarantee.reference, recent_values(case, guarantee), guarantee.decisions, case.settings)
    audits = audits_since(case, guarantee)
    running = sums([each.is_rejected for each in audits], case.settings.alpha)
    again, changed = _measured_again(case, guarantee, measuring)
    alarms = [alarm for each in moved for alarm in each.alarms]
    if running and max(running) >= case.settings.cusum:
        rejected = sum(each.is_rejected for each in audits)
        alarms.append(
            f"people rejected {rejected} of {len(audits)} pictures that scores let pass, more than promised"
            f" (CUSUM {max(running):.1f}, from {case.settings.cusum:g} on an alarm)"
        )
    return Watch(tuple(moved), tuple(audits), tuple(running), again, (*alarms, *changed))


def audits_since(case: Case, guarantee: Guarantee) -> list[Decided]:
    """Decisions since on pictures that it lets pass, about which no person chose to decide, by time."""
    return [
        each
        for each in case.decided
        if guarantee.made_at is not None
        and each.at > guarantee.made_at
        and not each.picture.outdated
        and each.picture.judged.passes
        and guarantee.objection(each.picture.judged, case.settings) is None
        and (
            each.picture.approval == "human"
            or is_audited(each.picture.candidate.candidate_id, case.settings.audit_share)
        )
    ]


def recent_values(case: Case, guarantee: Guarantee) -> dict[str, list[float]]:
    """Quality and dimensions of the newest pictures that the guarantee is applied to.

    Those are what campaigns with ``approval: auto`` offer and nobody had decided about when it was made.
    """
    known = {
        each.picture.candidate.image_sha256
        for each in case.decided
        if guarantee.made_at is not None and each.at <= guarantee.made_at
    }
    new = [
        each
        for each in case.pictures
        if each.approval == "auto"
        and each.is_offered
        and not each.outdated
        and each.candidate.image_sha256 not in known
    ]
    newest = sorted(new, key=_newest_first)
    compared = newest[: case.settings.most_compared]
    names = {name for each in compared for name in each.values}
    return {QUALITY: [each.judged.quality for each in compared if each.judged.quality is not None]} | {
        name: [each.values[name] for each in compared if name in each.values] for name in names
    }


def _measured_again(case: Case, guarantee: Guarantee, measuring: Measuring) -> tuple[int, list[str]]:
    """How many golden pictures were measured again, and what was found."""
    here = [
        each for each in case.decided
        if not each.picture.outdated and measuring.store.images.has(each.picture.candidate.image_sha256 or "")
    ]  # fmt: skip
    golden = golden_set(here, guarantee, case.settings.golden)
    judged = [scorer for scorer in measuring.scorers if scorer.dimension in guarantee.reference]
    again = measure_again(
        Measuring(measuring.store, judged, measuring.expected), [each.candidate for each in golden]
    )
    return len(golden), list(changed_scores(golden, again, case.settings.golden_difference).values())


def _newest_first(picture: ScoredPicture) -> tuple[float, str]:
    measured_at = picture.measured_at.timestamp() if picture.measured_at else 0.0
    return -measured_at, picture.candidate.candidate_id
