"""What the selection room promises: gates, then people, then best first; and every image says why."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.decisions.decision import DECISIONS, Decision, Verdict
from asset_pipeline.decisions.records import decide, load_decisions
from asset_pipeline.scores.records import UNJUDGED, Judged
from asset_pipeline.selection.approval import Approving
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.choose import NEAR_DUPLICATE_BITS, choose
from asset_pipeline.selection.entry import Entry
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store

APPROVE: Verdict = "approve"
REJECT: Verdict = "reject"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HUMAN, GATES = Approving("human"), Approving("gates")


def candidate(number: int, *, prompt: str = "p1", bits: int | None = None, made: bool = True) -> Candidate:
    looks = (1 << 256) - 1 >> (number * 40) if bits is None else bits
    return Candidate(
        candidate_id=f"c{number}",
        prompt_id=prompt,
        prompt_fact_sha256="f",
        sku="SKU",
        asset_type="tile",
        locale="en-GB",
        position=number,
        profile="packshot",
        provider="packshot",
        provider_version="1",
        request=ImageRequest(prompt="a", width=64, height=64, seed=number, profile_fingerprint="x"),
        state="made" if made else "refused",
        reason=None if made else "the photograph is a scene",
        attempt=1,
        image_sha256=f"{number:064x}" if made else None,
        perceptual_hash=f"{looks:064x}" if made else None,
    )


def judged(quality: float = 0.5, *, passes: bool = True) -> Judged:
    reasons = () if passes else ("sharpness 0.71 is above 0.55",)
    return Judged(passes=passes, quality=quality, reasons=reasons, scores_sha256="s", rules_sha256="r")


def decision(number: int, verdict: Verdict, *, minute: int = 0, image: str | None = None) -> Event[Decision]:
    body = Decision(
        candidate_id=f"c{number}",
        image_sha256=image or f"{number:064x}",
        verdict=verdict,
        reviewer="anna",
        reason="",
    )
    return Event(
        name=f"c{number}.{minute:04d}",
        partition="spring",
        recorded_at=NOON + timedelta(minutes=minute),
        body=body,
        is_intact=True,
    )


def entry(
    number: int,
    quality: float = 0.5,
    *,
    passes: bool = True,
    decisions: tuple[Event[Decision], ...] = (),
    bits: int | None = None,
    prompt: str = "p1",
) -> Entry:
    return Entry(
        candidate(number, bits=bits, prompt=prompt), "fact", judged(quality, passes=passes), decisions
    )


def states(choices: list[Choice]) -> dict[str, str]:
    return {choice.candidate_id: choice.state for choice in choices}


def test_the_best_that_pass_are_chosen_and_the_rest_say_that_better_ones_are_kept() -> None:
    choices = choose([entry(1, 0.2), entry(2, 0.9), entry(3, 0.5)], keep=2, approving=GATES)
    assert states(choices) == {"c2": "approved", "c3": "approved", "c1": "not_chosen"}
    assert [choice.rank for choice in choices] == [1, 2, None]
    assert "better ones" in choices[2].reasons[0]


def test_what_fails_a_gate_is_rejected_with_the_reason_however_good_it_is() -> None:
    (choice,) = choose([entry(1, 9.0, passes=False)], keep=1, approving=GATES)
    assert choice.state == "rejected"
    assert choice.reasons == ("sharpness 0.71 is above 0.55",)


def test_what_was_not_scored_never_passes() -> None:
    (choice,) = choose([Entry(candidate(1), "fact", UNJUDGED)], keep=1, approving=GATES)
    assert (choice.state, choice.reasons) == ("rejected", ("it was not scored",))


def test_without_an_image_there_is_nothing_to_choose() -> None:
    (choice,) = choose([Entry(candidate(1, made=False), "fact", UNJUDGED)], keep=1, approving=GATES)
    assert choice.reasons == ("there is no image: the photograph is a scene",)


def test_where_a_person_is_asked_for_nothing_is_approved_without_one() -> None:
    choices = choose([entry(1), entry(2, decisions=(decision(2, "approve"),))], keep=2, approving=HUMAN)
    assert states(choices) == {"c2": "approved", "c1": "pending"}


def test_what_a_person_approved_comes_before_better_scores() -> None:
    choices = choose(
        [entry(1, 0.9), entry(2, 0.1, decisions=(decision(2, "approve"),))], keep=1, approving=HUMAN
    )
    assert states(choices) == {"c2": "approved", "c1": "not_chosen"}


def test_a_rejected_image_makes_room_for_the_next_best() -> None:
    choices = choose(
        [entry(1, 0.9, decisions=(decision(1, "reject"),)), entry(2, 0.1)], keep=1, approving=GATES
    )
    assert states(choices) == {"c1": "rejected", "c2": "approved"}
    assert choices[0].reasons == ("rejected by anna",)


def test_the_last_decision_holds() -> None:
    undone = (decision(1, "reject", minute=1), decision(1, "approve", minute=2))
    assert states(choose([entry(1, decisions=undone)], keep=1, approving=HUMAN)) == {"c1": "approved"}


def test_a_decision_about_another_image_of_the_candidate_does_not_count() -> None:
    old = (decision(1, "approve", image="e" * 64),)
    assert states(choose([entry(1, decisions=old)], keep=1, approving=HUMAN)) == {"c1": "pending"}


def test_an_image_that_looks_like_a_chosen_one_is_passed_over_and_says_which() -> None:
    bits = (1 << 200) - 1
    choices = choose(
        [entry(1, 0.9, bits=bits), entry(2, 0.8, bits=bits ^ 0b111), entry(3, 0.1, bits=0)],
        keep=2,
        approving=GATES,
    )
    assert states(choices) == {"c1": "approved", "c2": "not_chosen", "c3": "approved"}
    assert "c1" in next(choice for choice in choices if choice.candidate_id == "c2").reasons[0]


@pytest.mark.parametrize(
    ("bits", "state"), [(NEAR_DUPLICATE_BITS, "not_chosen"), (NEAR_DUPLICATE_BITS + 1, "approved")]
)
def test_near_duplicates_differ_in_at_most_as_many_bits_as_is_said(bits: int, state: str) -> None:
    choices = choose([entry(1, 0.9, bits=0), entry(2, 0.5, bits=(1 << bits) - 1)], keep=2, approving=GATES)
    assert states(choices)["c2"] == state


def test_each_prompt_has_its_own_places() -> None:
    choices = choose([entry(1), entry(2, prompt="p2", bits=0)], keep=1, approving=GATES)
    assert states(choices) == {"c1": "approved", "c2": "approved"}


entries = st.lists(
    st.tuples(
        st.floats(-1, 1),
        st.booleans(),
        st.sampled_from((None, APPROVE, REJECT)),
        st.sampled_from(["p1", "p2"]),
    ),
    max_size=6,
).map(
    lambda drawn: [
        entry(
            number,
            quality,
            passes=passes,
            prompt=prompt,
            decisions=(decision(number, verdict),) if verdict else (),
        )
        for number, (quality, passes, verdict, prompt) in enumerate(drawn)
    ]
)


@given(entries, st.integers(1, 4), st.sampled_from([HUMAN, GATES]), st.randoms())
def test_the_order_of_the_candidates_does_not_matter(
    given_entries: list[Entry],
    keep: int,
    approving: Approving,
    random: object,
) -> None:
    shuffled = list(given_entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (choose(each, keep=keep, approving=approving) for each in (given_entries, shuffled))
    assert states(first) == states(second)


@given(entries, st.integers(1, 4), st.sampled_from([HUMAN, GATES]))
def test_nothing_is_approved_that_fails_a_gate_or_was_rejected(
    given_entries: list[Entry], keep: int, approving: Approving
) -> None:
    by_name = {each.candidate.candidate_id: each for each in given_entries}
    choices = choose(given_entries, keep=keep, approving=approving)
    assert sorted(by_name) == sorted(choice.candidate_id for choice in choices)
    for choice in choices:
        if choice.state == "approved":
            standing = by_name[choice.candidate_id].standing
            assert by_name[choice.candidate_id].judged.passes
            assert standing is None or standing.verdict == "approve"
            assert standing is not None or approving.how == "gates"
        else:
            assert choice.reasons


def test_deciding_the_same_twice_is_one_decision_and_undoing_is_another(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    yes, no = decision(1, "approve").body, decision(1, "reject").body
    assert decide(store, "spring", yes)
    assert not decide(store, "spring", yes)
    assert decide(store, "spring", no)
    assert decide(store, "spring", yes)
    assert [event.body.verdict for event in load_decisions(store, "spring")["c1"]] == [
        "approve",
        "reject",
        "approve",
    ]
    assert store.events.names(DECISIONS, "spring") == ["c1.0000", "c1.0001", "c1.0002"]
