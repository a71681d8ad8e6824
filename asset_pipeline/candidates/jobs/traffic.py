"""When something may be sent to a provider: its account's limits and its breaker, asked in one place."""

import itertools
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeVar

from asset_pipeline.campaign.brief import Priority
from asset_pipeline.candidates.breaker import Breaker, health_of
from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.health import Health
from asset_pipeline.candidates.limits import Limits, Rate
from asset_pipeline.errors import (
    AccountClosed,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
)
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker

MOST_TURNED_AWAY: Final = 8
"""So often one submission is brought before a busy provider; with pauses that double, for four minutes."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

Answer = TypeVar("Answer")
Stopped = Callable[[], bool]


class Interrupted(Exception):
    """The run ends; what is under way is left as it is recorded."""


class Traffic:
    """One worker's way to one provider by one profile. Threads use it at once.

    Args:
        store: in which processes find each other's limits and health.
        worker: who sends.
        profile: whose breaker it is; a model can be down while the account's others work.
        account: whose limits and pauses they are.
        endpoint: what the limits are.
    """

    def __init__(self, store: Store, worker: Worker, profile: str, account: str, endpoint: Endpoint) -> None:
        limits = endpoint.limits
        per_second = limits.requests_per_second
        rate = None if per_second is None else _rate(per_second)
        self.account = account_subject(account)
        self._limits = Limits(store, account, worker, rate=rate, concurrency=limits.concurrency)
        self._profile = Breaker(store, profile, worker)
        self._account = Breaker(store, self.account, worker)

    def health(self) -> Health:
        """The profile's health, or its account's if that is paused."""
        account = self._account.now_health()
        return account if account.state == "paused" else self._profile.now_health()

    def lease(self, priority: Priority, stopped: Stopped) -> AbstractContextManager[bool]:
        """Hold one of the account's places for a job."""
        return self._limits.lease(priority, stopped)

    def send(self, submit: Callable[[], Answer], stopped: Stopped) -> Answer:
        """Submit when it may be, and again only after it was turned away.

        Raises:
            ProviderUnavailable: the breaker is open, nobody could be reached, or it stayed busy.
            AccountClosed: the account is paused, by this answer or an earlier one.
            ProviderRefused: as the submission raised it.
            SubmissionUnknown: the same.
            Interrupted: the run ends; nothing was accepted.
        """
        account = self._account.now_health()
        if account.state == "paused":
            raise AccountClosed(
                f"{self.account} is paused: {account.because}; mend that, then: "
                f"asset-pipeline providers resume {account_subject(self.account)} --who YOUR-NAME"
            )
        permit = self._profile.may_send()
        if not permit.is_granted:
            raise ProviderUnavailable(f"left alone for now: {permit.health.because}")
        try:
            answer = self._brought(submit, stopped)
        except AccountClosed as error:
            self._profile.unsent(permit)
            self._account.pause(str(error))
            raise
        except (ProviderUnavailable, SubmissionUnknown) as error:
            self._profile.failed(str(error), permit)
            raise
        except ProviderRefused:
            self._profile.succeeded(permit)
            raise
        except BaseException:
            self._profile.unsent(permit)
            raise
        self._profile.succeeded(permit)
        return answer

    def _brought(self, submit: Callable[[], Answer], stopped: Stopped) -> Answer:
        """Submit within the account's limits, again and again while it is turned away."""
        for turn in itertools.count(1):
            if not self._limits.await_turn(stopped):
                raise Interrupted
            try:
                return submit()
            except ProviderBusy as busy:
                pause = busy.retry_after
                if pause is None:
                    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**turn)
                    pause = random.uniform(0, longest)  # noqa: S311 - full jitter
                self._limits.hold_until(time.time() + pause)
                if turn == MOST_TURNED_AWAY:
                    raise
        raise Interrupted

    def failed(self, because: str) -> None:
        """A job that was accepted came to nothing through no fault of its own."""
        self._profile.failed(because, None)


def recorded_health(store: Store, profile: str, account: str) -> Health:
    """The same for who only looks."""
    paused = health_of(store, account_subject(account))
    return paused if paused.state == "paused" else health_of(store, profile)


def account_subject(account: str) -> str:
    """The name under which the health of an account is kept, beside those of profiles."""
    return f"account-{account}"


def _rate(per_second: float) -> Rate:
    """As many calls in as many seconds; as many at once as a second allows."""
    if per_second >= 1:
        return Rate(round(per_second), 1.0, burst=max(1, round(per_second)))
    return Rate(1, 1 / per_second)
