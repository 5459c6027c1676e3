"""The errors of the Ads API client; no message ever contains a token or a presigned URL's query.

AdsApiError
├── AuthError                 manual action is needed; NotAuthorized may concern one account only
│   ├── InvalidGrant          the refresh token is revoked or expired
│   ├── InvalidClient         client id and secret don't belong together
│   ├── IncompleteCredentials  some of the settings are missing
│   └── NotAuthorized         401 even with a fresh token, or 403
│       └── MissingRights     the account is listed, and may not be reported on
├── Rejected                  any other 4xx: the same request fails again
│   ├── TooOld                the period lies before what Amazon keeps
│   ├── TooLarge              the report would be too large (413)
│   ├── UnknownField          Amazon doesn't know a field by this name (400005)
│   ├── FieldsExcluded        fields exclude each other or lack a companion (400004, 400006)
│   ├── DuplicateReport       the same report is being made already; carries its id
│   └── NotFound              Amazon knows no such report, export or path (404), or no longer (410)
├── DownloadRefused           we refuse: foreign host, foreign redirect, or too large
├── DownloadCancelled         another file of the same report failed for good
├── NotWritten                the disk is full, or refuses
├── UrlExpired                a download URL outlived its time: retrieve the report again
│   └── UrlsNotResigned       … which gave none that works: request the report again
├── PartMissing               Amazon counts a file among the report's, and doesn't have it
├── PartsChanged              a report looked at again has other files
├── ReportNotReady            a report looked at again is no longer complete
├── MalformedAnswer           an answer that is not what it has to be
│   └── UnreadableAnswer      not even JSON; transient, as those below
├── OutcomeUnknown            a create that Amazon may or may not have accepted
│                             ── those below are transient: reads were repeated before they got here ──
├── Throttled                 429
│   └── RateLimited           our own rate limits ask for a longer wait than we allow: nothing was sent
├── Upstream                  5xx, or 408
├── Unreachable               no connection, a broken one, or a timeout
└── DownloadIncomplete        a file of another size than announced, or a broken gzip
    └── DownloadTooSlow       its time is used up; not tried again
"""
# ruff: noqa: N818 - the names say what happened, as those of httpx do; the base class ends in Error

from typing import Any, ClassVar

from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_sessions.redaction import redact_text
from bidbeacon_sessions.sentences import join_sentences


