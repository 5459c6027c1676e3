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
    """Return a text without characters that Postgres can't store, masked, then truncated."""
    return mask_text(clean(str(value)))[:longest]


class AdsApiError(ExpectedError):
    """A call to the Ads API failed.

    `reason` is Amazon's text if it answered, otherwise ours. `cause_code` refers to `causes.py`,
    which has the sentence and advice. The client adds the other attributes: what was tried
    (`operation`, `about`) by which credential, HTTP status, Amazon's error code, its id of the
    request, and `retry_after` in seconds. `sent` is whether the request may have reached Amazon,
    though no answer came.
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
        """The cause with its parameters, as stored."""
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
        """Set those of the facts that are not set yet."""
        for name, value in facts.items():
            if getattr(self, name) is None:
                setattr(self, name, as_text(value) if isinstance(value, str) else value)


class AuthError(AdsApiError):
    """Amazon refuses us."""


class CredentialRefused(AuthError):
    """A credential gets no access token, since it is refused or not set."""

    cause_code = "credentials-refused"
    parameters = ("credential_name",)


class NotAuthorized(AuthError):
    """We are authenticated but not authorised for this."""

    cause_code = "account-refused"


class MissingRights(NotAuthorized):
    """Amazon lists the account but refuses its reports until a person grants the right."""

    cause_code = "reporting-not-allowed"


class Rejected(AdsApiError):
    """Amazon understood the request and refuses it; the same request will be refused again."""


class TooOld(Rejected):
    """The period seems to be before the data's retention, by the message: there is no code."""

    cause_code = "report-too-old"


class TooLarge(Rejected):
    """The report would be too large for Amazon: request its days in several reports."""

    cause_code = "report-too-large"


class UnknownField(Rejected):
    """A `field` of the report is unknown to Amazon by this name, at least in this version."""

    cause_code = "field-refused"
    parameters = ("field",)
    field: str | None = None


class DuplicateReport(Rejected):
    """The same report is being made already, under `report_id`."""

    cause_code = "report-duplicate"
    report_id = ""


class NotFound(Rejected):
    """The requested object is unknown to Amazon, or no longer known."""

    cause_code = "not-found"


class UrlExpired(AdsApiError):
    """A download URL has expired."""

    cause_code = "download-expired"


class ReportChanged(AdsApiError):
    """A report retrieved for fresh URLs (`report`) is no longer complete, or has other files."""

    cause_code = "report-changed"
    report: Any = None


class NotWritten(AdsApiError):
    """This host can't write its downloads; the report or export is still at Amazon."""

    cause_code = "file-not-written"
    parameters = ("host", "folder")
    retry_after = RETRY_AFTER.total_seconds()
    host: str | None = None
    folder: str | None = None


class MalformedAnswer(AdsApiError):
    """A response does not match the API's description."""

    cause_code = "answer-unreadable"


class Throttled(AdsApiError):
    """429: too many requests."""

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
    """A create failed by `cause`, but Amazon may have accepted it, so it was not retried."""

    def __init__(self, cause: AdsApiError) -> None:
        facts = ("operation", "about", "status", "code", "request_id", "retry_after")
        super().__init__(cause.reason, **{name: getattr(cause, name) for name in facts})
        self.cause = cause

    @property
    def failure_cause(self) -> dict[str, Any]:
        """The cause, as stored."""
        return self.cause.failure_cause
