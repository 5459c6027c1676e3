"""One HTTP exchange: what is sent, what came back, and the connection's errors in our own words."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import httpx

from bidbeacon_pipelines.ads_api.errors import MalformedAnswer, Unreachable
from bidbeacon_pipelines.ads_api.retries import parse_retry_after
from bidbeacon_pipelines.settings import Region

# Waiting for a free connection has no bound: that queue is ours, and a request's time starts after it.
TIMEOUT = httpx.Timeout(connect=10.0, read=60.0, write=30.0, pool=None)

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_REQUEST_ID_HEADERS = ("x-amzn-RequestId", "x-amz-rid", "x-amz-request-id")


@dataclass(frozen=True)
class ApiCall:
    """One call to a region's host.

    Attributes:
        operation: What is asked, for people: "create a report".
        creates: Whether it makes something anew, so that sending it twice may make two.
    """

    operation: str
    method: Literal["GET", "POST"]
    region: Region
    path: str
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    creates: bool = False


@dataclass(frozen=True)
class Answer:
    """What came back, whatever it was; `operation` is what had been asked, `received_at` is UTC."""

    operation: str
    status: int
    headers: httpx.Headers
    text: str
    received_at: datetime

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx; a 207 can still carry an error."""
        return httpx.codes.is_success(self.status)

    @property
    def request_id(self) -> str | None:
        """Amazon's id of the request."""
        return next((self.headers[name] for name in _REQUEST_ID_HEADERS if name in self.headers), None)

    @property
    def retry_after(self) -> float | None:
        """Seconds Amazon asks us to wait."""
        return parse_retry_after(self.headers.get("Retry-After"), self.received_at)

    def find_json(self) -> Any:
        """Give the body read as JSON, numbers with a point as `Decimal`; None where it isn't JSON."""
        try:
            return json.loads(self.text, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None

    def get_json(self) -> Any:
        """Give the body read as JSON; raises `MalformedAnswer` where it is something else."""
        body = self.find_json()
        if body is None:
            raise malformed(self, f"the answer was to be JSON and begins with {self.text[:80]!r}")
        return body


def malformed(answer: Answer, reason: str) -> MalformedAnswer:
    """Say what is wrong with an answer that came as a success."""
    return MalformedAnswer(
        reason, operation=answer.operation, status=answer.status, request_id=answer.request_id
    )


def unreachable(error: httpx.RequestError, operation: str) -> Unreachable:
    """Say in our words what a connection did, and whether the request may have gone out."""
    sent = not isinstance(error, _NEVER_SENT)
    kind = type(error).__name__
    what = "no connection came about" if not sent else "the connection broke or took too long"
    detail = f": {error}" if str(error) else ""
    return Unreachable(f"{what} ({kind}{detail})", sent=sent, operation=operation)


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
