"""The recorded rounds of a funnel: what was asked for of each prompt and why, before any of it was made.

A wave is one event of its campaign, created exclusively: of two runs that decide at once, one records its
wave, the other finds it and goes on with it. What a funnel wants is what its waves say for the prompts and
the profile of now, so that a prompt or a profile that changed starts anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from asset_pipeline.campaign.brief import Funnel
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.funnel import Decision, Left, Share, Standing, Stop, Terms, Tried, first_round
from asset_pipeline.candidates.jobs.attempt import affordable
from asset_pipeline.candidates.judge import Gated
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.store.events import EventStream
from asset_pipeline.store.store import Store


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Seen(_Frozen):
    """What a wave had come to when the next one was decided."""

    wave: int
    asked_for: int
    made: int
    passed: int
    cost_usd: float


class Wave(_Frozen):
    """What a funnel decided at one moment: the next round of the prompts that go on, and which stop."""

    number: int
    run_id: str
    terms: Terms
    """What bounded the funnel then."""
    shares: tuple[Share, ...] = ()
    stops: tuple[Stop, ...] = ()
    seen: tuple[Seen, ...] = ()
    """What it rests on, by the gates of then: the earlier waves, as far as they are wanted."""


WAVES = EventStream("waves", Wave, partitioned_by="campaign")


def load_waves(store: Store, campaign_id: str) -> list[Wave]:
    """Every wave of a campaign in the order of their numbers, those of earlier words and profiles too."""
    waves = [event.body for event in store.events.read(WAVES, campaign_id)]
    return sorted(waves, key=lambda wave: wave.number)


def record_wave(store: Store, campaign_id: str, wave: Wave) -> bool:
    """Record a wave; false if another one has its number."""
    return store.events.append(WAVES, campaign_id, f"wave-{wave.number:04d}", wave)


@dataclass(frozen=True)
class Rounds:
    """A campaign's funnel with what was recorded of it."""

    funnel: Funnel
    terms: Terms
    prompts: Sequence[Prompt]
    profiles: Mapping[str, str]
    """By prompt, the fingerprint of the profile without any parameter moved."""
    waves: Sequence[Wave]

    @property
    def basis_sha256(self) -> str:
        """The hash of what must not change while rounds are made: prompts and profile."""
        return fingerprint(dict(self.profiles))

    @property
    def next_number(self) -> int:
        """The number of the next wave."""
        return self.waves[-1].number + 1 if self.waves else 1

    @property
    def seen(self) -> Sequence[Seen]:
        """What the waves of now had come to when the last one was decided that speaks of them."""
        said = (wave.seen for wave in reversed(self.waves) if self._speaks_of_now(wave))
        return next(said, ())

    @property
    def first_round(self) -> Mapping[str, int]:
        """How many pictures its first round would ask for of each prompt that has had none."""
        size = first_round(self.funnel, len(self.prompts))
        return {prompt.prompt_id: size for prompt in self.prompts if not self.shares(prompt.prompt_id)}

    @property
    def going_on(self) -> Sequence[str]:
        """The prompts about which the last word is not that they stop."""
        return [prompt.prompt_id for prompt in self.prompts if self.stop(prompt.prompt_id) is None]

    @property
    def open(self) -> Sequence[str]:
        """Those that may have a further round by the terms of now."""
        return [prompt.prompt_id for prompt in self.prompts if not self.is_stopped(prompt.prompt_id)]

    def shares(self, prompt_id: str) -> Sequence[Share]:
        """What was asked for of a prompt of now, round after round."""
        return [share for _, share in self._asked.get(prompt_id, ())]

    def stop(self, prompt_id: str) -> Stop | None:
        """Why a prompt of now has no further round, if that was the last word on it."""
        stopped = self._stopped.get(prompt_id)
        return stopped[1] if stopped else None

    def is_stopped(self, prompt_id: str) -> bool:
        """Whether that still holds, by the terms of now."""
        stopped = self._stopped.get(prompt_id)
        return stopped is not None and stopped[1].holds(stopped[0].terms, self.terms)

    def standings(
        self, candidates: Sequence[Candidate], gated: Mapping[str, Gated], parameters: Mapping[str, object]
    ) -> list[Standing]:
        """How every prompt stands.

        Args:
            parameters: the profile's own.
            candidates: what became of what was asked for.
            gated: what the gates say, by the names of those with a picture.
        """
        found = {(each.prompt_id, each.position): each for each in candidates}
        return [
            Standing(
                prompt_id=prompt.prompt_id,
                asset_type=prompt.asset_type,
                profile_fingerprint=self.profiles[prompt.prompt_id],
                parameters={**parameters, **prompt.parameters},
                rounds=self.shares(prompt.prompt_id),
                tried=[
                    _tried(wave, found.get((prompt.prompt_id, position)), gated)
                    for wave, share in self._asked.get(prompt.prompt_id, ())
                    for position in share.positions
                ],
                stop=self.stop(prompt.prompt_id),
                is_stopped=self.is_stopped(prompt.prompt_id),
            )
            for prompt in self.prompts
        ]

    def left(self, price_usd: float, spent_usd: float, *, is_late: bool) -> Left:
        """What is left to spend.

        Args:
            price_usd: the most that a picture costs.
            spent_usd: what all attempts of the campaign came to.
            is_late: whether the campaign's deadline is over.
        """
        asked = sum(len(share.positions) for shares in self._asked.values() for _, share in shares)
        make = max(0, self.terms.make - asked)
        return Left(make, affordable([price_usd] * make, self.terms.budget_usd - spent_usd), is_late)

    def wave(self, decision: Decision, standings: Sequence[Standing], run_id: str) -> Wave:
        """A decision as it is recorded, with what it rests on."""
        tried: dict[int, list[Tried]] = {}
        for each in (tried for standing in standings for tried in standing.tried):
            tried.setdefault(each.wave, []).append(each)
        return Wave(
            number=self.next_number,
            run_id=run_id,
            terms=self.terms,
            shares=decision.shares,
            stops=decision.stops,
            seen=tuple(
                Seen(
                    wave=wave,
                    asked_for=len(those),
                    made=sum(each.state == "made" for each in those),
                    passed=sum(each.gated is not None and each.gated.passes for each in those),
                    cost_usd=round(sum(each.cost_usd for each in those), 6),
                )
                for wave, those in sorted(tried.items())
            ),
        )

    @cached_property
    def _asked(self) -> dict[str, list[tuple[int, Share]]]:
        """By prompt, each share with the number of its wave."""
        asked: dict[str, list[tuple[int, Share]]] = {}
        for wave in self.waves:
            for share in filter(self._is_of_now, wave.shares):
                asked.setdefault(share.prompt_id, []).append((wave.number, share))
        return asked

    @cached_property
    def _stopped(self) -> dict[str, tuple[Wave, Stop]]:
        """By prompt, its last stop and the wave that says so, unless it went on afterwards."""
        stopped: dict[str, tuple[Wave, Stop]] = {}
        for wave in self.waves:
            for share in filter(self._is_of_now, wave.shares):
                stopped.pop(share.prompt_id, None)
            for stop in filter(self._is_of_now, wave.stops):
                stopped[stop.prompt_id] = wave, stop
        return stopped

    def _speaks_of_now(self, wave: Wave) -> bool:
        return any(map(self._is_of_now, wave.shares)) or any(map(self._is_of_now, wave.stops))

    def _is_of_now(self, said: Share | Stop) -> bool:
        return self.profiles.get(said.prompt_id) == said.profile_fingerprint


def _tried(wave: int, candidate: Candidate | None, gated: Mapping[str, Gated]) -> Tried:
    if candidate is None:
        return Tried(wave, "unmade")
    return Tried(
        wave, candidate.state, gated.get(candidate.candidate_id), candidate.reason or "", candidate.cost_usd
    )
