"""A clock that never waits, and an Amazon that plays a script at the transport."""

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import (
    AdsApiClient,
    Credentials,
    Endpoints,
    RetryPolicy,
    Waiting,
)
from bidbeacon_pipelines.amazon_ads.ledger import CallRecord
from bidbeacon_pipelines.amazon_ads.rate_limits import (
    CallIntervals,
    LimitScope,
    LocalRateLimits,
    RateLimits,
)
from bidbeacon_pipelines.amazon_ads.tokens import AccessTokens

CREDENTIALS = Credentials("client-1", SecretStr("secret-1"), SecretStr("Atzr|refresh-1"))
HTML = "<html><head><title>503</title><style>p{}</style></head><body><p>Service&nbsp;down</p></body></html>"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeClock:
    """Stands still, except when someone sleeps."""

    instant: datetime = datetime(2025, 12, 30, 8, 0, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the instant."""
        return self.instant

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.slept.append(seconds)
        self.instant += timedelta(seconds=seconds)


@dataclass
class ScriptedRateLimits:
    """RateLimits that give waits by script, and keep what they were asked."""

    waits: list[float] = field(default_factory=list)
    asked: list[LimitScope] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)
    paused: list[tuple[LimitScope, float]] = field(default_factory=list)

    def reserve(self, scope: LimitScope, *, longest_wait: float) -> float:
        """Return the next wait of the script, then none."""
        self.asked.append(scope)
        self.longest.append(longest_wait)
        return self.waits.pop(0) if self.waits else 0.0

    def pause(self, scope: LimitScope, seconds: float) -> None:
        """Keep the pauses."""
        self.paused.append((scope, seconds))


class FakeLog:
    """Keeps the records it is given."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def record(self, call: CallRecord) -> None:
        """Keep a record."""
        self.records.append(call)

    def facts(self, *names: str) -> list[tuple[Any, ...]]:
        """Return these facts of each record."""
        return [tuple(getattr(record, name) for name in names) for record in self.records]


class FakeAmazon:
    """Gives the scripted answers one after the other; the token endpoint has a script of its own.

    Without a script the token endpoint gives `Atza|1`, `Atza|2`, ….
    """

    def __init__(self) -> None:
        self.calls: list[httpx.Request] = []
        self.token_calls: list[httpx.Request] = []
        self._script: deque[Answer] = deque()
        self._token_script: deque[Answer] = deque()
        self._lock = threading.Lock()

    def plays(self, *answers: Answer) -> None:
        """Add answers of the API."""
        self._script.extend(answers)

    def plays_token(self, *answers: Answer) -> None:
        """Add answers of the token endpoint."""
        self._token_script.extend(answers)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, as a transport does."""
        with self._lock:
            if request.url.path.endswith("/auth/o2/token"):
                self.token_calls.append(request)
                answer = self._token_script.popleft() if self._token_script else self._next_token()
            else:
                self.calls.append(request)
                assert self._script, f"nothing is scripted for {request.method} {request.url}"
                answer = self._script.popleft()
        if isinstance(answer, Exception):
            raise answer
        return _unread(answer if isinstance(answer, httpx.Response) else answer(request))

    def bodies(self) -> list[Any]:
        """Return the JSON of the requests to the API."""
        return [json.loads(call.content) for call in self.calls]

    def _next_token(self) -> httpx.Response:
        return token_answer(f"Atza|{len(self.token_calls)}")


def _unread(answer: httpx.Response) -> httpx.Response:
    """Return the response as it is before anyone read it, as a network would, so that it can be streamed."""
    if not answer.is_stream_consumed:
        return answer
    return httpx.Response(
        answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
    )


@dataclass
class Bench:
    """A client with everything around it that a test looks at."""

    amazon: FakeAmazon
    clock: FakeClock
    client: AdsApiClient
    waits: list[Waiting]
    log: FakeLog


def open_bench(
    *,
    draw: Callable[[float, float], float] = max,
    clock: FakeClock | None = None,
    rate_limits: RateLimits | None = None,
    tokens: AccessTokens | None = None,
    **policy: Any,
) -> Bench:
    """Connect a client to a fake Amazon.

    Args:
        draw: Replaces the jitter; takes the upper bound by default.
        clock: What it tells time by; its own by default.
        rate_limits: Where its calls queue; by default rate limits without intervals, which only
            pause.
        tokens: Its access tokens, by the same clock; its own by default.
        policy: What differs from the usual policy.
    """
    amazon, clock, waits, log = FakeAmazon(), clock or FakeClock(), list[Waiting](), FakeLog()
    client = AdsApiClient(
        CREDENTIALS,
        Endpoints.amazon(),
        transport=httpx.MockTransport(amazon.handle),
        clock=clock,
        retry=RetryPolicy(draw=draw, **policy),
        on_wait=waits.append,
        rate_limits=rate_limits or LocalRateLimits(CallIntervals.none(), clock.now),
        log=log,
        tokens=tokens,
    )
    return Bench(amazon, clock, client, waits, log)


def token_answer(token: str, expires_in: float = 3600) -> httpx.Response:
    """Return the token endpoint's success."""
    body = {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": expires_in,
        "refresh_token": "Atzr|x",
    }
    return httpx.Response(200, json=body)


def report_body(**changes: Any) -> dict[str, Any]:
    """Return a multi-status answer with one pending report, changed as told."""
    report = {
        "reportId": "rpt-0b6f7c1e",
        "status": "PENDING",
        "creationDateTime": "2025-12-30T08:00:05Z",
        "format": "GZIP_JSON",
        "periods": [{"datePeriod": {"startDate": "2025-12-28", "endDate": "2025-12-29"}}],
        "query": {"fields": ["date.value", "metric.clicks"], "filter": None},
        "linkedAccounts": [{"advertiserAccountId": "amzn1.ads-account.g.one"}],
        "url": None,
        "failureCode": None,
        "failureReason": None,
    }
    return {"error": None, "success": [{"index": 0, "report": report | changes}]}


def report_answer(http_status: int = 207, /, **changes: Any) -> httpx.Response:
    """Return `report_body` as an answer."""
    return httpx.Response(http_status, json=report_body(**changes))


def refusal(code: str, message: str, **more: Any) -> dict[str, Any]:
    """Return a multi-status answer that refuses."""
    return {
        "error": [{"index": 0, "errors": [{"code": code, "message": message, **more}]}],
        "success": [],
    }
