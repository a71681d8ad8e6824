"""Fetches photographs that feeds name by URL: politely, once, and so that a killed run loses little.

Each request is an errand to one host. A redirect is a new errand to the host that it names, so that whatever
holds for hosts holds there too.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from asset_pipeline.catalog.picture_file import keep_picture
from asset_pipeline.catalog.remote.hosts import Errand, Hosts
from asset_pipeline.catalog.remote.photograph import (
    FetchRules,
    RemotePhotograph,
    conditions,
    is_due,
    shown_url,
    url_sha256,
)
from asset_pipeline.catalog.remote.request import Busy, Failed, Line, Moved, NotChanged, Sent
from asset_pipeline.errors import UnreadablePicture
from asset_pipeline.store.images import Images

MOST_REDIRECTS = 3
_TELL_EVERY_S = 5.0
_WEB_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")

Record = Callable[[Sequence[RemotePhotograph]], None]
"""Keeps what is known of all photographs that are wanted."""
_Outcome = RemotePhotograph | NotChanged | Moved | Busy | Failed


class Fetcher:
    """Gives what is known of photographs by URL, after asking for those of which too little is.

    Args:
        rules: how to ask.
        images: where the bytes go.
        known: what is known.
        record: is handed what is known, every so often while that grows, and at the end.
        report: is told how far it is.
    """

    def __init__(
        self,
        rules: FetchRules,
        images: Images,
        known: Iterable[RemotePhotograph],
        record: Record,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._rules = rules
        self._images = images
        self._known = {each.url_sha256: each for each in known}
        self._record = record
        self._report = report

    def __call__(self, urls: Iterable[str]) -> dict[str, RemotePhotograph]:
        """What is known now, by URL.

        Args:
            urls: as feeds have them.
        """
        wanted = sorted(set(urls))
        now = datetime.now(UTC)
        found = {url: self._known.get(url_sha256(url)) for url in wanted}
        due = [Errand(url, found[url], place=url) for url in wanted if is_due(found[url], self._rules, now)]
        state = {url: known for url, known in found.items() if known is not None}
        if not due:
            return state
        if self._rules.is_offline:
            closed = Failed("not asked: ASSET_PIPELINE_OFFLINE is set", is_refused=True)
            missing = [each for each in due if each.known is None or each.known.picture is None]
            return state | {each.url: _known_now(each, closed) for each in missing}
        return _Round(self._rules, self._images, self._record, self._report).run(due, state)


class _Round:
    """One round through all hosts, until everything has an answer."""

    def __init__(
        self, rules: FetchRules, images: Images, record: Record, report: Callable[[str], None]
    ) -> None:
        self._rules = rules
        self._images = images
        self._record = record
        self._report = report
        self._hosts = Hosts(rules)
        self._state: dict[str, RemotePhotograph] = {}
        self._has_news = False
        self._answered = self._failed = self._bytes = 0
        self._recorded_at = self._told_at = time.monotonic()

    def run(
        self, errands: Sequence[Errand], state: Mapping[str, RemotePhotograph]
    ) -> dict[str, RemotePhotograph]:
        """Ask for everything; whatever ends this early, what was had until then is recorded.

        Args:
            errands: the photographs to ask for.
            state: what is known of all that are wanted, by URL.

        Returns:
            The same, as it is afterwards.
        """
        self._state = dict(state)
        for errand in errands:
            self._hosts.put(errand)
        self._report(f"photographs: {len(errands)} to ask for at {len(self._hosts)} hosts")
        with closing(Line(self._rules)) as line, ThreadPoolExecutor(self._rules.together) as threads:
            running: dict[Future[_Outcome], Errand] = {}
            try:
                while self._answered < len(errands):
                    while len(running) < self._rules.together and (
                        taken := self._hosts.take(time.monotonic())
                    ):
                        running[threads.submit(self._ask, line, taken)] = taken
                    self._wait(running)
                    for future in [each for each in running if each.done()]:
                        self._settle(running.pop(future), future.result())
                    self._tell(len(errands), _TELL_EVERY_S)
                    self._keep(self._rules.record_every.total_seconds())
            finally:
                line.cut()
                for future in running:
                    future.cancel()
                self._keep(0)
        self._tell(len(errands), 0)
        return self._state

    def _wait(self, running: Iterable[Future[Any]]) -> None:
        """Until an answer comes, a host may be asked again, or there may be something to tell."""
        pause = min(1.0, self._hosts.wait_s(time.monotonic()) or 1.0)
        if running:
            wait(running, timeout=pause, return_when=FIRST_COMPLETED)
        else:
            time.sleep(pause)

    def _ask(self, line: Line, errand: Errand) -> _Outcome:
        """In a thread: ask, look at what came, and keep it."""
        known = errand.known
        asked = conditions(known, errand.place)
        if asked and known and known.sha256 and not self._images.has(known.sha256):
            asked = {}
        answer = line.ask(errand.place, asked)
        if not isinstance(answer, Sent):
            return answer
        try:
            picture = keep_picture(answer.data, self._images)
        except UnreadablePicture as error:
            is_page = answer.data[:512].lstrip().lower().startswith(_WEB_PAGE)
            what = "a web page, not a picture" if is_page else f"no picture that can be used: {error}"
            said = f" (the server calls it {answer.content_type})" if answer.content_type else ""
            return Failed(f"what came is {what}{said}")
        now = datetime.now(UTC)
        return RemotePhotograph(
            url_sha256=url_sha256(errand.url),
            url=shown_url(errand.url),
            final_url=shown_url(errand.place),
            final_url_sha256=url_sha256(errand.place),
            etag=answer.etag,
            last_modified=answer.last_modified,
            sha256=picture.sha256,
            media_type=picture.media_type,
            width=picture.width,
            height=picture.height,
            size=len(answer.data),
            fetched_at=now,
            checked_at=now,
        )

    def _settle(self, errand: Errand, answer: _Outcome) -> None:
        if isinstance(answer, Busy):
            for given_up, reason in self._hosts.missed(errand, answer, time.monotonic()):
                self._fail(given_up, Failed(reason))
            return
        self._hosts.answered(errand)
        if isinstance(answer, RemotePhotograph):
            self._bytes += answer.size or 0
            self._answer(errand, answer)
        elif isinstance(answer, NotChanged):
            self._answer(errand, _known_now(errand, None))
        elif isinstance(answer, Moved):
            self._follow(errand, answer.url)
        else:
            self._fail(errand, answer)

    def _follow(self, errand: Errand, url: str) -> None:
        if errand.redirects >= MOST_REDIRECTS:
            self._fail(errand, Failed(f"more than {MOST_REDIRECTS} redirects"))
            return
        further = replace(errand, place=url, redirects=errand.redirects + 1, tries=0)
        if closed := self._hosts.put(further):
            self._fail(further, Failed(closed))

    def _fail(self, errand: Errand, failure: Failed) -> None:
        if errand.redirects:
            where = f"{failure.reason}, after a redirect to {shown_url(errand.place)}"
            failure = replace(failure, reason=where)
        self._answer(errand, _known_now(errand, failure))

    def _answer(self, errand: Errand, answer: RemotePhotograph) -> None:
        self._answered += 1
        self._failed += answer.failure is not None
        if answer.is_refused and errand.known and errand.known.failure == answer.failure:
            return  # nobody was asked, and nothing is new
        self._state[errand.url] = answer
        self._has_news = True

    def _keep(self, every_s: float) -> None:
        if self._has_news and time.monotonic() - self._recorded_at >= every_s:
            self._record(list(self._state.values()))
            self._has_news, self._recorded_at = False, time.monotonic()

    def _tell(self, total: int, every_s: float) -> None:
        if time.monotonic() - self._told_at >= every_s:
            self._told_at = time.monotonic()
            self._report(
                f"photographs: {self._answered} of {total} asked for, "
                f"{self._bytes / 1e6:.1f} MB fetched, {self._failed} failed"
            )


def _known_now(errand: Errand, failure: Failed | None) -> RemotePhotograph:
    """What is known of a photograph of which no bytes came; the copy that there was stays."""
    told: dict[str, Any] = {
        "checked_at": datetime.now(UTC),
        "failure": failure.reason if failure else None,
        "is_refused": failure.is_refused if failure else False,
    }
    if errand.known is not None:
        return errand.known.model_copy(update=told)
    return RemotePhotograph(url_sha256=url_sha256(errand.url), url=shown_url(errand.url), **told)
