"""Turns unsuccessful responses into errors; Amazon's error bodies have many shapes."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from bidbeacon_pipelines.amazon_ads import errors
from bidbeacon_pipelines.amazon_ads.errors import as_text

_DUPLICATE = re.compile(r"duplicate of\s*:?\s*([\w.-]*\w)", re.IGNORECASE)
# "Report date is too far in the past", "must be equal to or after report type data retention start
# date": both observed, without a code of their own. "Lookback" is left out: attribution uses it.
_TOO_OLD = re.compile(
    r"too old|too far in the past|retention start|older than|history limit|no longer available",
    re.IGNORECASE,
)
_MISSING_RIGHTS = re.compile(r"multi-account authorization failed", re.IGNORECASE)
TOO_LARGE = re.compile(
    r"too large|too big|content[ _]too[ _]large"
    r"|exceeds? the (?:maximum|max|allowed) (?:report |file )?size|too (?:many rows|much data)",
    re.IGNORECASE,
)
"""Matches messages about a report that is too large: there is no published code."""
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
# Amazon's document has only words as codes; recorded texts begin with the number.
_NUMBERED = re.compile(r"([45]\d{5}): (?=.)")
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,6})?")
_TEXTS = ("message", "Message", "details", "detail", "errorMessage", "error_description")
_FIELDS_EXCLUDED = frozenset({"400004", "400006"})
# Codes that are not names of HTTP statuses, or mean another one.
_WORDS = {
    "ACTIVE_RESOURCE_LIMIT_EXCEEDED": 429,  # reports that are being made count as active
    "CONTENT_TOO_LARGE": 413,
    "INTERNAL_ERROR": 500,
    "THROTTLED": 429,
    "UNAUTHORIZED": 403,
}
_STATUSES = HTTPStatus.__members__ | _WORDS
# 408 is a timeout at Amazon (RFC 9110, 15.5.9): the same request may succeed.
_BY_STATUS: dict[int, type[errors.AdsApiError]] = {
    401: errors.NotAuthorized,
    403: errors.NotAuthorized,
    404: errors.NotFound,
    408: errors.Unavailable,
    410: errors.NotFound,
    413: errors.TooLarge,
    429: errors.Throttled,
}
_BY_CODE: dict[str | None, type[errors.AdsApiError]] = {
    "400004": errors.Rejected,
    "400005": errors.UnknownField,
    "400006": errors.Rejected,
    "400013": errors.UnknownField,
}


@dataclass(frozen=True)
class ErrorBody:
    """The error code and the message in the body of an unsuccessful response."""

    code: str | None
    text: str


def error_for(response: httpx.Response, body: ErrorBody | None = None) -> errors.AdsApiError:
    """Return the error of an unsuccessful response; `body` is its body if already read."""
    return _error(response, response.status_code, body or _read_body(response))


def partial_error(
    response: httpx.Response, body: Any, *, beside: str | None = None
) -> errors.AdsApiError:
    """Return the error in a multi-status answer; the error's code decides its class.

    `beside` describes the part that succeeded; the error's reason begins with this text.
    """
    read = _combined(body) or ErrorBody(None, "a partial failure without a reason")
    text = read.text if beside is None else f"{beside}; {read.text}"
    return _error(response, _status_of(read.code), ErrorBody(read.code, text))


def _read_body(response: httpx.Response) -> ErrorBody:
    plain = as_text(html.unescape(_TAGS.sub(" ", response.text)), 4000)
    text = as_text(" ".join(plain.split()), 200)
    return _combined(find_json(response)) or ErrorBody(None, text or "an empty body")


def find_json(response: httpx.Response) -> Any:
    """Return the body read as JSON, or None if it isn't JSON; decimals become `Decimal`."""
    try:
        return json.loads(response.text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


def retry_after(response: httpx.Response) -> float | None:
    """Return the response's `Retry-After` in seconds; None if it is absent or invalid.

    The header is a number or an HTTP date (RFC 9110, 10.2.3). A date is compared with the `Date` of
    the response, since our clock may differ from Amazon's. A past date means 0.
    """
    value = response.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    until = _find_instant(value)
    sent_at = _find_instant(response.headers.get("Date", "")) or datetime.now(UTC)
    return None if until is None else max(0.0, (until - sent_at).total_seconds())


def _find_instant(value: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _error(response: httpx.Response, status: int, body: ErrorBody) -> errors.AdsApiError:
    error = _class_of(status, body)(body.text, code=body.code)
    error.add_facts(status=response.status_code, retry_after=retry_after(response))
    if httpx.codes.is_client_error(status) and body.code in _FIELDS_EXCLUDED:
        error.cause_code = "fields-refused-together"
    if isinstance(error, errors.DuplicateReport) and (duplicate := _DUPLICATE.search(body.text)):
        error.report_id = duplicate[1]
    return error


def _class_of(status: int, body: ErrorBody) -> type[errors.AdsApiError]:
    """Return the class of an error, by the status, the code and patterns of the message."""
    if not httpx.codes.is_client_error(status):
        is_fault = httpx.codes.is_server_error(status)
        return errors.Unavailable if is_fault else errors.MalformedAnswer
    return (
        _find_class(body, _DUPLICATE, errors.DuplicateReport)
        or _find_class(body, _MISSING_RIGHTS, errors.MissingRights)
        or _BY_STATUS.get(status)
        or _BY_CODE.get(body.code)
        or _find_class(body, TOO_LARGE, errors.TooLarge)
        or _find_class(body, _TOO_OLD, errors.TooOld)
        or errors.Rejected
    )


def _find_class(
    body: ErrorBody, pattern: re.Pattern[str], kind: type[errors.AdsApiError]
) -> type[errors.AdsApiError] | None:
    return kind if pattern.search(body.text) else None


def _status_of(code: str | None) -> int:
    if code is None:
        return 400
    if code[:3].isdecimal() and httpx.codes.is_error(int(code[:3])):  # such as 400005
        return int(code[:3])
    return _STATUSES.get(code.upper(), 400)


def _combined(body: Any) -> ErrorBody | None:
    try:
        parts = list(_walk(body))
    except RecursionError:
        return None
    if not parts:
        return None
    code = next((part.code for part in parts if part.code), None)
    return ErrorBody(code, "; ".join(dict.fromkeys(part.text for part in parts)))


def _walk(body: Any) -> Iterator[ErrorBody]:
    if isinstance(body, list):
        for item in body:
            yield from _walk(item)
    elif isinstance(body, dict):
        yield from _own_part(body)
        for name in ("error", "errors"):
            if isinstance(body.get(name), list | dict):
                yield from _walk(body[name])


def _own_part(body: dict[str, Any]) -> Iterator[ErrorBody]:
    named = body.get("error")
    code = _first_text(body, "code", "errorCode") or (
        as_text(named) if isinstance(named, str) else None
    )
    text = _first_text(body, *_TEXTS)
    if numbered := _NUMBERED.match(text or ""):
        code, text = numbered[1], (text or "")[numbered.end() :]
    if code or text:
        location = _first_text(body, "fieldLocation")
        yield ErrorBody(code, (text or str(code)) + (f" (at {location})" if location else ""))


def _first_text(body: dict[str, Any], *names: str) -> str | None:
    values = (body[name] for name in names if body.get(name) not in (None, "", [], {}))
    return next(map(as_text, values), None)
