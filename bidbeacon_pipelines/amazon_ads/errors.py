"""The errors of the Ads API client; no message ever contains a token or a presigned URL's query.

AdsApiError
├── AuthError                 manual action is needed; NotAuthorized may concern one account only
│   ├── InvalidGrant          the refresh token is revoked or expired
│   ├── InvalidClient         client id and secret don't belong together
│   └── NotAuthorized         401 even with a fresh token, or 403
│       └── MissingRights     the account is listed, and may not be reported on
├── Rejected                  any other 4xx: the same request fails again
│   ├── TooOld                the period lies before what Amazon keeps
│   ├── TooLarge              the report would be too large (413)
│   ├── UnknownField          Amazon doesn't know a field by this name (400005)
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

from typing import ClassVar

from bidbeacon_sessions.redaction import redact_text
from bidbeacon_sessions.sentences import join_sentences


class AdsApiError(Exception):
    """A call to the Ads API failed.

    Attributes:
        reason: What went wrong, in words.
        operation: The operation, such as "create a report".
        about: Its subject, such as "account amzn1.…, 2026-11-01 to 2026-11-07".
        status: HTTP status, where an answer came.
        code: Amazon's own error code.
        request_id: Amazon's id of the request, for its support.
        retry_after: Seconds that Amazon asks us to wait, if any.
        what_to_do: What helps.
    """

    transient: ClassVar[bool] = False
    advice: ClassVar[str] = "See the response above."

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
        what_to_do: str | None = None,
    ) -> None:
        self.reason = redact_text(reason)
        super().__init__(self.reason)
        self.operation = operation
        self.about = about
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.what_to_do = what_to_do or self.advice

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
        tried = (
            f"Could not {self.operation} ({details})" if details else f"Could not {self.operation}"
        )
        reason = f"{self.reason[:1].upper()}{self.reason[1:]}"
        return join_sentences(reason, self.what_to_do, tried)

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

    advice = "Check the BIDBEACON_ADS_API_… settings."


class InvalidGrant(AuthError):
    """The refresh token was revoked or has expired: terminal."""

    advice = "Authorise BidBeacon again and set BIDBEACON_ADS_API_REFRESH_TOKEN to the new token."


class InvalidClient(AuthError):
    """Client id and client secret don't belong together: terminal."""

    advice = "Check BIDBEACON_ADS_API_CLIENT_ID and BIDBEACON_ADS_API_CLIENT_SECRET."


class NotAuthorized(AuthError):
    """We are authenticated but not authorised for this."""

    advice = (
        "Check that the authorising user may see this account, and that it belongs to this region."
    )


class MissingRights(NotAuthorized):
    """Amazon lists the account but refuses its reports: terminal until a person grants the right."""

    advice = (
        "Grant the authorising user the right to report on this account: view campaigns and edit reports, "
        "or the viewer role of its manager account."
    )


class Rejected(AdsApiError):
    """Amazon understood the request and refuses it; the same request will be refused again."""

    advice = "Amazon refuses the request as it is; repeating it does not help."


class TooOld(Rejected):
    """The refusal reads as if the period lies before what Amazon keeps of this data; no code says so."""

    advice = "Amazon may no longer serve these days."


class TooLarge(Rejected):
    """The report would be too large for Amazon: request its days in several reports."""

    advice = "Request fewer days at a time."


class UnknownField(Rejected):
    """Amazon doesn't know a field of the report by this name; another version of the API may."""

    advice = "Request the field by its other name, if it has one."


class DuplicateReport(Rejected):
    """The same report is being made already, under `report_id`."""

    advice = "Adopt that report if its account, period and fields are the same."

    def __init__(self, reason: str, *, report_id: str = "", **facts: object) -> None:
        super().__init__(reason, **facts)  # type: ignore[arg-type]  # passed on untouched
        self.report_id = report_id


class NotFound(Rejected):
    """Amazon does not know it, or no longer."""

    advice = "Check id and region, or request it again."


class DownloadRefused(AdsApiError):
    """The download is not allowed: the host isn't Amazon's, or the file is too large."""

    advice = "Nothing was written; check where the URL came from."


class UrlExpired(AdsApiError):
    """A download URL has expired."""

    advice = "Retrieve the report or export again for a fresh URL, or request it again."


class Throttled(AdsApiError):
    """429: too many requests."""

    transient = True
    advice = "Try again later."


class RateLimited(Throttled):
    """Our own rate limits ask for a longer wait than we allow: nothing was sent.

    `retry_after` is the time until the next slot: Amazon asked us to pause for so long, or many
    calls are queued. The client doesn't retry, since it has waited as long as it may.
    """

    transient = False
    advice = "Nothing was sent. Try again after that time."

    @property
    def cause_word(self) -> str:
        """A short name of what happened."""
        return "our own queue"


class Upstream(AdsApiError):
    """5xx, or 408: a server error or timeout at Amazon."""

    transient = True
    advice = "Try again later."


class Unreachable(AdsApiError):
    """No complete response came; `sent` if the request may have reached Amazon."""

    transient = True
    advice = "Check the network, then try again."

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
    advice = "Download it again; if that doesn't help, request the report again."

    @property
    def cause_word(self) -> str:
        """A short name of what happened, since the status is a success."""
        return "broken file"


class MalformedAnswer(AdsApiError):
    """A response does not match the API's description."""

    advice = "If it persists, the API has changed: compare the response with the wire models."


class UnreadableAnswer(MalformedAnswer):
    """A successful response isn't JSON: a gateway's page, or truncated."""

    transient = True
    advice = "Try again; if it persists, check the proxies between us and Amazon."


class OutcomeUnknown(AdsApiError):
    """A create whose outcome we don't know: Amazon may have accepted it, so nothing was sent again.

    Attributes:
        cause: What happened: `Throttled`, `Upstream`, `Unreachable` or `MalformedAnswer`.
    """

    advice = "The outcome is unknown: Amazon may have accepted the request all the same."

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

    def __reduce__(self) -> tuple[type["OutcomeUnknown"], tuple[AdsApiError]]:
        return type(self), (self.cause,)
