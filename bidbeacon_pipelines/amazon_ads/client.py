"""The session with the Ads API: region hosts, headers, tokens, retries.

Must not import database code or Dagster.
"""

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import httpx

from bidbeacon_pipelines.amazon_ads.clock import Clock, SystemClock
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Credentials, Endpoints
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    IncompleteCredentials,
    MalformedAnswer,
    NotAuthorized,
    OutcomeUnknown,
    Throttled,
    Unreachable,
    Upstream,
)
from bidbeacon_pipelines.amazon_ads.failures import error_for
from bidbeacon_pipelines.amazon_ads.ledger import CallLog, Exchange, Tries, record_exchange
from bidbeacon_pipelines.amazon_ads.rate_limiter import RateLimiter
from bidbeacon_pipelines.amazon_ads.rate_limits import LimitScope, LocalRateLimits, RateLimits
from bidbeacon_pipelines.amazon_ads.retries import Retries, RetryPolicy, Waiting
from bidbeacon_pipelines.amazon_ads.tokens import OPERATION as TOKEN_OPERATION
from bidbeacon_pipelines.amazon_ads.tokens import PROCESS_TOKENS, AccessTokens
from bidbeacon_pipelines.amazon_ads.transport import (
    Answer,
    ApiCall,
    open_http,
    request_id_of,
    unreachable,
)
from bidbeacon_pipelines.amazon_ads.waits import Waits
from bidbeacon_pipelines.settings import Region, Settings

__all__ = ["AdsApiClient", "Clock", "Credentials", "Endpoints", "RetryPolicy", "Waiting", "connect"]

T = TypeVar("T")


