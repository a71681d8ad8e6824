"""Who lets an image leave: a person, a guarantee that holds for it, or its gates; and what people see all the
same."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.calibration.auditing import is_audited
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.calibration.records import CALIBRATIONS
from asset_pipeline.calibration.settings import Settings
from asset_pipeline.scores.records import Judged
from asset_pipeline.selection.approval import Approving, How, approval
from asset_pipeline.selection.choose import choose
from asset_pipeline.selection.entry import Entry
from asset_pipeline_tests.test_selection import candidate, decision

CALIBRATED = Guarantee(
    asset_type="tile",
    state="calibrated",
    least_quality=0.4,
    words="from quality 0.4 on, at most 0.05 would be rejected",
    alpha=0.05,
    delta=0.1,
    rules_sha256=("r",),
    scorer_versions={"sharpness": "1", "noise": "2"},
)
UNCALIBRATED = Guarantee(
    asset_type="tile", state="uncalibrated", words="uncalibrated: 120 of about 400 decisions"
)
FROZEN = Guarantee(asset_type="tile", state="frozen", words="frozen: quality fell", reasons=("quality fell",))


def approving(guarantee: Guarantee | None = CALIBRATED, how: How = "auto", **asked: Any) -> Approving:
    settings = {"default": Settings(**{"audit_share": 0.0, **asked})}
    return Approving(how, {"tile": guarantee} if guarantee else {}, settings)


def entry(quality: float | None = 0.5, **changed: Any) -> Entry:
    judged = Judged(
        passes=True,
        quality=quality,
        reasons=(),
        scores_sha256="s",
        rules_sha256="r",
        versions={"sharpness": "1", "noise": "2"},
    )
    return Entry(candidate(1), "fact", replace(judged, **changed))


def test_a_guarantee_lets_pass_what_has_the_quality_with_the_promise_and_its_hash() -> None:
    found = approval(entry(0.4), approving())
    assert (found.state, found.reasons) == ("approved", (CALIBRATED.words,))
    assert found.guarantee_sha256 == CALIBRATIONS.fact_sha256(CALIBRATED)


@pytest.mark.parametrize(
    ("guarantee", "why"),
    [(None, "uncalibrated"), (UNCALIBRATED, "120 of about 400"), (FROZEN, "frozen: quality fell")],
)
def test_without_a_guarantee_a_person_decides_and_reads_why(guarantee: Guarantee | None, why: str) -> None:
    found = approval(entry(0.9), approving(guarantee))
    assert (found.state, found.guarantee_sha256) == ("pending", None)
    assert "waits for a person" in found.reasons[0]
    assert why in found.reasons[0]


@pytest.mark.parametrize("quality", [0.39999, -1.0, None])
def test_below_the_calibrated_quality_a_person_decides(quality: float | None) -> None:
    found = approval(entry(quality), approving())
    assert found.state == "pending"
    assert "below the calibrated 0.4" in found.reasons[0]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"rules_sha256": "other"}, "other thresholds or rules"),
        ({"versions": {"sharpness": "1", "noise": "3"}}, "another version of noise"),
        ({"versions": {"sharpness": "1", "text": "1"}}, "another version of text"),
    ],
)
def test_a_guarantee_is_silent_about_what_was_judged_otherwise(changed: dict[str, Any], why: str) -> None:
    found = approval(entry(0.9, **changed), approving())
    assert found.state == "pending"
    assert why in found.reasons[0]


@pytest.mark.parametrize("asked", [{"alpha": 0.02}, {"delta": 0.05}])
def test_a_guarantee_of_another_promise_than_is_asked_for_now_does_not_hold(asked: dict[str, Any]) -> None:
    found = approval(entry(0.9), approving(**asked))
    assert found.state == "pending"
    assert "another promise" in found.reasons[0]


def test_a_guarantee_of_one_asset_type_says_nothing_of_another() -> None:
    hero = replace(entry(0.9), candidate=candidate(1).model_copy(update={"asset_type": "hero"}))
    assert approval(hero, approving()).state == "pending"


def test_where_people_decide_a_guarantee_lets_nothing_pass_and_where_gates_do_none_is_named() -> None:
    assert approval(entry(0.9), approving(how="human")).state == "pending"
    found = approval(entry(0.0), approving(None, how="gates"))
    assert (found.state, found.guarantee_sha256) == ("approved", None)


def test_a_persons_approval_is_the_persons_and_names_no_guarantee() -> None:
    approved = replace(entry(0.9), decisions=(decision(1, "approve"),))
    found = approval(approved, approving())
    assert (found.state, found.reasons[0], found.guarantee_sha256) == ("approved", "approved by anna", None)


@given(st.floats(-1, 1), st.sampled_from([CALIBRATED, UNCALIBRATED, FROZEN, None]))
def test_nothing_leaves_by_itself_below_the_quality_or_without_a_calibrated_guarantee(
    quality: float, guarantee: Guarantee | None
) -> None:
    found = approval(entry(quality), approving(guarantee))
    assert (found.state == "approved") == (guarantee is CALIBRATED and quality >= 0.4)
    assert found.reasons


# Audits


def audited(entries: list[Entry], how: Approving) -> list[tuple[str, bool]]:
    return [(choice.state, choice.is_audited) for choice in choose(entries, keep=1, approving=how)]


def test_what_is_audited_is_approved_or_rejected_all_the_same_and_flagged() -> None:
    everything = approving(audit_share=1)
    assert audited([entry(0.9)], everything) == [("approved", True)]
    assert audited([entry(-0.5, passes=False)], everything) == [("rejected", True)]
    assert audited([entry(0.9)], approving(audit_share=0)) == [("approved", False)]


def test_what_waits_for_a_person_anyway_is_no_audit() -> None:
    assert audited([entry(0.1)], approving(audit_share=1)) == [("pending", False)]
    assert audited([entry(0.9)], approving(how="human", audit_share=1)) == [("pending", False)]
    assert audited([entry(-0.5, passes=False)], approving(how="human", audit_share=1)) == [
        ("rejected", False)
    ]


def test_what_a_person_had_to_approve_was_no_audit_and_what_a_guarantee_let_pass_stays_one() -> None:
    yes = (decision(1, "approve"),)
    everything = approving(audit_share=1)
    assert audited([replace(entry(0.1), decisions=yes)], everything) == [("approved", False)]
    assert audited([replace(entry(0.9), decisions=yes)], everything) == [("approved", True)]


def test_a_person_takes_an_audited_image_out_and_brings_none_past_a_gate() -> None:
    out = replace(entry(0.9), decisions=(decision(1, "reject"),))
    assert audited([out], approving(audit_share=1))[0][0] == "rejected"
    kept_out = replace(entry(-0.5, passes=False, reasons=("blurred",)), decisions=(decision(1, "approve"),))
    (choice,) = choose([kept_out], keep=1, approving=approving(audit_share=1))
    assert choice.state == "rejected"
    assert choice.reasons == ("blurred", "approved by anna, which lets nothing past a gate")


def test_chance_is_the_same_for_a_candidate_and_takes_the_share_that_is_asked_for() -> None:
    names = [f"c{number:020x}" for number in range(20_000)]
    chosen = [name for name in names if is_audited(name, 0.02)]
    assert chosen == [name for name in names if is_audited(name, 0.02)]
    assert 330 < len(chosen) < 470
    assert not any(is_audited(name, 0) for name in names)
    assert all(is_audited(name, 1) for name in names)


def test_a_larger_share_audits_what_a_smaller_one_does_too() -> None:
    names = [f"c{number:020x}" for number in range(2_000)]
    assert {name for name in names if is_audited(name, 0.02)} <= {
        name for name in names if is_audited(name, 0.2)
    }


def test_audits_fall_on_every_shard_alike() -> None:
    """Shards are dealt by the same digits of a candidate's name as a naive audit would go by."""
    names = [f"c{(number * 2654435761) % 2**32:08x}{number:012x}" for number in range(40_000)]
    shards = [0, 0, 0, 0]
    for name in names:
        if is_audited(name, 0.1):
            shards[int(name[1:9], 16) * 4 // 2**32] += 1
    assert all(850 < count < 1150 for count in shards)
