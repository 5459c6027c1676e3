"""One HTTP exchange: what is sent, what came back, and the connection's errors in our own words."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer, Unreachable, UnreadableAnswer
from bidbeacon_pipelines.amazon_ads.ledger import CallName
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass, LimitScope
from bidbeacon_pipelines.settings import Region

# Waiting for a free connection has no bound: that queue is ours, and a request's time starts after
# it.
TIMEOUT = httpx.Timeout(connect=10.0, read=60.0, write=30.0, pool=None)

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_REQUEST_ID_HEADERS = ("x-amzn-RequestId", "x-amz-rid", "x-amz-request-id")


_SECONDS = re.compile(r"\d{1,9}(\.\d{1,6})?")


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """One call to a region's host.

    Attributes:
        name: What is asked, for the ledger.
        operation: What is asked, for people: "create a report".
        call_class: What it is throttled with.
        account_id: The account it concerns, if any.
        country_code: In which country; None for no one in particular.
        about: Of whom or what, for people: "account amzn1.…, 2026-11-01 to 2026-11-07".
        creates: Whether it creates something, so that sending it twice may create two.
    """

    name: CallName
    operation: str
    method: Literal["GET", "POST"]
    region: Region
    path: str
    call_class: CallClass = CallClass.OTHER
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    account_id: str | None = None
    country_code: str | None = None
    about: str | None = None
    creates: bool = False

    @property
    def scope(self) -> LimitScope:
        """Where it queues."""
        return LimitScope(self.region, self.call_class, self.account_id)


@dataclass(frozen=True)
class Answer:
    """What came back, whatever it was; `operation` and `about` are what had been asked, `received_at` is UTC."""

    operation: str
    status: int
    headers: httpx.Headers
    text: str
    received_at: datetime
    about: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx; a 207 can still carry an error."""
        return httpx.codes.is_success(self.status)

    @property
    def request_id(self) -> str | None:
        """Amazon's id of the request."""
        return request_id_of(self.headers)

    @property
    def retry_after(self) -> float | None:
        """Seconds Amazon asks us to wait; a date counts from the answer's own `Date`, since clocks differ."""
        sent_at = _find_instant(self.headers.get("Date"))
        return parse_retry_after(self.headers.get("Retry-After"), sent_at or self.received_at)

    def find_json(self) -> Any:
        """Return the body read as JSON, numbers with a point as `Decimal`; None where it isn't JSON."""
        try:
            return json.loads(self.text, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None

    def get_json(self) -> Any:
        """Return the body read as JSON; raises `UnreadableAnswer` where it is something else."""
        body = self.find_json()
        if body is None:
            came = f"begins with {self.text[:80]!r}" if self.text else "is empty"
            raise UnreadableAnswer(f"the answer was to be JSON and {came}", **facts_of(self))
        return body


def request_id_of(headers: httpx.Headers) -> str | None:
    """Return Amazon's id of a request, under whichever name it came."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), None)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for: a number or an HTTP date (RFC 9110, 10.2.3).

    A date that is past means 0; what can't be understood means None, as if the header were absent.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    instant = _find_instant(text)
    return None if instant is None else max(0.0, (instant - now).total_seconds())


def _find_instant(text: str | None) -> datetime | None:
    """Read an HTTP date; None where it is none."""
    try:
        instant = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def facts_of(answer: Answer) -> dict[str, Any]:
    """Return the facts that every error about a response has."""
    return {
        "operation": answer.operation,
        "about": answer.about,
        "status": answer.status,
        "request_id": answer.request_id,
    }


def malformed(answer: Answer, reason: str) -> MalformedAnswer:
    """Return the error of an invalid successful response."""
    return MalformedAnswer(reason, **facts_of(answer))


def unreachable(error: httpx.RequestError, operation: str, about: str | None = None) -> Unreachable:
    """Return the error of a failed connection, with whether the request may have been sent."""
    sent = not isinstance(error, _NEVER_SENT)
    kind = type(error).__name__
    what = "the connection failed" if not sent else "the connection broke or took too long"
    detail = f": {error}" if str(error) else ""
    return Unreachable(f"{what} ({kind}{detail})", sent=sent, operation=operation, about=about)


class _HideQueries(logging.Filter):
    """httpx logs every URL at INFO; a presigned one is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(arg) for arg in record.args)
        return True


def _without_query(value: object) -> object:
    return value.copy_with(query=None) if isinstance(value, httpx.URL) else value


_HIDE_QUERIES = _HideQueries()


def open_http(transport: httpx.BaseTransport | None, *, uses_proxy: bool) -> httpx.Client:
    """Open the connection pool that all calls share; it follows no redirect and logs no URL's query."""
    logging.getLogger("httpx").addFilter(_HIDE_QUERIES)
    return httpx.Client(
        transport=transport,
        timeout=TIMEOUT,
        trust_env=uses_proxy,
        headers={"User-Agent": "BidBeacon"},
        follow_redirects=False,
    )
