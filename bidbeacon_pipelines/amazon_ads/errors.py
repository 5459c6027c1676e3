"""Errors of the Ads API client; no message contains a token or a presigned URL's query."""
# ruff: noqa: N818 - named after the event, as httpx's errors are; the base class ends in Error

from typing import Any, ClassVar, Final

from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.database.unwritable_folders import RETRY_AFTER
from bidbeacon_pipelines.values.lenient import clean
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.masking import mask_text
from bidbeacon_sessions.sentences import join_sentences

LONGEST_TEXT: Final = 1_000


def as_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a value as text for Postgres: secrets masked, at most `longest` characters."""
    return mask_text(clean(str(value)))[:longest]


class AdsApiError(ExpectedError):
    """A call to the Ads API failed.

    `reason` is Amazon's text if Amazon answered, otherwise ours. `causes.py` has the sentence and
    advice for `cause_code`. The client sets the other attributes: `operation` and `about` describe
    the request, `code` is Amazon's error code, `request_id` Amazon's id of the request,
    `retry_after` is in seconds. `sent` is whether an unanswered request may have reached Amazon.
    """

    transient: ClassVar[bool] = False
    parameters: ClassVar[tuple[str, ...]] = ()
    cause_code: str = "request-refused"
    operation: str | None = None
    about: str | None = None
    credential_name: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    sent: bool = False

    def __init__(self, reason: str, *, cause_code: str | None = None, **facts: Any) -> None:
        self.reason = as_text(reason)
        super().__init__(self.reason)
        self.cause_code = cause_code or self.cause_code
        self.add_facts(**facts)

    def __str__(self) -> str:
        facts = {"status": self.status, "code": self.code, "request": self.request_id}
        known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        details = "; ".join(filter(None, [self.about, known]))
        tried = f"Could not {self.operation or 'call the Ads API'}"
        return join_sentences(
            explain(self.failure_cause).text, f"{tried} ({details})" if details else tried
        )

    @property
    def failure_cause(self) -> dict[str, Any]:
        """The cause of the error with its parameters, in the form that is stored."""
        detail = {
            "reason": self.reason,
            "operation": self.operation or "call the Ads API",
            "about": self.about or None,
            "status": self.status,
            "amazon_code": self.code,
            "amazon_request": self.request_id,
        }
        differing = {n: value for n in self.parameters if (value := getattr(self, n)) is not None}
        return cause(self.cause_code, detail=detail, **differing)

    def add_facts(self, **facts: str | float | None) -> None:
        """Set the given attributes of the error, except those that are already set."""
        for name, value in facts.items():
            if getattr(self, name) is None:
                setattr(self, name, as_text(value) if isinstance(value, str) else value)


class AuthError(AdsApiError):
    """Amazon refuses our credential or our access."""


class CredentialRefused(AuthError):
    """There is no access token: Amazon refuses the credential, or the credential is not set."""

    cause_code = "credentials-refused"
    parameters = ("credential_name",)


class NotAuthorized(AuthError):
    """Amazon accepts the credential, but does not allow this request."""

    cause_code = "account-refused"


class MissingRights(NotAuthorized):
    """Amazon lists the account but refuses its reports until a person grants the right."""

    cause_code = "reporting-not-allowed"


class Rejected(AdsApiError):
    """Amazon understood the request and refuses it; the same request will be refused again."""


class TooOld(Rejected):
    """Amazon's message says that the period is too old; there is no error code for this."""

    cause_code = "report-too-old"


class TooLarge(Rejected):
    """The report would be too large for Amazon; request its days in several reports."""

    cause_code = "report-too-large"


class UnknownField(Rejected):
    """Amazon does not know a `field` of the report, at least in this version of the API."""

    cause_code = "field-refused"
    parameters = ("field",)
    field: str | None = None


class DuplicateReport(Rejected):
    """Amazon is already making the same report; `report_id` is the id of that report."""

    cause_code = "report-duplicate"
    report_id = ""


class NotFound(Rejected):
    """Amazon does not know the requested object, or no longer knows it."""

    cause_code = "not-found"


class UrlExpired(AdsApiError):
    """A download URL has expired."""

    cause_code = "download-expired"


class ReportChanged(AdsApiError):
    """`report`, retrieved again for fresh URLs, is no longer complete or has other files."""

    cause_code = "report-changed"
    report: Any = None


class NotWritten(AdsApiError):
    """This host can't write downloads; Amazon still has the report or export."""

    cause_code = "file-not-written"
    parameters = ("host", "folder")
    retry_after = RETRY_AFTER.total_seconds()
    host: str | None = None
    folder: str | None = None


class MalformedAnswer(AdsApiError):
    """A response does not match the API's description."""

    cause_code = "answer-unreadable"


class Throttled(AdsApiError):
    """Amazon answered 429: too many requests."""

    transient = True
    cause_code = "throttled"


class RateLimited(Throttled):
    """Our rate limits require a longer wait (`retry_after`) than allowed; nothing was sent."""

    transient = False
    cause_code = "rate-limited"


class Unavailable(AdsApiError):
    """A server error, an incomplete response, or another fault that a retry may resolve."""

    transient = True
    cause_code = "amazon-unavailable"


class OutcomeUnknown(AdsApiError):
    """A create request failed (`cause`), but it was not retried: Amazon may have accepted it."""

    def __init__(self, cause: AdsApiError) -> None:
        facts = ("operation", "about", "status", "code", "request_id", "retry_after")
        super().__init__(cause.reason, **{name: getattr(cause, name) for name in facts})
        self.cause = cause

    @property
    def failure_cause(self) -> dict[str, Any]:
        """The cause of the original error, in the form that is stored."""
        return self.cause.failure_cause
