"""What the selection room promises: gates, then people, then best first; and every image says why."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asset_pipeline.calibration.settings import Settings
from asset_pipeline.campaign.brief import Campaign, Quotas
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.decisions.decision import DECISIONS, Decision, Verdict
from asset_pipeline.decisions.records import decide, load_decisions
from asset_pipeline.scores.records import UNJUDGED, Judged
from asset_pipeline.selection.approval import Approving, How
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.choose import choose
from asset_pipeline.selection.entry import Entry
from asset_pipeline.selection.near_duplicates import NEAR_DUPLICATE_BITS, SAME_COLOUR_LEVELS
from asset_pipeline.selection.quotas import exceeded, places_in, unused
from asset_pipeline.selection.shortages import shortages
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store

APPROVE: Verdict = "approve"
REJECT: Verdict = "reject"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HUMAN, GATES = Approving("human"), Approving("gates")


def candidate(
    number: int,
    *,
    prompt: str = "p1",
    bits: int | None = None,
    made: bool = True,
    colour: tuple[int, int, int] | None = (90, 120, 60),
    **fields: str,
) -> Candidate:
    looks = (1 << 256) - 1 >> (number * 40) if bits is None else bits
    channels = zip(("mean_red", "mean_green", "mean_blue"), colour or (), strict=False)
    return Candidate(
        candidate_id=f"c{number}",
        prompt_id=prompt,
        prompt_fact_sha256="f",
        sku=fields.get("sku", "SKU"),
        asset_type=fields.get("asset_type", "tile"),
        locale=fields.get("locale", "en-GB"),
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
        details={"glance": dict(channels)},
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
    expired: str | None = None,
    **of_candidate: Any,
) -> Entry:
    made = candidate(number, **of_candidate)
    return Entry(made, "fact", judged(quality, passes=passes), decisions, expired)


def chosen(choices: list[Choice]) -> list[str]:
    return sorted(choice.candidate_id for choice in choices if choice.rank is not None)


def why(choices: list[Choice]) -> dict[str, str]:
    """The first reason of each candidate that is not chosen."""
    return {choice.candidate_id: choice.reasons[0] for choice in choices if choice.rank is None}


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


# Quotas


def test_a_product_gets_no_more_than_its_quota_and_the_others_say_so() -> None:
    pictures = [entry(number, number / 10, prompt=f"p{number}") for number in (1, 2, 3, 4)]
    choices = choose(pictures, keep=1, approving=GATES, quotas=Quotas(product=2))
    assert chosen(choices) == ["c3", "c4"]
    assert why(choices) == {"c1": "the product SKU has its 2", "c2": "the product SKU has its 2"}


def test_a_quota_by_name_binds_those_it_names_and_no_others() -> None:
    pictures = [
        entry(number, locale=locale, sku=f"SKU-{number}", prompt=f"p{number}")
        for number, locale in enumerate(["de-DE", "de-DE", "en-GB", "en-GB"], 1)
    ]
    choices = choose(pictures, keep=1, approving=GATES, quotas=Quotas(locale={"de-DE": 1}))
    assert chosen(choices) == ["c1", "c3", "c4"]
    assert why(choices) == {"c2": "the locale de-DE has its 1"}


def test_an_asset_type_and_the_campaign_have_quotas_too() -> None:
    pictures = [
        entry(number, 1 - number / 10, asset_type=kind, sku=f"SKU-{number}", prompt=f"p{number}")
        for number, kind in enumerate(["hero", "hero", "tile", "tile"], 1)
    ]
    quotas = Quotas(asset_type={"hero": 1}, total=2)
    choices = choose(pictures, keep=1, approving=GATES, quotas=quotas)
    assert chosen(choices) == ["c1", "c3"]
    assert why(choices) == {"c2": "the asset type hero has its 1", "c4": "the campaign has its 2"}


def test_a_quota_of_none_leaves_nothing() -> None:
    choices = choose([entry(1)], keep=1, approving=GATES, quotas=Quotas(product={"SKU": 0}))
    assert why(choices) == {"c1": "the product SKU has its 0"}


def test_every_prompts_best_comes_before_any_prompts_second() -> None:
    good = [entry(number, 0.9 - number / 100, prompt="good", sku="GOOD") for number in (1, 2, 3)]
    poor = [entry(number, 0.2 - number / 100, prompt="poor", sku="POOR") for number in (4, 5)]
    choices = choose([*good, *poor], keep=3, approving=GATES, quotas=Quotas(total=3))
    assert chosen(choices) == ["c1", "c2", "c4"]


def test_what_people_approved_takes_the_places_first() -> None:
    pictures = [
        entry(1, 0.9, prompt="p1", sku="A"),
        entry(2, 0.1, prompt="p2", sku="B", decisions=(decision(2, "approve"),)),
    ]
    choices = choose(pictures, keep=1, approving=HUMAN, quotas=Quotas(total=1))
    assert states(choices) == {"c1": "not_chosen", "c2": "approved"}


def test_an_approval_does_not_exceed_a_quota_and_says_both() -> None:
    pictures = [
        entry(number, number / 10, prompt=f"p{number}", decisions=(decision(number, "approve"),))
        for number in (1, 2)
    ]
    choices = choose(pictures, keep=1, approving=HUMAN, quotas=Quotas(product=1))
    assert states(choices) == {"c1": "not_chosen", "c2": "approved"}
    (beyond,) = (choice for choice in choices if choice.candidate_id == "c1")
    assert beyond.reasons == ("the product SKU has its 1", "approved by anna")
    assert beyond.rule == "quota"


def test_a_funnel_keeps_its_number_of_the_whole_campaign_in_even_shares() -> None:
    asked = {"title": "S", "asset_types": ["tile"], "locales": ["en-GB"], "funnel": "40 -> 5"}
    assert places_in(Campaign.model_validate(asked), prompts=2) == (3, Quotas(total=5))
    both = Campaign.model_validate(asked | {"quotas": {"total": 4, "product": 2}})
    assert places_in(both, prompts=2) == (3, Quotas(total=4, product=2))
    without = Campaign.model_validate({**asked, "funnel": None, "keep": 2, "candidates_per_prompt": 2})
    assert places_in(without, prompts=9) == (2, Quotas())


def test_a_quota_for_what_the_campaign_does_not_have_is_told() -> None:
    asked = {"title": "S", "asset_types": ["tile"], "locales": ["en-GB"]}
    with pytest.raises(ValidationError, match=r"quotas.locale: de-DE: not in the campaign \(it has: en-GB\)"):
        Campaign.model_validate(asked | {"quotas": {"locale": {"de-DE": 3}}})
    with pytest.raises(ValidationError, match=r"quotas.asset_type: hero"):
        Campaign.model_validate(asked | {"quotas": {"asset_type": {"hero": 3}}})
    with pytest.raises(ValidationError):
        Campaign.model_validate(asked | {"quotas": {"product": -1}})
    assert list(unused(Quotas(product={"SKU": 1, "MGU": 1}), [candidate(1)])) == ["MGU"]


def test_what_exceeds_a_quota_is_named() -> None:
    pictures = [candidate(1), candidate(2), candidate(3, sku="OTHER")]
    assert exceeded(Quotas(product=1, total=3), pictures) == ["SKU: 2 of 1"]
    assert exceeded(Quotas(total=2), pictures) == ["the campaign: 3 of 2"]
    assert exceeded(Quotas(product=2), pictures) == []


# What looks the same


def test_without_quotas_only_pictures_of_one_prompt_are_compared() -> None:
    alike = [entry(1, prompt="p1", bits=0), entry(2, prompt="p2", bits=0)]
    assert chosen(choose(alike, keep=1, approving=GATES)) == ["c1", "c2"]
    choices = choose(alike, keep=1, approving=GATES, quotas=Quotas(product=6))
    assert why(choices) == {"c2": "looks like c1, which is better"}


@pytest.mark.parametrize("apart", [{"locale": "de-DE"}, {"asset_type": "hero"}, {"sku": "OTHER"}])
def test_another_locale_asset_type_or_product_may_look_the_same(apart: dict[str, Any]) -> None:
    alike = [entry(1, prompt="p1", bits=0), entry(2, prompt="p2", bits=0, **apart)]
    assert chosen(choose(alike, keep=1, approving=GATES, quotas=Quotas(total=6))) == ["c1", "c2"]


def test_variations_in_another_colour_do_not_look_the_same_though_their_hashes_do() -> None:
    def keeps(colour: tuple[int, int, int] | None, prompt: str = "p2") -> list[str]:
        alike = [entry(1, 0.9, bits=0), entry(2, 0.5, prompt=prompt, bits=0, colour=colour)]
        return chosen(choose(alike, keep=2, approving=GATES, quotas=Quotas(product=6)))

    near, far = 60 + int(SAME_COLOUR_LEVELS), 60 + int(SAME_COLOUR_LEVELS) + 1
    assert keeps((90, 120, near)) == ["c1"]
    assert keeps((90, 120, far)) == ["c1", "c2"]
    assert keeps(None) == ["c1", "c2"]
    assert keeps((90, 120, far), prompt="p1") == ["c1"]


def test_a_twin_that_fails_a_gate_displaces_nothing() -> None:
    typo, good = entry(1, 0.9, bits=0, passes=False), entry(2, 0.5, bits=0)
    assert states(choose([typo, good], keep=1, approving=GATES)) == {"c1": "rejected", "c2": "approved"}


def test_a_picture_that_looks_like_one_that_was_not_kept_is_not_passed_over() -> None:
    pictures = [
        entry(1, 0.9, prompt="p1", bits=0),
        entry(2, 0.8, prompt="p1", bits=(1 << 200) - 1),
        entry(3, 0.7, prompt="p2", bits=(1 << 200) - 1),
    ]
    choices = choose(pictures, keep=1, approving=GATES, quotas=Quotas(product=6))
    assert chosen(choices) == ["c1", "c3"]


def test_the_reason_says_why_the_other_one_of_two_alike_is_kept() -> None:
    approved = entry(1, 0.1, bits=0, decisions=(decision(1, "approve"),))
    choices = choose([approved, entry(2, 0.9, bits=0)], keep=2, approving=HUMAN)
    assert why(choices) == {"c2": "looks like c1, which a person approved"}
    first = [entry(1, 0.1, prompt="p1", bits=0), entry(2, 0.9, prompt="p2", bits=(1 << 200) - 1)]
    second = entry(3, 0.8, prompt="p2", bits=0)
    choices = choose([*first, second], keep=2, approving=GATES, quotas=Quotas(product=6))
    assert why(choices) == {"c3": "looks like c1, which is among the first of another prompt"}


def test_many_pictures_are_compared_with_all_that_are_chosen() -> None:
    drawn = [int.from_bytes(np.random.default_rng(number % 30).bytes(32)) for number in range(60)]
    bits = [each ^ number // 30 for number, each in enumerate(drawn)]
    pictures = [entry(number, prompt=f"p{number}", bits=bits[number]) for number in range(60)]
    choices = choose(pictures, keep=1, approving=GATES, quotas=Quotas(total=60))
    by_name = {each.candidate.candidate_id: each.candidate for each in pictures}
    kept = [by_name[name] for name in chosen(choices)]
    assert len(kept) == 30
    assert not any(looks_like(one, other) for place, one in enumerate(kept) for other in kept[:place])


# What is missing is said


def test_places_that_nothing_is_good_enough_for_stay_empty_and_say_why() -> None:
    pictures = [
        entry(1, 0.9, bits=0),
        entry(2, 0.8, bits=1),
        entry(3, 0.7, passes=False),
        entry(4, 0.6, decisions=(decision(4, "reject"),)),
        entry(5, prompt="p2"),
        entry(6, prompt="p2", expired="its picture expired"),
    ]
    (one, two) = shortages(choose(pictures, keep=2, approving=GATES), keep=2)
    assert (one.chosen, one.places) == (1, 2)
    assert one.why == "1 did not pass a gate, 1 rejected by people, 1 looked like a chosen one"
    assert (two.chosen, two.why) == (1, "1 with an expired picture")


def test_what_a_quota_took_is_not_missing() -> None:
    pictures = [entry(1, prompt="p1"), entry(2, prompt="p2", bits=0)]
    assert shortages(choose(pictures, keep=1, approving=GATES, quotas=Quotas(total=1)), keep=1) == []


# Expired pictures, and those that people are asked about all the same


def test_a_picture_that_has_expired_is_not_chosen_even_if_a_person_approved_it() -> None:
    gone = "its picture expired by policy on 2026-01-01 (not_chosen: 90 days)"
    pictures = [entry(1, 0.9, expired=gone, decisions=(decision(1, "approve"),)), entry(2, 0.1)]
    choices = choose(pictures, keep=1, approving=GATES)
    assert states(choices) == {"c1": "not_chosen", "c2": "approved"}
    assert choices[0].reasons == (gone, "approved by anna")


def test_what_failed_a_gate_before_it_expired_still_says_so() -> None:
    (choice,) = choose([entry(1, passes=False, expired="it expired")], keep=1, approving=GATES)
    assert (choice.state, choice.reasons) == ("rejected", ("sharpness 0.71 is above 0.55",))


def test_chance_sends_what_a_gate_rejected_to_a_person_where_none_decides() -> None:
    def asked(how: How, share: float, **more: Any) -> bool:
        pictures = [Entry(candidate(1), "fact", judged(passes=False), **more)]
        (choice,) = choose(
            pictures, keep=1, approving=Approving(how, settings={"default": Settings(audit_share=share)})
        )
        return choice.is_audited

    assert asked("auto", 1.0)
    assert asked("gates", 1.0)
    assert not asked("gates", 0.0)
    assert not asked("human", 1.0)
    assert not asked("gates", 1.0, expired="it expired")


# Whatever is given

SKUS = {"p1": "A", "p2": "A", "p3": "B", "p4": "A"}
LOCALES = {"p1": "en-GB", "p2": "en-GB", "p3": "en-GB", "p4": "de-DE"}

entries = st.lists(
    st.tuples(
        st.floats(-1, 1),
        st.booleans(),
        st.sampled_from((None, APPROVE, REJECT)),
        st.sampled_from(["p1", "p2", "p3", "p4"]),
        st.sampled_from([0, 0b111, (1 << 120) - 1, (1 << 255) - 1]),
        st.booleans(),
    ),
    max_size=9,
).map(
    lambda drawn: [
        entry(
            number,
            quality,
            passes=passes,
            prompt=prompt,
            bits=bits,
            sku=SKUS[prompt],
            locale=LOCALES[prompt],
            expired="it expired" if expired else None,
            decisions=(decision(number, verdict),) if verdict else (),
        )
        for number, (quality, passes, verdict, prompt, bits, expired) in enumerate(drawn)
    ]
)
LIMITS = st.none() | st.integers(0, 3)
all_quotas = st.builds(
    Quotas,
    total=LIMITS,
    product=LIMITS | st.dictionaries(st.sampled_from(["A", "B", "C"]), st.integers(0, 2)),
    locale=LIMITS,
    asset_type=LIMITS,
)


def looks_like(one: Candidate, other: Candidate) -> bool:
    """The same, said in another way than the room says it."""
    pairs = zip(*(f"{int(each.perceptual_hash or '', 16):0256b}" for each in (one, other)), strict=True)
    return len([1 for a, b in pairs if a != b]) <= NEAR_DUPLICATE_BITS


def compared(one: Candidate, other: Candidate, quotas: Quotas) -> bool:
    if quotas == Quotas():
        return one.prompt_id == other.prompt_id
    return (one.sku, one.locale) == (other.sku, other.locale)


@given(entries, st.integers(1, 4), st.sampled_from([HUMAN, GATES]), all_quotas, st.randoms())
def test_the_order_of_the_candidates_does_not_matter(
    given_entries: list[Entry],
    keep: int,
    approving: Approving,
    quotas: Quotas,
    random: object,
) -> None:
    shuffled = list(given_entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (
        choose(each, keep=keep, approving=approving, quotas=quotas) for each in (given_entries, shuffled)
    )
    assert {choice.candidate_id: choice for choice in first} == {
        choice.candidate_id: choice for choice in second
    }


@given(entries, st.integers(1, 4), st.sampled_from([HUMAN, GATES]), all_quotas)
def test_no_quota_is_exceeded_and_no_two_chosen_ones_look_the_same(
    given_entries: list[Entry], keep: int, approving: Approving, quotas: Quotas
) -> None:
    choices = choose(given_entries, keep=keep, approving=approving, quotas=quotas)
    by_name = {each.candidate.candidate_id: each.candidate for each in given_entries}
    kept = [by_name[choice.candidate_id] for choice in choices if choice.rank is not None]
    assert exceeded(quotas, kept) == []
    assert quotas.total is None or len(kept) <= quotas.total
    for place, one in enumerate(kept):
        assert not any(compared(one, other, quotas) and looks_like(one, other) for other in kept[:place])


@given(entries, st.integers(1, 4), all_quotas)
def test_a_place_goes_to_a_worse_one_only_by_a_rule_that_says_so(
    given_entries: list[Entry], keep: int, quotas: Quotas
) -> None:
    choices = {
        choice.candidate_id: choice
        for choice in choose(given_entries, keep=keep, approving=GATES, quotas=quotas)
    }
    eligible = [
        each
        for each in given_entries
        if each.judged.passes
        and each.expired is None
        and (each.standing is None or each.standing.verdict == "approve")
    ]
    for one in eligible:
        choice = choices[one.candidate.candidate_id]
        rivals = [
            each
            for each in eligible
            if choices[each.candidate.candidate_id].rank is not None
            and (each.standing is None) >= (one.standing is None)
            and (each.judged.quality or 0) < (one.judged.quality or 0)
        ]
        if choice.rank is not None:
            continue
        if any(rival.candidate.prompt_id == one.candidate.prompt_id for rival in rivals):
            assert choice.rule == "near-duplicate"
        if choice.rule == "better kept":
            own = [each for each in choices.values() if each.prompt_id == choice.prompt_id and each.rank]
            assert len(own) == keep


@given(entries, st.integers(1, 4), st.sampled_from([HUMAN, GATES]), all_quotas)
def test_nothing_is_approved_that_fails_a_gate_or_was_rejected(
    given_entries: list[Entry], keep: int, approving: Approving, quotas: Quotas
) -> None:
    by_name = {each.candidate.candidate_id: each for each in given_entries}
    choices = choose(given_entries, keep=keep, approving=approving, quotas=quotas)
    assert sorted(by_name) == sorted(choice.candidate_id for choice in choices)
    for choice in choices:
        if choice.state == "approved":
            standing = by_name[choice.candidate_id].standing
            assert by_name[choice.candidate_id].judged.passes
            assert by_name[choice.candidate_id].expired is None
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
