"""Every way the pipeline can fail on purpose, named by what the caller does next.

PipelineError
├── InvalidFile              a file that a person wrote is wrong: mend the line it names
├── UnreadableFeed           a catalog file cannot be read as a whole: replace it, the other files go on
├── UnreadablePicture        bytes that are no usable picture: replace the picture, the others go on
├── NotFound                 nothing has that name: look at the names the message offers
├── MissingModel             a model file is missing or altered: fetch it from where the message says
├── NoRoute                  no model profile may take this campaign: change the profile or the campaign
├── BudgetExceeded           the next image would cost more than is left: raise the budget or stop
├── ProviderError            a provider did not give us an image
│   ├── ProviderRefused      it will refuse this request again: give up the image, read the reason
│   ├── ProviderUnavailable  it is down, busy or closed to us: run again later
│   │   ├── ProviderBusy     it turned a submission away: send it again after the pause it asks for
│   │   └── AccountClosed    key, credit or endpoint are not accepted: mend it, then resume the account
│   ├── UnsupportedRequest   it has no words for this request: choose another profile
│   ├── SubmissionUnknown    it may have accepted a submission: reconcile before anything is sent again
│   └── OutputUnreachable    it made a picture that cannot be fetched: only another attempt brings one
├── UnfinishedRun            some candidates have no end: materialise the partition again
├── UnsafeStore              the storage cannot keep the store's promises: choose another root
├── BrokenFact               a stored fact is missing or altered: see the audit, restore from a backup
└── IncompleteExport         an export could not be finished: run it again, nothing was published

Anything else that is raised is a bug: let it reach the run's log.
"""


class PipelineError(Exception):
    """The pipeline failed on purpose; the message says what to do next."""


class InvalidFile(PipelineError):
    """A file that a person wrote is wrong; the message names file, line and field."""


class UnreadableFeed(PipelineError):
    """A catalog file cannot be read as a whole."""


class UnreadablePicture(PipelineError):
    """These bytes are not a picture the pipeline can use; the message is the reason alone."""


class NotFound(PipelineError):
    """Nothing has the name that was asked for."""


class MissingModel(PipelineError):
    """A file of a model is missing, or is not the one that was meant; says what to fetch from where."""


class NoRoute(PipelineError):
    """No model profile may, or can, take this campaign's requests."""


class BudgetExceeded(PipelineError):
    """Making the next image would exceed the campaign's budget."""


class ProviderError(PipelineError):
    """A provider did not give us an image.

    Args:
        message: what happened, in words without secrets.
        code: the same in a word of docs/runbook.md; the class has one of its own.
    """

    code = "model_error"

    def __init__(self, message: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.code


class ProviderRefused(ProviderError):
    """The provider will refuse this request again; the message is the reason."""

    code = "invalid_request"


class ProviderUnavailable(ProviderError):
    """The provider is down, busy or closed to us for now."""

    code = "provider_unavailable"


class ProviderBusy(ProviderUnavailable):
    """The provider turned something away before it accepted anything."""

    code = "rate_limited"

    def __init__(self, message: str = "", code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code)
        self.retry_after = retry_after
        """The seconds that it asks to be left alone for; none if it does not say."""


class AccountClosed(ProviderUnavailable):
    """A key, a purse or an endpoint is not accepted; waiting does not help, a person does."""

    code = "auth"


class UnsupportedRequest(ProviderError):
    """The provider has no words for this request."""

    code = "unsupported_feature"


class SubmissionUnknown(ProviderError):
    """A submission was sent, and nobody knows whether it was accepted, and so paid for."""

    code = "submit_unknown"


class OutputUnreachable(ProviderError):
    """A picture was made and cannot be fetched any more, or from nowhere that may be asked."""

    code = "output_expired"


class UnfinishedRun(PipelineError):
    """A run ended while some of its candidates have no end; what is finished is kept."""


class UnsafeStore(PipelineError):
    """The storage behind the store cannot keep its promises (exclusive creation, read after write)."""


class BrokenFact(PipelineError):
    """A stored fact or image is missing, or is not what its name or hash says."""


class IncompleteExport(PipelineError):
    """An export could not be finished; nothing of it was published."""
