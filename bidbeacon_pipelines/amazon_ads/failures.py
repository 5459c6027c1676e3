"""Turns an answer that isn't a success into the error it means; Amazon's error bodies have many shapes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    DuplicateReport,
    FieldsExcluded,
    MalformedAnswer,
    MissingRights,
    NotAuthorized,
    NotFound,
    Rejected,
    Throttled,
    TooLarge,
    TooOld,
    UnknownField,
    Upstream,
)
from bidbeacon_pipelines.amazon_ads.transport import Answer, facts_of

_DUPLICATE = re.compile(r"duplicate of\s*:?\s*([\w.-]*\w)", re.IGNORECASE)
# "Report date is too far in the past", "must be equal to or after report type data retention start
# date": both seen; there is no code of its own.
_TOO_OLD = re.compile(
    r"too old|too far in the past|retention|older than|lookback|look-back|history limit|no longer available",
    re.IGNORECASE,
)
_MISSING_RIGHTS = re.compile(r"multi-account authorization failed", re.IGNORECASE)
TOO_LARGE = re.compile(
    r"too large|too big|content[ _]too[ _]large|exceeds? the (?:maximum|max|allowed) (?:report |file )?size"
    r"|too (?:many rows|much data)",
    re.IGNORECASE,
)
"""A report that Amazon finds too large, by its message, since there is no published code."""
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_FIELD_KINDS: dict[str | None, type[Rejected]] = {
    "400004": FieldsExcluded,
    "400005": UnknownField,
    "400006": FieldsExcluded,
    "400013": UnknownField,
}
_STATUS_OF_CODE = {
    "BAD_REQUEST": 400,
    "CONTENT_TOO_LARGE": 413,
    "THROTTLED": 429,
    "THROTTLING": 429,
    "TOO_MANY_REQUESTS": 429,
    "INTERNAL_ERROR": 500,
    "INTERNAL_SERVER_ERROR": 500,
    "SERVICE_UNAVAILABLE": 503,
    "UNAUTHORIZED": 403,
    "FORBIDDEN": 403,
    "ACCESS_DENIED": 403,
    "NOT_FOUND": 404,
    "REQUEST_TIMEOUT": 408,
    "GONE": 410,
    "DUPLICATE_REQUEST": 425,
}
# 408 says that time ran out at Amazon's side (RFC 9110, 15.5.9): the same request may succeed.
_KINDS: dict[int, type[AdsApiError]] = {
    401: NotAuthorized,
    403: NotAuthorized,
    404: NotFound,
    408: Upstream,
    410: NotFound,
    413: TooLarge,
    429: Throttled,
}


@dataclass(frozen=True)
class Failure:
    """What an error body says."""

    code: str | None
    text: str


def error_for(answer: Answer) -> AdsApiError:
    """Return the error that an answer without success means."""
    return _error(answer, answer.status, read_failure(answer))


def partial_error(answer: Answer, body: Any) -> AdsApiError:
    """Return the error of a multi-status answer, whose own status says nothing: the code decides."""
    failure = _combined(body) or Failure(None, "a partial failure without a reason")
    return _error(answer, _status_of(failure.code), failure)


def read_failure(answer: Answer) -> Failure:
    """Read code and text from whatever came: JSON of any known shape, HTML, XML, or nothing."""
    return _combined(answer.find_json()) or Failure(
        None, _plain_text(answer.text) or "an empty body"
    )


def _error(answer: Answer, status: int, failure: Failure) -> AdsApiError:
    facts = facts_of(answer) | {"code": failure.code}
    duplicate = _DUPLICATE.search(failure.text)
    if duplicate and 400 <= status < 500:  # noqa: PLR2004 - the class of HTTP's client errors
        return DuplicateReport(failure.text, report_id=duplicate[1], **facts)
    return _kind_of(status, failure)(failure.text, retry_after=answer.retry_after, **facts)


def _kind_of(status: int, failure: Failure) -> type[AdsApiError]:
    is_refusal = status // 100 == 4  # noqa: PLR2004 - the class of HTTP's client errors
    if is_refusal and _MISSING_RIGHTS.search(failure.text):
        return MissingRights
    if status in _KINDS:
        return _KINDS[status]
    if is_refusal:
        return _kind_of_refusal(failure)
    return Upstream if status // 100 == 5 else MalformedAnswer  # noqa: PLR2004 - the class of server errors


def _kind_of_refusal(failure: Failure) -> type[Rejected]:
    """Return what a refused request means: by its code for fields, otherwise by its message."""
    if failure.code in _FIELD_KINDS:
        return _FIELD_KINDS[failure.code]
    if TOO_LARGE.search(failure.text):
        return TooLarge
    return TooOld if _TOO_OLD.search(failure.text) else Rejected


def _status_of(code: str | None) -> int:
    """Return the HTTP status an error code stands for; the API's numeric codes begin with it (400005)."""
    if code is None:
        return 400
    if code[:3].isdecimal() and 400 <= int(code[:3]) < 600:  # noqa: PLR2004 - the range of HTTP's error statuses
        return int(code[:3])
    return _STATUS_OF_CODE.get(code.upper(), 400)


def _combined(body: Any) -> Failure | None:
    failures = list(_walk(body))
    if not failures:
        return None
    return Failure(
        next((found.code for found in failures if found.code), None), "; ".join(_texts(failures))
    )


def _texts(failures: list[Failure]) -> list[str]:
    return list(dict.fromkeys(found.text for found in failures))


def _walk(body: Any) -> Iterator[Failure]:
    """Find every failure in a body: `{code, message|details}`, LWA's, `{errors: […]}`, a multi-status `error`."""
    if isinstance(body, list):
        for item in body:
            yield from _walk(item)
    elif isinstance(body, dict):
        yield from _own_failure(body)
        for name in ("error", "errors"):
            if isinstance(body.get(name), list | dict):
                yield from _walk(body[name])


def _own_failure(body: dict[str, Any]) -> Iterator[Failure]:
    named = body.get("error")
    code = _first_text(body, "code", "errorCode") or (named if isinstance(named, str) else None)
    text = _first_text(
        body, "message", "Message", "details", "detail", "errorMessage", "error_description"
    )
    if code or text:
        location = _first_text(body, "fieldLocation")
        yield Failure(code, (text or str(code)) + (f" (at {location})" if location else ""))


def _first_text(body: dict[str, Any], *names: str) -> str | None:
    return next(
        (str(body[name])[:500] for name in names if body.get(name) not in (None, "", [], {})), None
    )


def _plain_text(text: str) -> str:
    return " ".join(_TAGS.sub(" ", text[:4000]).split())[:200]