class AdsApiError(Exception):
    """A call to the Ads API failed.

    Attributes:
        reason: What went wrong: Amazon's own words where it answered, otherwise ours.
        operation: The operation, such as "create a report".
        about: Its subject, such as "account amzn1.…, 2026-11-01 to 2026-11-07".
        status: HTTP status, where an answer came.
        code: Amazon's own error code.
        request_id: Amazon's id of the request, for its support.
        retry_after: Seconds that Amazon asks us to wait, if any.
    """

    transient: ClassVar[bool] = False
    cause_code: ClassVar[str] = "request-refused"

    def __init__(
        self,
        reason: str,
        *,
        operation: str = "call the Ads API",
        about: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.reason = redact_text(reason)
        super().__init__(self.reason)
        self.operation = operation
        self.about = about
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        facts = [
            f"{name} {value}"
            for name, value in (
                ("status", self.status),
                ("code", self.code),
                ("request", self.request_id),
            )
            if value is not None
        ]
        details = "; ".join(filter(None, [self.about, ", ".join(facts)]))
        tried = f"Could not {self.operation}{f' ({details})' if details else ''}"
        return join_sentences(explain(self.failure_cause).text, tried)

    @property
    def failure_cause(self) -> dict[str, Any]:
        """The cause, as stored."""
        detail = {
            "reason": self.reason,
            "operation": self.operation,
            "about": self.about,
            "status": self.status,
            "amazon_code": self.code,
            "amazon_request": self.request_id,
        }
        return cause(self.cause_code, detail=detail, **self._parameters())

    def _parameters(self) -> dict[str, Any]:
        """Return what makes causes of its code differ."""
        return {}

    def add_facts(self, *, about: str | None, status: int | None, request_id: str | None) -> None:
        """Add facts of the exchange that are not set yet."""
        self.about = self.about or about
        self.status = self.status or status
        self.request_id = self.request_id or request_id

    @property
    def cause_word(self) -> str:
        """A short name of what happened, to group by: "HTTP 429", "no connection"."""
        return type(self).__name__ if self.status is None else f"HTTP {self.status}"


class AuthError(AdsApiError):
    """Amazon does not accept our credentials."""

    cause_code = "credentials-refused"


class InvalidGrant(AuthError):
    """The refresh token was revoked or has expired: terminal."""

    cause_code = "token-revoked"


class InvalidClient(AuthError):
    """Client id and client secret don't belong together: terminal."""

    cause_code = "client-refused"


class IncompleteCredentials(AuthError):
    """Client id, client secret or refresh token is not set."""

    cause_code = "credentials-incomplete"


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
    """Amazon doesn't know a field of the report by this name; another version of the API may.

    Attributes:
        field: Its name in Amazon's words, where it is one that was asked for.
    """

    cause_code = "field-refused"
    field: str | None = None

    def _parameters(self) -> dict[str, Any]:
        return {"field": self.field}


class FieldsExcluded(Rejected):
    """The report's fields exclude each other, or lack a companion (400004, 400006)."""

    cause_code = "fields-refused-together"


class DuplicateReport(Rejected):
    """The same report is being made already, under `report_id`."""

    cause_code = "report-duplicate"

    def __init__(self, reason: str, *, report_id: str = "", **facts: object) -> None:
        super().__init__(reason, **facts)  # type: ignore[arg-type]  # passed on untouched
        self.report_id = report_id


class NotFound(Rejected):
    """Amazon does not know it, or no longer."""

    cause_code = "not-found"


class DownloadRefused(AdsApiError):
    """The download is not allowed: the host isn't Amazon's, or the file is too large."""

    cause_code = "download-refused"


class UrlExpired(AdsApiError):
    """A download URL has expired."""

    cause_code = "download-expired"


class Throttled(AdsApiError):
    """429: too many requests."""

    transient = True
    cause_code = "throttled"


class RateLimited(Throttled):
    """Our own rate limits ask for a longer wait than we allow: nothing was sent.

    `retry_after` is the time until the next slot: Amazon asked us to pause for so long, or many
    calls are queued. The client doesn't retry, since it has waited as long as it may.
    """

    transient = False
    cause_code = "rate-limited"

    @property
    def cause_word(self) -> str:
        """A short name of what happened."""
        return "our own queue"


class Upstream(AdsApiError):
    """5xx, or 408: a server error or timeout at Amazon."""

    transient = True
    cause_code = "amazon-unavailable"


class Unreachable(AdsApiError):
    """No complete response came; `sent` if the request may have reached Amazon."""

    transient = True
    cause_code = "unreachable"

    def __init__(self, reason: str, *, sent: bool = True, **facts: object) -> None:
        super().__init__(reason, **facts)  # type: ignore[arg-type]  # passed on untouched
        self.sent = sent

    @property
    def cause_word(self) -> str:
        """A short name of what happened."""
        return "connection broken" if self.sent else "no connection"


class DownloadIncomplete(AdsApiError):
    """A file has another size than announced, or is damaged."""

    transient = True
    cause_code = "file-incomplete"

    @property
    def cause_word(self) -> str:
        """A short name of what happened, since the status is a success."""
        return "broken file"


class MalformedAnswer(AdsApiError):
    """A response does not match the API's description."""

    cause_code = "answer-unreadable"


class UnreadableAnswer(MalformedAnswer):
    """A successful response isn't JSON: a gateway's page, or truncated."""

    transient = True


class OutcomeUnknown(AdsApiError):
    """A create whose outcome we don't know: Amazon may have accepted it, so nothing was sent again.

    Attributes:
        cause: What happened: `Throttled`, `Upstream`, `Unreachable` or `MalformedAnswer`.
    """

    def __init__(self, cause: AdsApiError) -> None:
        super().__init__(
            cause.reason,
            operation=cause.operation,
            about=cause.about,
            status=cause.status,
            code=cause.code,
            request_id=cause.request_id,
            retry_after=cause.retry_after,
        )
        self.cause = cause

    @property
    def failure_cause(self) -> dict[str, Any]:
        """The cause, as stored."""
        return self.cause.failure_cause

    def __reduce__(self) -> tuple[type["OutcomeUnknown"], tuple[AdsApiError]]:
        return type(self), (self.cause,)
