"""What may be asked of which host, and when: few requests at once, and none for a while if it is too much."""

from collections import deque
from dataclasses import dataclass, field

import httpx

from asset_pipeline.catalog.remote.photograph import FetchRules, RemotePhotograph
from asset_pipeline.catalog.remote.request import Busy

MOST_TRIES = 3
MOST_MISSES = 10
"""A host that is busy or silent so often in a row is left alone for the rest of the run."""


@dataclass
class Errand:
    """A photograph that is to be asked for."""

    url: str
    """As the feed has it."""
    known: RemotePhotograph | None
    place: str
    """Where it is asked for now."""
    redirects: int = 0
    tries: int = 0
    """How often the host was busy or silent when it was asked."""


@dataclass
class _Host:
    most: int
    """Requests that may be under way there at once."""
    waiting: deque[Errand] = field(default_factory=deque)
    running: int = 0
    not_before: float = 0.0
    misses: int = 0
    """How often it was busy or silent since it last answered."""
    closed: str | None = None
    """Why it is left alone."""


class Hosts:
    """Errands by host. Moments are seconds of one clock, whichever that is."""

    def __init__(self, rules: FetchRules) -> None:
        self._rules = rules
        self._hosts: dict[str, _Host] = {}

    def __len__(self) -> int:
        """How many hosts there are."""
        return len(self._hosts)

    def put(self, errand: Errand) -> str | None:
        """Add an errand to those that wait for its host; or say why the host is left alone."""
        host = self._host(errand)
        if host.closed is None:
            host.waiting.append(errand)
        return host.closed

    def take(self, now: float) -> Errand | None:
        """An errand that may be run now, of each host in turn."""
        for name, host in self._hosts.items():
            if host.waiting and host.running < host.most and host.not_before <= now:
                self._hosts[name] = self._hosts.pop(name)
                host.running += 1
                return host.waiting.popleft()
        return None

    def wait_s(self, now: float) -> float | None:
        """How long until a host that is left alone may be asked again; none if no errand waits for that."""
        moments = [host.not_before - now for host in self._hosts.values() if host.waiting]
        return min((moment for moment in moments if moment > 0), default=None)

    def answered(self, errand: Errand) -> None:
        """An errand is back with an answer."""
        host = self._host(errand)
        host.running -= 1
        host.misses = 0

    def missed(self, errand: Errand, answer: Busy, now: float) -> list[tuple[Errand, str]]:
        """An errand is back without one: leave the host alone for a while or for good, and ask less of it.

        Returns:
            The errands that are given up, and why.
        """
        host = self._host(errand)
        host.running -= 1
        host.misses += 1
        errand.tries += 1
        if answer.is_too_much:
            host.most = max(1, host.most // 2)
        pause = self._rules.pause.total_seconds() * 2 ** (errand.tries - 1)
        pause = pause if answer.wait_s is None else answer.wait_s
        host.not_before = max(host.not_before, now + pause)
        if pause > self._rules.longest_wait.total_seconds():
            host.closed = f"{answer.reason}, and asks to be left alone for {pause:.0f} s: run again later"
        elif host.misses >= MOST_MISSES:
            host.closed = f"{answer.reason}; left alone after {MOST_MISSES} such answers: run again later"
        if host.closed is not None:
            given_up = [errand, *host.waiting]
            host.waiting.clear()
            return [(each, host.closed) for each in given_up]
        if errand.tries >= MOST_TRIES:
            return [(errand, answer.reason)]
        host.waiting.appendleft(errand)
        return []

    def _host(self, errand: Errand) -> _Host:
        return self._hosts.setdefault(_host_of(errand.place), _Host(self._rules.together_by_host))


def _host_of(url: str) -> str:
    """The host of a URL, in lower case; nothing if it is none."""
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return ""
