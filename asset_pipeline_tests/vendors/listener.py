"""The other end of webhooks: takes whatever is sent to it, and keeps it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from asset_pipeline_tests.vendors.server import Reply, Request, Vendor, serving

_SECONDS = 10.0


class Listener(Vendor):
    """A server that is called back."""

    name = "listener"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Request] = []
        self._changed = threading.Condition()

    def is_submission(self, request: Request) -> bool:
        del request
        return False

    def answer(self, request: Request) -> Reply:
        with self._changed:
            self.heard.append(request)
            self._changed.notify_all()
        return Reply(200, {})

    def wait_for(self, count: int) -> list[Request]:
        """The deliveries, once there are so many. Raises AssertionError if they do not come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= count, _SECONDS), "no delivery came"
            return list(self.heard)


@contextmanager
def listening() -> Iterator[Listener]:
    """Let a listener listen for as long as the block runs."""
    listener = Listener()
    with serving(listener):
        yield listener
