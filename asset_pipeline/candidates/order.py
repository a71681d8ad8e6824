"""What a run was asked to make, with what, and how."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from asset_pipeline.campaign.brief import Priority, Sensitivity
from asset_pipeline.candidates.request import Asked, Profile, Provider
from asset_pipeline.candidates.routing import PassRate
from asset_pipeline.candidates.wanted import Wanted, rehearsed, wanted_sha256
from asset_pipeline.candidates.waves import Rounds
from asset_pipeline.errors import MissingModel, ProviderError
from asset_pipeline.fingerprint import seed_from

REMOTE_MAKERS = 8
"""How many jobs of a remote provider are under way at once in a process, where its profile does not say."""


@dataclass(frozen=True)
class Lane:
    """One way of making a campaign's pictures: a profile with its provider."""

    name: str
    """The profile's."""
    profile: Profile
    provider: Provider

    @property
    def is_remote(self) -> bool:
        """Whether the provider is asked through an endpoint, one picture at a time."""
        return self.profile.endpoint is not None

    @property
    def makers(self) -> int:
        """How many batches are made side by side: no more than the profile and the provider say."""
        if self.is_remote:
            return self.profile.concurrency or REMOTE_MAKERS
        limits = [limit for limit in (self.profile.concurrency, self.provider.makers) if limit]
        return min(limits, default=os.cpu_count() or 1)

    @property
    def batch_size(self) -> int:
        """The most requests that the provider is handed at once."""
        return 1 if self.is_remote else self.profile.batch_size

    @property
    def costs(self) -> bool:
        """Whether its pictures cost anything."""
        return self.profile.price.unit != "free"

    def asked(self, wanted: Wanted) -> Asked:
        """What this provider is asked for a candidate."""
        request = wanted.asked.request
        return Asked(request, {**self.profile.parameters, **request.parameters})

    def most_usd(self, wanted: Wanted) -> float:
        """The most that a candidate can cost here."""
        return self.profile.most_usd(wanted.asked.request.width, wanted.asked.request.height)

    def expected_usd(self, wanted: Wanted) -> float:
        """What a candidate is expected to cost here."""
        return self.profile.expected_usd(wanted.asked.request.width, wanted.asked.request.height)


@dataclass(frozen=True)
class Order:
    """What a run was asked to make, with what, and how."""

    campaign_id: str
    wanted: Sequence[Wanted]
    profile_name: str
    profile: Profile
    """The campaign's own, which is part of every candidate's name."""
    provider: Provider
    budget_usd: float
    afresh: bool = False
    rounds: Rounds | None = None
    """The campaign's funnel, if it has one."""
    part: tuple[int, int] = (0, 1)
    """Of a funnel: which shard this is, of how many."""
    alternatives: tuple[Lane, ...] = ()
    """Others that may make its pictures; which one does, routing says for each."""
    budget_usd_per_day: float | None = None
    """The most that attempts that are claimed on one day (UTC) may cost; none: as much as the whole."""
    priority: Priority = "normal"
    sensitivity: Sensitivity = "internal"
    """The campaign's."""
    sensitivities: Mapping[str, Sensitivity] = field(default_factory=dict)
    """Of products that are more sensitive than that, by SKU."""
    seconds_left: float | None = None
    """Until the campaign's deadline, when the order was written."""
    pass_rates: Mapping[str, PassRate] = field(default_factory=dict)
    """By profile, how many of its judged pictures passed."""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All that may make its pictures, the campaign's own profile first."""
        return (Lane(self.profile_name, self.profile, self.provider), *self.alternatives)

    def lane(self, profile_name: str) -> Lane:
        """The lane of a profile; the campaign's own if it is not one of them any more."""
        return next((each for each in self.lanes if each.name == profile_name), self.lanes[0])

    def sensitivity_of(self, wanted: Wanted) -> Sensitivity:
        """The stricter of the campaign's and the product's."""
        return self.sensitivities.get(wanted.prompt.sku, self.sensitivity)

    @property
    def most_usd(self) -> float:
        """The most that one of its pictures can cost with the campaign's own profile."""
        sizes = {(each.asked.request.width, each.asked.request.height) for each in self.wanted}
        if self.rounds is not None:
            sizes |= {(prompt.width, prompt.height) for prompt in self.rounds.prompts}
        return max((self.profile.most_usd(*size) for size in sizes), default=0.0)

    def expected_usd(self, wanted: Sequence[Wanted]) -> float:
        """What these are expected to cost with the campaign's own profile."""
        return sum(self.lanes[0].expected_usd(each) for each in wanted)

    def shard(self, index: int, of: int) -> "Order":
        """The part of the order that shard `index` of `of` makes, by the candidates' names.

        A funnel's rounds are the campaign's, so that its shards make each round together: each begins with
        its own prompts, by their names, and then takes what others have not begun.
        """
        if self.rounds is not None:
            return replace(self, part=(index, of))
        mine = [each for each in self.wanted if int(each.candidate_id[1:9], 16) % of == index]
        return replace(self, wanted=mine)

    @property
    def basis_sha256(self) -> str:
        """The hash of what must not change during a run; a funnel's rounds add to what is wanted."""
        return wanted_sha256(self.wanted) if self.rounds is None else self.rounds.basis_sha256

    def requests(self) -> Iterator[Asked]:
        """All that the provider has to have words for, a funnel's later rounds included.

        Raises:
            UnsupportedRequest: it has none for a parameter of them, at the time when that comes.
        """
        yield from (each.asked for each in self.wanted)
        if self.rounds is not None:
            yield from rehearsed(self.rounds, self.profile, self.provider.version_of)

    def is_own(self, wanted: Wanted) -> bool:
        """Whether it is of the shard's own prompts."""
        index, of = self.part
        return seed_from("shard", wanted.prompt.prompt_id) % of == index

    def in_turn(self, missing: Sequence[Any]) -> list[Any]:
        """The shard's own first, then the others' from their end, where they are not at work yet.

        Args:
            missing: pairs that begin with what is wanted.
        """
        own = [each for each in missing if self.is_own(each[0])]
        return own + [each for each in reversed(missing) if not self.is_own(each[0])]

    def require_words(self) -> None:
        """Refuse what none of its lanes can say, before anything is spent.

        Raises:
            UnsupportedRequest: as the campaign's own provider says it.
            MissingModel: the same.
        """
        for asked in self.requests():
            self.require_words_for(asked)

    def require_words_for(self, asked: Asked) -> None:
        """The same of one request."""
        try:
            self.provider.check(asked)
        except (ProviderError, MissingModel):
            if not any(_can_say(lane, asked) for lane in self.alternatives):
                raise


def _can_say(lane: Lane, asked: Asked) -> bool:
    try:
        lane.provider.check(Asked(asked.request, {**lane.profile.parameters, **asked.request.parameters}))
    except (ProviderError, MissingModel):
        return False
    return True
