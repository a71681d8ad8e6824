"""What attempts cost and what came of them, added up by what a person asks for. Pure over values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Literal, get_args

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.price import total_usd
from asset_pipeline.spending.claims import Claim

By = Literal["provider", "profile", "account", "campaign", "product", "day", "code"]
WAYS: Sequence[By] = get_args(By)
NOT_RECORDED = "(not recorded)"
"""Stands for the product, and for a local provider, of a candidate that no recorded run holds any more."""
NO_ACCOUNT = "(none)"


@dataclass(frozen=True)
class Spent:
    """An attempt, and what is known of it from elsewhere."""

    claim: Claim
    candidate: Candidate | None
    """As the last run recorded it; none if it is not recorded."""
    has_passed: bool = False
    """Whether its picture was selected last and not rejected, by gates or people."""

    @property
    def has_picture(self) -> bool:
        """Whether it brought a picture that counts; that of a slower one of two that were hedged does not."""
        return self.claim.attempt.state == "succeeded"

    @property
    def expected_usd(self) -> float:
        """What it was expected to cost, when it was claimed."""
        call = self.claim.attempt.call
        return self.claim.set_aside_usd if call is None else call.expected_usd

    @property
    def is_estimate(self) -> bool:
        """Whether its cost is what was expected, because the provider said nothing."""
        result = self.claim.attempt.result
        return result is not None and result.cost_basis == "estimated"

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows, or ever knew, what came of it: lost, unreconciled, or released since."""
        attempt = self.claim.attempt
        was_lost = attempt.result is not None and attempt.result.state == "lost"
        return attempt.state in ("lost", "unreconciled") or was_lost


@dataclass(frozen=True)
class Line:
    """Sums over some attempts; dollars are exact sums of what is booked."""

    name: str
    attempts: int
    open: int
    pictures: int
    passed: int
    expected_usd: float
    """Of those with an end."""
    actual_usd: float
    """Of the same."""
    set_aside_usd: float
    """The most that those without an end can cost."""
    estimated_usd: float
    """The part of what was spent that is booked as it was expected."""
    unknown_usd: float
    """The part of what was spent on attempts that are lost or unreconciled."""

    @property
    def difference_usd(self) -> float:
        """How much more was spent than expected."""
        return total_usd((self.actual_usd, -self.expected_usd))

    @property
    def usd_per_picture(self) -> float | None:
        """What a picture cost, failures included; none if there is none."""
        return self.actual_usd / self.pictures if self.pictures else None

    @property
    def usd_per_passed(self) -> float | None:
        """What a picture that passed cost, with all that did not; none if none passed."""
        return self.actual_usd / self.passed if self.passed else None


def spent(claims: Iterable[Claim], candidates: Mapping[str, Candidate], passed: Iterable[str]) -> list[Spent]:
    """Put the attempts of one campaign together with what is recorded of their candidates.

    Args:
        claims: the attempts.
        candidates: the recorded ones, by their names.
        passed: the names of those whose picture passed.
    """
    good = set(passed)
    found = []
    for claim in claims:
        attempt = claim.attempt
        candidate = candidates.get(attempt.candidate_id)
        is_its = candidate is not None and candidate.attempt == attempt.attempt
        has_passed = is_its and attempt.state == "succeeded" and attempt.candidate_id in good
        found.append(Spent(claim, candidate, has_passed))
    return found


def lines(attempts: Iterable[Spent], by: By) -> list[Line]:
    """A line for each group, the dearest first; days in their order."""
    groups: dict[str, list[Spent]] = {}
    for each in attempts:
        groups.setdefault(_name(each, by), []).append(each)
    found = [line(name, its) for name, its in groups.items()]
    if by == "day":
        return sorted(found, key=lambda each: each.name)
    return sorted(found, key=lambda each: (-each.actual_usd, -each.set_aside_usd, each.name))


def line(name: str, attempts: Sequence[Spent]) -> Line:
    """The sums over these attempts."""
    settled = [each for each in attempts if not each.claim.is_open]
    still_open = [each for each in attempts if each.claim.is_open]
    return Line(
        name=name,
        attempts=len(attempts),
        open=len(still_open),
        pictures=sum(each.has_picture for each in attempts),
        passed=sum(each.has_passed for each in attempts),
        expected_usd=total_usd(each.expected_usd for each in settled),
        actual_usd=_cost(settled),
        set_aside_usd=_cost(still_open),
        estimated_usd=_cost([each for each in settled if each.is_estimate]),
        unknown_usd=_cost([each for each in settled if each.is_unknown]),
    )


def _cost(attempts: Iterable[Spent]) -> float:
    return total_usd(each.claim.attempt.cost_usd for each in attempts)


def _name(each: Spent, by: By) -> str:
    attempt, candidate = each.claim.attempt, each.candidate
    local = NOT_RECORDED if candidate is None else candidate.provider
    names: dict[By, str] = {
        "provider": local if attempt.call is None else attempt.call.provider,
        "profile": attempt.profile,
        "account": each.claim.account or NO_ACCOUNT,
        "campaign": each.claim.campaign,
        "product": NOT_RECORDED if candidate is None else candidate.sku,
        "day": each.claim.claimed_at.astimezone(UTC).date().isoformat(),
        "code": attempt.code or attempt.state,
    }
    return names[by]