class AdsApiClient:
    """One authorised session for all regions; a context manager, safe to share between threads.

    Reads are repeated on 429, 5xx and broken connections as the policy says. A create is repeated
    only if it certainly was not sent; if Amazon may have accepted it, `OutcomeUnknown` is raised
    and the caller decides.

    Args:
        credentials: Our credentials.
        endpoints: Where Amazon, or the sandbox, answers.
        transport: What carries requests; the network by default, a fake in tests.
        clock: Returns the time and sleeps.
        retry: How often and how patiently calls are repeated.
        on_wait: Called when a wait begins.
        rate_limits: Reserves the slots in which calls start; by default for this process alone.
        log: Records each exchange; None for no log.
        tokens: Access tokens of these credentials, shared with other clients; its own by default.

    Attributes:
        waits: Time spent waiting so far.
    """

    def __init__(
        self,
        credentials: Credentials,
        endpoints: Endpoints,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        retry: RetryPolicy | None = None,
        on_wait: Callable[[Waiting], None] | None = None,
        rate_limits: RateLimits | None = None,
        log: CallLog | None = None,
        tokens: AccessTokens | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.clock: Clock = clock or SystemClock()
        self.log = log
        self.waits = Waits()
        self.http = open_http(transport, uses_proxy=endpoints.uses_proxy)
        self.client_id = credentials.client_id
        self._on_wait = on_wait
        self._policy = retry or RetryPolicy()
        self.retries = Retries(
            self._policy, self.clock, self._note_wait, lambda: self.waits.slept_seconds
        )
        self._rate_limits = rate_limits or LocalRateLimits(now=self.clock.now)
        self._rate_limiter = RateLimiter(
            self._rate_limits,
            self.clock,
            longest_wait=self._longest_wait,
            on_wait=self._note_wait,
        )
        self._tokens = tokens or AccessTokens(
            credentials, endpoints.token[credentials.region], clock=self.clock
        )
        self._ask_token = partial(self._send_token, credentials.region)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def call(self, call: ApiCall, read: Callable[[Answer], T], tries: Tries | None = None) -> T:
        """Make a call and read its answer.

        Args:
            call: What is asked.
            read: Parses a successful response, or raises an `AdsApiError`; for a create, an
                unreadable response leaves the outcome unknown.
            tries: What came before it, where the same was asked in an earlier call.

        Raises:
            AdsApiError: See its class hierarchy; a transient one after all retries.
        """
        before = tries or Tries()
        return self.retries.run(
            lambda: self._attempt(call, read, before), operation=call.operation, tries=before
        )

    def _attempt(self, call: ApiCall, read: Callable[[Answer], T], tries: Tries) -> T:
        """Make the call once, and once more with a fresh token if Amazon no longer knows the one we had."""
        token = self._tokens.get(self._ask_token, tries)
        try:
            return self._take_turn(call, token, read, tries)
        except NotAuthorized as error:
            if error.status != httpx.codes.UNAUTHORIZED:
                raise
        token = self._tokens.get(self._ask_token, tries, rejected=token)
        return self._take_turn(call, token, read, tries)

    def _take_turn(self, call: ApiCall, token: str, read: Callable[[Answer], T], tries: Tries) -> T:
        """Make the exchange in its slot; a pause that Amazon asks for applies to all calls."""
        with self._rate_limiter.slot(call) as queued:
            try:
                return self._exchange(call, token, read, tries, queued)
            except AdsApiError as error:
                if error.retry_after:
                    self._rate_limiter.pause(call, error.retry_after)
                if call.creates and _may_have_been_accepted(error):
                    raise OutcomeUnknown(error) from error
                raise

    def _exchange(
        self, call: ApiCall, token: str, read: Callable[[Answer], T], tries: Tries, queued: float
    ) -> T:
        with record_exchange(
            self.log,
            self.clock,
            call.name,
            call.region,
            tries=tries,
            account_id=call.account_id,
            country_code=call.country_code,
            queued=queued,
        ) as exchange:
            answer = self._send(self._request(call, token), exchange, call.operation, call.about)
            if not answer.is_success:
                raise error_for(answer)
            return read(answer)

    def _request(self, call: ApiCall, token: str) -> httpx.Request:
        headers = {
            "Authorization": f"Bearer {token}",
            "Amazon-Advertising-API-ClientId": self.client_id,
            **call.headers,
        }
        url = self.endpoints.api[call.region] + call.path
        return self.http.build_request(call.method, url, headers=headers, json=call.json)

    def _send_token(
        self, region: Region, request: httpx.Request, read: Callable[[Answer], T], tries: Tries
    ) -> T:
        with record_exchange(self.log, self.clock, "token", region, tries=tries) as exchange:
            return read(self._send(request, exchange, TOKEN_OPERATION))

    def _send(
        self, request: httpx.Request, exchange: Exchange, operation: str, about: str | None = None
    ) -> Answer:
        try:
            response = self.http.send(request)
        except httpx.RequestError as error:
            raise unreachable(error, operation, about) from error
        exchange.status = response.status_code
        exchange.request_id = request_id_of(response.headers)
        return Answer(
            operation,
            response.status_code,
            response.headers,
            response.text,
            self.clock.now(),
            about,
        )

    def pause(self, scope: LimitScope, seconds: float) -> None:
        """Stop calls of a kind that concern an account for so long, in all processes that share its rate limits."""
        self._rate_limits.pause(scope, seconds)

    def may_wait(self, seconds: float) -> bool:
        """Return whether the policy allows the run to wait for so long now."""
        return seconds <= self._longest_wait()

    def _longest_wait(self) -> float:
        return self._policy.longest_wait(self.waits.slept_seconds)

    def _note_wait(self, wait: Waiting) -> None:
        self.waits.add(wait.operation, wait.cause, wait.seconds)
        if self._on_wait is not None:
            self._on_wait(wait)


def _may_have_been_accepted(error: AdsApiError) -> bool:
    if isinstance(error, Unreachable):
        return error.sent
    return isinstance(error, Throttled | Upstream | MalformedAnswer)


def connect(
    settings: Settings,
    *,
    retry: RetryPolicy | None = None,
    on_wait: Callable[[Waiting], None] | None = None,
    rate_limits: RateLimits | None = None,
    log: CallLog | None = None,
    clock: Clock | None = None,
) -> AdsApiClient:
    """Open a session with Amazon, or with the local sandbox where no credentials are set; for the rest see there.

    All sessions of a process share one access token, except those with their own clock.

    Raises:
        IncompleteCredentials: A client id is set, and its secret or refresh token isn't.
    """
    credentials, endpoints = SANDBOX_CREDENTIALS, Endpoints.sandbox(settings.sandbox_url)
    if not settings.uses_sandbox:
        credentials, endpoints = _credentials(settings), Endpoints.amazon()
    tokens = None if clock else PROCESS_TOKENS.of(credentials, endpoints.token[credentials.region])
    return AdsApiClient(
        credentials,
        endpoints,
        retry=retry,
        on_wait=on_wait,
        rate_limits=rate_limits,
        log=log,
        clock=clock,
        tokens=tokens,
    )


def _credentials(settings: Settings) -> Credentials:
    client_id, secret = settings.ads_api_client_id, settings.ads_api_client_secret
    refresh_token = settings.ads_api_refresh_token
    if not (client_id and secret and refresh_token):
        raise IncompleteCredentials(
            "some of the settings are missing", operation="connect to the Ads API"
        )
    return Credentials(client_id, secret, refresh_token, settings.ads_api_credential_region)
