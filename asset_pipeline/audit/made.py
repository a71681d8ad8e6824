"""The links of a story that are about making: the attempts, the image and its mask."""

from collections.abc import Iterator, Mapping, Sequence

from asset_pipeline.audit.ledger import State, read_event, worst
from asset_pipeline.audit.story import Link
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.expired import EXPIRIES, expiry_name, in_words
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, OPEN, Attempt, event_name, takeover_name
from asset_pipeline.errors import BrokenFact, UnreadablePicture
from asset_pipeline.pictures.decode import facts as picture_facts
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store

_COPIED = (
    "profile",
    "cost_usd",
    "seconds",
    "reason",
    "image_sha256",
    "mask_sha256",
    "perceptual_hash",
    "details",
)
"""What a candidate has from the attempt that settled it."""
_MOMENTS = ("submitting", "settled")
_ENDS: Mapping[str, Sequence[str]] = {
    "made": ("succeeded",),
    "refused": ("refused",),
    "failed": ("failed", "canceled", "expired", "unreconciled", "lost"),
}
"""The ends of an attempt that a candidate's state stands for."""


def attempts_link(store: Store, campaign_id: str, candidate_id: str, candidate: Candidate | None) -> Link:
    """Every attempt at the asset, from its claim to its end, compared with what the candidate says.

    An attempt starts only when the one before has ended, so those up to the candidate's own are all there.
    """
    there = [
        name for name in store.events.names(ATTEMPTS, campaign_id) if name.startswith(f"{candidate_id}.")
    ]
    expected = [
        f"{candidate_id}.{number:04d}.{moment}"
        for number in range(1, (candidate.attempt if candidate else 0) + 1)
        for moment in _MOMENTS
    ]
    states: list[State] = []
    complaints: list[str] = []
    events: dict[str, Event[Attempt]] = {}
    for name in dict.fromkeys([*expected, *there]):
        event, state, words = read_event(store, ATTEMPTS, campaign_id, name)
        if event is not None:
            events[name] = event
            words = _objection(event, candidate_id, candidate)
            state = "altered" if words else "holds"
        states.append(state)
        complaints += [words] if words else []
    complaints += (unlike := _claimed_by_others(events))
    states += ["altered" for _ in unlike]
    if not states:
        words = f"there are no attempts at {candidate_id} in {campaign_id}"
        return Link("attempts", candidate_id, "missing", words)
    if candidate is None:
        states.append("not checked")
        complaints.append("no candidate that holds says which attempt it is from")
    settled = [each.body for each in events.values() if each.body.state not in (*OPEN, "released")]
    cost = sum(attempt.cost_usd for attempt in settled)
    words = ", ".join(f"attempt {attempt.attempt} {attempt.state}" for attempt in settled)
    return Link(
        "attempts",
        candidate_id,
        worst(states),
        "; ".join(complaints) or f"{words}; ${cost:.4f} in all",
        {
            "attempts": [
                {
                    "at": event.recorded_at.isoformat(),
                    **event.body.model_dump(mode="json", exclude={"worker"}),
                }
                for event in events.values()
            ]
        },
    )


def _objection(event: Event[Attempt], candidate_id: str, candidate: Candidate | None) -> str:
    """Where an event says something else than its name and the candidate."""
    attempt = event.body
    if (
        event.name not in (event_name(attempt), takeover_name(attempt))
        or attempt.candidate_id != candidate_id
    ):
        return f"{event.name} is about {attempt.candidate_id}, attempt {attempt.attempt}, {attempt.state}"
    is_end = attempt.state not in (*OPEN, "released")
    if candidate is None or not is_end or attempt.attempt != candidate.attempt:
        return ""
    unlike = [name for name in _COPIED if getattr(attempt, name) != getattr(candidate, name)]
    unlike += ["state"] if attempt.state not in _ENDS[candidate.state] else []
    return f"{event.name} and the candidate differ in {', '.join(unlike)}" if unlike else ""


def _claimed_by_others(events: dict[str, Event[Attempt]]) -> list[str]:
    """Attempts that were settled by another worker than claimed them, and were not lost."""
    found = []
    for event in events.values():
        attempt = event.body
        begun = f"{attempt.candidate_id}.{attempt.attempt:04d}.submitting"
        taken = events.get(takeover_name(attempt)) if attempt.handover else events.get(begun)
        claim = (taken or event).body
        is_others = (claim.worker, claim.profile) != (attempt.worker, attempt.profile)
        if attempt.state not in ("lost", "released") and is_others:
            found.append(
                f"attempt {attempt.attempt} was claimed by another worker or profile than settled it"
            )
    return found


def image_links(
    store: Store, campaign_id: str, image_sha256: str | None, candidate: Candidate | None
) -> Iterator[Link]:
    """The stored bytes of the image and its mask, or when and by which policy they expired."""
    if image_sha256 is None:
        reason = candidate.reason if candidate else "no record that holds names it"
        yield Link("image", "", "not checked", f"there is no image: {reason}")
        return
    yield _expired_link(store, campaign_id, candidate, _bytes_link(store, "image", image_sha256))
    if candidate is not None and candidate.mask_sha256 is not None:
        mask = _bytes_link(store, "mask", candidate.mask_sha256)
        yield _expired_link(store, campaign_id, candidate, mask)


def _expired_link(store: Store, campaign_id: str, candidate: Candidate | None, link: Link) -> Link:
    """The link of bytes that are not there; where a record that holds says that they expired, that."""
    if link.state != "missing" or candidate is None:
        return link
    name = expiry_name(candidate.candidate_id, candidate.attempt)
    event, state, words = read_event(store, EXPIRIES, campaign_id, name)
    if state == "altered":
        return Link(link.name, link.identity, "altered", words)
    if event is None or link.identity not in (event.body.image_sha256, event.body.mask_sha256):
        return link
    facts = {"expired_at": event.recorded_at.isoformat(), **event.body.model_dump(mode="json")}
    return Link(link.name, link.identity, "not checked", in_words(event), facts)


def _bytes_link(store: Store, name: str, sha256: str) -> Link:
    state, words, data = stored_bytes(store, sha256)
    if data is None:
        return Link(name, sha256, state, words)
    try:
        picture = picture_facts(data)
    except UnreadablePicture as error:
        return Link(name, sha256, state, f"{words}, and they are no picture: {error}")
    facts = {"width": picture.width, "height": picture.height, "media_type": picture.media_type}
    said = f"{words}; {picture.width} × {picture.height} pixels"
    return Link(
        name, sha256, state, said, {**facts, "size_bytes": len(data), "path": store.images.path(sha256)}
    )


def stored_bytes(store: Store, sha256: str) -> tuple[State, str, bytes | None]:
    """Bytes by their hash, and what looking for them came to."""
    if not store.images.has(sha256):
        return "missing", f"the bytes {sha256} are not in the store", None
    try:
        data = store.images.get(sha256)
    except BrokenFact as error:
        return "altered", str(error), None
    return "holds", "the stored bytes have the hash that is their name", data
