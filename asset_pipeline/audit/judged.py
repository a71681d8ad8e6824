"""The links of a story that are about judgement: people's decisions, the guarantee and the scores."""

from collections.abc import Sequence

from asset_pipeline.audit.ledger import (
    UNREADABLE,
    State,
    first_line,
    look_up,
    materialisations_with,
    read_event,
    read_materialisation,
    short,
    worst,
)
from asset_pipeline.audit.story import Link, link_of
from asset_pipeline.calibration.records import CALIBRATIONS, WHOLE
from asset_pipeline.decisions.decision import DECISIONS, Decision, standing
from asset_pipeline.scores.records import SCORES, JudgedScore, scores_sha256
from asset_pipeline.selection.choice import Choice
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Recorded


def decisions_link(
    store: Store, campaign_id: str, candidate_id: str, choice: Choice | None, named: Sequence[str] | None
) -> Link:
    """What people decided.

    Args:
        store: where events are.
        campaign_id: the campaign.
        candidate_id: the asset.
        choice: the selection's word on the asset, if that holds.
        named: the names of the decisions that a record that holds says there were; none if no record does.
    """
    there = [
        name for name in store.events.names(DECISIONS, campaign_id) if name.startswith(f"{candidate_id}.")
    ]
    names = list(there if named is None else named)
    states: list[State] = []
    complaints: list[str] = []
    events: list[Event[Decision]] = []
    for name in names:
        event, state, words = read_event(store, DECISIONS, campaign_id, name)
        if event is not None and event.body.candidate_id != candidate_id:
            state, words = "altered", f"{name} is about another asset, {event.body.candidate_id}"
            event = None
        states.append(state)
        complaints += [words] if words else []
        events += [event] if event is not None else []
    if choice is not None and not complaints and (objection := _objection(choice, events)):
        states, complaints = ["altered"], [objection]
    if named is None:
        states.append("not checked")
        complaints.append("no record that holds says which decisions there were")
    later = [name for name in there if name not in names]
    told = [f"{_told(event)}" for event in events]
    if not names:
        told = [f"nobody decided: {choice.reasons[0]}" if choice and choice.reasons else "nobody decided"]
    if later:
        told.append(f"decided again since: {', '.join(later)}")
    return Link(
        "decisions",
        ", ".join(names),
        worst(states),
        "; ".join(complaints) or "; ".join(told),
        {
            "decisions": [
                {
                    "name": event.name,
                    "at": event.recorded_at.isoformat(),
                    **event.body.model_dump(mode="json"),
                }
                for event in events
            ],
            "later": later,
        },
    )


def _objection(choice: Choice, events: Sequence[Event[Decision]]) -> str | None:
    """Where the decisions say something else than what the selection made of them."""
    event = standing(events, choice.image_sha256)
    if event is None:
        claimed = [reason for reason in choice.reasons if reason.startswith("approved by ")]
        return f"the selection says {claimed[0]!r}, and no decision is about its image" if claimed else None
    decision = event.body
    if decision.verdict == "reject" and choice.state == "approved":
        return f"{event.name} rejects what the selection calls approved"
    if choice.state == "approved" and f"approved by {decision.reviewer}" not in choice.reasons:
        return f"{event.name} is by {decision.reviewer}, and the selection says: {'; '.join(choice.reasons)}"
    return None


def _told(event: Event[Decision]) -> str:
    decision = event.body
    verb = "approved" if decision.verdict == "approve" else "rejected"
    reason = f" ({decision.reason})" if decision.reason else ""
    return f"{verb} by {decision.reviewer} on {event.recorded_at:%Y-%m-%d %H:%M} UTC{reason}"


def guarantee_links(store: Store, choice: Choice | None) -> tuple[Link, ...]:
    """The guarantee by which calibration let an image pass without a person, where it did."""
    named = choice.guarantee_sha256 if choice else None
    if choice is None or named is None:
        return ()
    finding = look_up(store, CALIBRATIONS, WHOLE, named, ("asset_type", choice.asset_type))
    guarantee = finding.row
    if guarantee is None:
        return (link_of("guarantee", named, finding, {}),)
    disagreements = []
    if guarantee.state != "calibrated" or guarantee.least_quality is None:
        disagreements.append(f"it is {guarantee.state} and lets nothing pass")
    elif choice.quality is None or choice.quality < guarantee.least_quality:
        disagreements.append("the image has not the quality that it asks for")
    if choice.rules_sha256 not in guarantee.rules_sha256:
        disagreements.append("it was learned by other thresholds or rules")
    columns = {"words", "least_quality", "alpha", "delta", "decisions", "accepted", "errors", "made_at"}
    facts = guarantee.model_dump(mode="json", include=columns)
    return (link_of("guarantee", guarantee.asset_type, finding, facts, disagreements),)


def scores_link(store: Store, campaign_id: str, candidate_id: str, choice: Choice | None) -> Link:
    """The scores that the selection went by, found by the hash over their facts."""
    complaints: list[str] = []
    others: set[str] = set()
    wanted = choice.scores_sha256 if choice else None
    if wanted == "":
        return Link("scores", "", "not checked", "the selection went by no scores")
    for name in materialisations_with(store, SCORES, campaign_id, "candidate_id", candidate_id):
        try:
            rows = read_materialisation(store, SCORES, campaign_id, name)
        except UNREADABLE as error:
            complaints.append(f"{name}.parquet of scores cannot be read: {first_line(error)}")
            continue
        scores = [each for each in rows if each.row.candidate_id == candidate_id]
        broken = [each.row.dimension for each in scores if not each.is_intact]
        if broken:
            complaints.append(f"{name}.parquet of scores is not as it was written ({', '.join(broken)})")
            continue
        found = scores_sha256(each.row for each in scores)
        if found == wanted:
            return _scores(scores, wanted, choice)
        others.add(found)
        if wanted is None:
            words = "no selection that holds says which scores it went by; these are the newest"
            return Link("scores", found, "not checked", words, _facts(scores))
    if complaints:
        return Link("scores", wanted or "", "altered", "; ".join(complaints))
    if others:
        words = f"no scores with the hash {short(wanted or '')}, only {', '.join(map(short, sorted(others)))}"
        return Link("scores", wanted or "", "altered", words)
    return Link("scores", wanted or "", "missing", f"there are no scores of {candidate_id} in {campaign_id}")


def _scores(scores: Sequence[Recorded[JudgedScore]], wanted: str, choice: Choice | None) -> Link:
    rules = {each.row.rules_sha256 for each in scores}
    if choice is not None and rules != {choice.rules_sha256}:
        return Link(
            "scores", wanted, "altered", "the selection names other rules than the scores", _facts(scores)
        )
    passed = sum(each.row.verdict == "passed" for each in scores)
    words = f"{len(scores)} scores have the hash that the selection names; {passed} passed a threshold"
    return Link("scores", wanted, "holds", words, _facts(scores))


def _facts(scores: Sequence[Recorded[JudgedScore]]) -> dict[str, object]:
    columns = {"dimension", "value", "reason", "verdict", "level", "minimum", "maximum", "scorer_version"}
    return {
        "scores": [each.row.model_dump(mode="json", include=columns) for each in scores],
        "rules_sha256": ", ".join(sorted({each.row.rules_sha256 for each in scores})),
    }
