"""A clock that never waits, and an Amazon that plays a script at the transport."""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import Engine
from tenacity import wait_exponential

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, RetryPolicy
from bidbeacon_pipelines.amazon_ads.endpoints import AMAZON
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimiter
from bidbeacon_pipelines.credentials import Credential

CREDENTIAL = Credential(
    client_id="client-1",
    client_secret=SecretStr("secret-1"),
    refresh_token=SecretStr("Atzr|refresh-1"),
)
HTML = "<html><head><title>503</title><style>p{}</style></head><p>Service down</p></html>"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def token_answer(value: str, expires_in: int = 3600) -> httpx.Response:
    """Return a token endpoint's answer."""
    return httpx.Response(200, json={"access_token": value, "expires_in": expires_in})


def throttled(retry_after: str | None = None) -> httpx.Response:
    """Return a 429 of the gateway."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(429, headers=headers, json={"message": "Too Many Requests"})


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
class FakeAmazon:
    """Gives the scripted answers one after the other; the token endpoint has a script of its own.

    Without a script the token endpoint gives `Atza|1`, `Atza|2`, ….
    """

    clock: FakeClock = field(default_factory=FakeClock)
    calls: list[httpx.Request] = field(default_factory=list)
    token_calls: list[httpx.Request] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    script: deque[Answer] = field(default_factory=deque)
    token_script: deque[Answer] = field(default_factory=deque)

    def plays(self, *answers: Answer) -> None:
        """Add answers of the API."""
        self.script.extend(answers)

    def connect(
        self,
        *,
        engine: Engine | None = None,
        limiter: RateLimiter | None = None,
        attempts: int = 5,
        patience: float = 60.0,
        shares_token: bool = True,
    ) -> AdsApiClient:
        """Open a session whose backoff is 1 s, 2 s, 4 s …, and whose rate limits, with an engine, are pauses alone."""
        if engine is not None and limiter is None:
            limiter = RateLimiter(engine, 0, self.clock.now)
        return AdsApiClient(
            CREDENTIAL,
            AMAZON,
            engine=engine,
            limiter=limiter,
            retry=RetryPolicy(attempts, patience, wait_exponential(multiplier=1, max=20)),
            transport=httpx.MockTransport(self.handle),
            shares_token=shares_token,
            now=self.clock.now,
            sleep=self.clock.sleep,
        )

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, as a transport does."""
        if request.url.path.endswith("/auth/o2/token"):
            self.token_calls.append(request)
            usual = token_answer(f"Atza|{len(self.token_calls)}")
            answer: Answer = self.token_script.popleft() if self.token_script else usual
        else:
            self.calls.append(request)
            self.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
            assert self.script, f"nothing is scripted for {request.method} {request.url}"
            answer = self.script.popleft()
        if isinstance(answer, Exception):
            raise answer
        answer = answer if isinstance(answer, httpx.Response) else answer(request)
        if not answer.is_stream_consumed:
            return answer
        # As the network has it, so that it can be streamed.
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    def bodies(self) -> list[Any]:
        """Return the JSON of the requests to the API."""
        return [json.loads(call.content) for call in self.calls if call.content]
