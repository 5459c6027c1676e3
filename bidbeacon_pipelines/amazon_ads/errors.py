"""The errors of the Ads API client; no message ever contains a token or a presigned URL's query."""
# ruff: noqa: N818 - the names say what happened, as those of httpx do; the base class ends in Error

from typing import Any, ClassVar

from bidbeacon_pipelines.amazon_ads.texts import as_text
from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.database.unwritable_folders import RETRY_AFTER
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.sentences import join_sentences


class AdsApiError(ExpectedError):
    """A call to the Ads API failed.

    `reason` is what went wrong: Amazon's own words where it answered, otherwise ours. `cause_code`
    is the row of the table of causes that explains it and says what to do. The other attributes are
    facts of the call, which the client adds: what was tried (`operation`, `about`) by which
    credential, HTTP status, Amazon's error code, its id of the request, and the seconds that it
    asks us to wait. `sent` is whether the request may have reached Amazon, though no answer came.
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
        """The cause, as stored."""
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
        """Set facts of the exchange that are not set yet."""
        for name, value in facts.items():
            if getattr(self, name) is None:
                setattr(self, name, as_text(value) if isinstance(value, str) else value)


class AuthError(AdsApiError):
    """Amazon refuses us."""


class CredentialRefused(AuthError):
    """A credential gets no token: `token-revoked`, `client-refused`, `credentials-refused`, or it is not set."""

    cause_code = "credentials-refused"
    parameters = ("credential_name",)


class NotAuthorized(AuthError):
    """We are authenticated but not authorised for this."""

    cause_code = "account-refused"


class MissingRights(NotAuthorized):
    """Amazon lists the account but refuses its reports: terminal until a person grants the right."""

    cause_code = "reporting-not-allowed"


class Rejected(AdsApiError):
    """Amazon understood the request and refuses it; the same request will be refused again."""


class TooOld(Rejected):
    """The refusal reads as if the period lies before what Amazon keeps of this data; no code says so."""

    cause_code = "report-too-old"


class TooLarge(Rejected):
    """The report would be too large for Amazon: request its days in several reports."""

    cause_code = "report-too-large"


class UnknownField(Rejected):
    """Amazon doesn't know a `field` of the report by this name; another version of the API may."""

    cause_code = "field-refused"
    parameters = ("field",)
    field: str | None = None


class DuplicateReport(Rejected):
    """The same report is being made already, under `report_id`."""

    cause_code = "report-duplicate"
    report_id = ""


class NotFound(Rejected):
    """Amazon does not know it, or no longer."""

    cause_code = "not-found"


class UrlExpired(AdsApiError):
    """A download URL has expired."""

    cause_code = "download-expired"


class ReportChanged(AdsApiError):
    """A report, retrieved again for fresh URLs, is no longer complete, or has other files: it is `report` now."""

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
    """Our own rate limits ask for a longer wait (`retry_after`) than we allow: nothing was sent."""

    transient = False
    cause_code = "rate-limited"


class Unavailable(AdsApiError):
    """A server error, no complete response, or something else that another attempt may cure."""

    transient = True
    cause_code = "amazon-unavailable"


class OutcomeUnknown(AdsApiError):
    """A create that Amazon may have accepted all the same, so nothing was sent again; `cause` is what happened."""

    def __init__(self, cause: AdsApiError) -> None:
        facts = ("operation", "about", "status", "code", "request_id", "retry_after")
        super().__init__(cause.reason, **{name: getattr(cause, name) for name in facts})
        self.cause = cause

    @property
    def failure_cause(self) -> dict[str, Any]:
        """The cause, as stored."""
        return self.cause.failure_cause
