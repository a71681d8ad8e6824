"""A vendor in odd moods: answers as a test says, and remembers what it was told."""

from asset_pipeline_tests.vendors.server import Reply, Request, Vendor


class Scripted(Vendor):
    """Answers with `replies` in their order, and with the last one ever after."""

    name = "scripted"

    def __init__(self, *replies: Reply) -> None:
        super().__init__()
        self.replies = list(replies) or [Reply()]
        self.told: list[Request] = []

    def is_submission(self, request: Request) -> bool:
        """See Vendor: nothing costs anything."""
        del request
        return False

    def answer(self, request: Request) -> Reply:
        """See Vendor."""
        with self.lock:
            self.told.append(request)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
