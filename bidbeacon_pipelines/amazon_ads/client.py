"""A session with the Ads API for one credential: rate limits, retries and a log of calls."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, Self, TypeVar

import httpx
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential
from tenacity.wait import wait_base

from bidbeacon_pipelines.amazon_ads import errors
from bidbeacon_pipelines.amazon_ads.call_log import recording
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.errors import as_text
from bidbeacon_pipelines.amazon_ads.failures import error_for
from bidbeacon_pipelines.amazon_ads.rate_limits import (
    RESERVED_AHEAD,
    CallClass,
    LimitScope,
    RateLimiter,
)
from bidbeacon_pipelines.amazon_ads.tables import ApiCall
from bidbeacon_pipelines.amazon_ads.tokens import TokenAnswer, TokenAuth, read_token
from bidbeacon_pipelines.amazon_ads.wire import read_as, read_json
from bidbeacon_pipelines.credentials import Credential, shown_name
from bidbeacon_pipelines.database.engine import first_line
from bidbeacon_pipelines.settings import Region, Settings
from bidbeacon_sessions.clock import Clock, utc_now

logger = logging.getLogger(__name__)

# Waiting for a free connection has no bound: that queue is ours.
_TIMEOUT = httpx.Timeout(connect=10.0, read=60.0, write=30.0, pool=None)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# The v1 specification requires the former; exports, `/v2` and portfolios want the latter.
_CLIENT_ID_HEADERS = ("Amazon-Ads-ClientId", "Amazon-Advertising-API-ClientId")
_REQUEST_ID_HEADERS = ("x-amzn-RequestId", "x-amz-rid", "x-amz-request-id")
_FULL_JITTER = wait_random_exponential(multiplier=1, max=20)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class RetryPolicy:
    """Limits of retries: `attempts` per call, and the client's total wait `patience` in s.

    If the next wait exceeds the patience left, the error is raised immediately, with `retry_after`.
    `backoff` is the wait if Amazon sends no `Retry-After`: "full jitter" by default.
    """

    attempts: int = 5
    patience: float = 180.0
    backoff: wait_base = _FULL_JITTER


SHORT_WAITS = RetryPolicy(patience=5.0)
"""For jobs: a run waits at most 5 seconds per credential; longer waits are left to later runs."""


@dataclass(frozen=True)
class Owner:
    """The owner of a call's data: a region, an account, or an account's profile in a country."""

    region: Region
    account_id: str | None = None
    country_code: str | None = None
    profile_id: str | None = None

    def __str__(self) -> str:
        account = f"account {self.account_id}" if self.account_id else f"region {self.region}"
        country = f" in {self.country_code}" if self.country_code else ""
        return account + country + (f", profile {self.profile_id}" if self.profile_id else "")


@dataclass(frozen=True, kw_only=True)
class AdsRequest:
    """One request to a region's host.

    `name` is for the log of calls. Messages contain `operation` ("create a report"), the owner and
    `about` (", 2026-11-01 to 2026-11-07"). A request that `creates` something is retried only if it
    was not sent.
    """

    name: str
    operation: str
    owner: Owner
    method: Literal["GET", "POST"] = "GET"
    path: str = ""
    call_class: CallClass = CallClass.OTHER
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    creates: bool = False


class AdsApiClient:
    """An authorized session for all regions: a context manager, to be used in one thread.

    Reads are retried after 429, 5xx and broken connections, within the `RetryPolicy`. A request
    to create something is retried only if it was not sent; otherwise it may raise `OutcomeUnknown`.

    With `engine`, processes share tokens and rate limits in the database and log their calls there;
    without it, calls are neither limited nor logged. `shares_token=False` requests a new token,
    which checks the credential.
    """

    def __init__(
        self,
        credential: Credential,
        endpoints: Endpoints,
        *,
        engine: Engine | None = None,
        limiter: RateLimiter | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        shares_token: bool = True,
        now: Clock = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # They log every URL at INFO and headers at DEBUG; a presigned URL is a secret.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.client_id = credential.client_id
        self.endpoints = endpoints
        self.now = now
        self.sleep = sleep
        self.http = httpx.Client(
            transport=transport,
            timeout=_TIMEOUT,
            trust_env=endpoints.uses_proxy,
            headers={"User-Agent": "BidBeacon"},
        )
        self._credential = credential
        credential.mask_secrets()
        self._engine = engine
        self._limiter = limiter or (RateLimiter(engine) if engine else None)
        self._policy = retry or RetryPolicy()
        shared = engine if shares_token else None
        self._auth = TokenAuth(credential.digest, self._request_token, shared, now)
        self._patience = self._policy.patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, request: AdsRequest, read: Callable[[httpx.Response], T]) -> T:
        """Make a call and read its answer, or raise an `AdsApiError` after all retries."""
        return self.retried(lambda state: self._send(request, read, state))

    def call_model(self, request: AdsRequest, model: type[M]) -> M:
        """Make a call and return its answer, validated as an instance of `model`."""
        return self.call(request, lambda response: read_as(model, read_json(response)))

    def call_pages(self, request: AdsRequest, page: type[M]) -> Iterator[M]:
        """Yield each page, following `nextToken`; raise `MalformedAnswer` if a token repeats."""
        tokens: set[str] = set()
        while True:
            yield (read := self.call_model(request, page))
            token = getattr(read, "next_token", None)
            if not token:
                return
            if token in tokens:
                reason = "expected a new nextToken on each page, got the same one twice"
                raise errors.MalformedAnswer(reason, operation=request.operation)
            tokens.add(token)
            request = replace(request, json=request.json | {"nextToken": token})

    def retried(self, attempt: Callable[[RetryCallState], T]) -> T:
        """Call `attempt` until it succeeds or the policy gives up; raise the last error."""
        retrying = Retrying(
            sleep=self._wait,
            retry=retry_if_exception(lambda error: getattr(error, "transient", False)),
            wait=self._wait_after,
            stop=self._gives_up,
            reraise=True,
        )
        for each in retrying:
            with each:
                return attempt(each.retry_state)
        raise AssertionError("expected the last attempt to return or raise")

    def pause(self, owner: Owner, call_class: CallClass, seconds: float) -> None:
        """Pause an account's calls of a class in all processes that share the rate limits."""
        if self._limiter is not None:
            self._limiter.pause(self._scope(owner, call_class), seconds)

    @contextmanager
    def turn(
        self, request: AdsRequest, state: RetryCallState | None = None, *, is_resent: bool = False
    ) -> Iterator[ApiCall]:
        """Wait until a request may be sent, and log the call that is made in the block.

        If Amazon's answer requires a pause (`Retry-After`), store it. `state` has the number of the
        attempt and the wait before it; without it, the call has no retries. `is_resent` marks an
        attempt's second request, after a 401: the wait is logged only with the first request.
        """
        owner = request.owner
        call = ApiCall(
            call=request.name,
            credential=self._credential.name,
            region=owner.region,
            account_id=owner.account_id,
            country_code=owner.country_code,
            queued=self._queue(request),
            waited=timedelta(seconds=state.upcoming_sleep if state and not is_resent else 0),
            retry_count=state.attempt_number - 1 if state else 0,
        )
        with recording(self._engine, call, self.now):
            try:
                yield call
            except errors.AdsApiError as error:
                error.add_facts(operation=request.operation, about=f"{owner}{request.about}")
                error.add_facts(status=call.status, request_id=call.request_id)
                error.add_facts(credential_name=shown_name(self._credential.name))
                if error.retry_after and call.status is not None:
                    self._store_pause(owner, request.call_class, error.retry_after)
                raise

    def _store_pause(self, owner: Owner, call_class: CallClass, seconds: float) -> None:
        try:
            self.pause(owner, call_class, seconds)
        except SQLAlchemyError as error:  # logged only: Amazon's answer is raised next
            logger.warning(
                "A pause that Amazon requested could not be stored: %s", first_line(error)
            )

    def exchange(self, request: httpx.Request, call: ApiCall, **options: Any) -> httpx.Response:
        """Send a request; store the status in `call`. Raise `Unavailable` if no response comes."""
        try:
            response = self.http.send(request, **options)
        except httpx.RequestError as error:
            raise unreachable(error) from error
        call.status, headers = response.status_code, response.headers
        found = (as_text(headers[n]) for n in _REQUEST_ID_HEADERS if n in headers)
        call.request_id = next(found, None)
        return response

    def _send(
        self, request: AdsRequest, read: Callable[[httpx.Response], T], state: RetryCallState
    ) -> T:
        """Send a request; after a 401, send it once more with a fresh token."""
        token = self._auth.get()
        try:
            return self._send_once(request, read, state)
        except errors.AdsApiError as error:
            if error.status != httpx.codes.UNAUTHORIZED:
                raise
        self._auth.get(refused=token)
        return self._send_once(request, read, state, is_resent=True)

    def _send_once(
        self,
        request: AdsRequest,
        read: Callable[[httpx.Response], T],
        state: RetryCallState,
        *,
        is_resent: bool = False,
    ) -> T:
        try:
            with self.turn(request, state, is_resent=is_resent) as call:
                response = self.exchange(self._build(request), call, auth=self._auth)
                if not response.is_success:
                    raise error_for(response)
                return read(response)
        except errors.RateLimited:
            raise
        except (errors.Throttled, errors.Unavailable, errors.MalformedAnswer) as error:
            if request.creates and (error.sent or call.status is not None):
                raise errors.OutcomeUnknown(error) from error
            raise

    def _build(self, request: AdsRequest) -> httpx.Request:
        headers = dict.fromkeys(_CLIENT_ID_HEADERS, self.client_id) | dict(request.headers)
        if request.owner.profile_id:
            headers["Amazon-Advertising-API-Scope"] = request.owner.profile_id
        url = self.endpoints.api[request.owner.region] + request.path
        return self.http.build_request(request.method, url, headers=headers, json=request.json)

    def _request_token(self) -> TokenAnswer:
        region = self._credential.region
        request = AdsRequest(
            name="token",
            operation="renew the access token",
            owner=Owner(region),
            call_class=CallClass.TOKEN,
        )
        url, form = self.endpoints.token[region], self._credential.form()
        with self.turn(request) as call:
            return read_token(self.exchange(self.http.build_request("POST", url, data=form), call))

    def _scope(self, owner: Owner, call_class: CallClass) -> LimitScope:
        return LimitScope(self.client_id, owner.region, call_class, owner.account_id or "")

    def _queue(self, request: AdsRequest) -> timedelta:
        if self._limiter is None:
            return timedelta()
        scope, waited = self._scope(request.owner, request.call_class), 0.0
        while (seconds := self._limiter.reserve(scope)) > RESERVED_AHEAD:
            if seconds > self._patience:
                reason = (
                    f"calls of this kind are paused for another {seconds:.0f} s, "
                    "because Amazon requested a pause or many calls are queued"
                )
                raise errors.RateLimited(reason, operation=request.operation, retry_after=seconds)
            self._wait(seconds)
            waited += seconds
        if seconds > 0:
            self.sleep(seconds)
        return timedelta(seconds=waited + max(0.0, seconds))

    def _wait_after(self, state: RetryCallState) -> float:
        """Return the seconds to wait after an attempt: Amazon's `Retry-After`, else a backoff."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, errors.AdsApiError) and error.retry_after is not None:
            return error.retry_after
        return self._policy.backoff(state)

    def _gives_up(self, state: RetryCallState) -> bool:
        is_last = state.attempt_number >= self._policy.attempts
        return is_last or state.upcoming_sleep > self._patience

    def _wait(self, seconds: float) -> None:
        logger.info("Waiting %.1f s for Amazon", seconds)
        self._patience -= seconds
        self.sleep(seconds)


def unreachable(error: httpx.RequestError) -> errors.Unavailable:
    """Return the error of a failed connection; set `sent` if the request may have arrived."""
    sent = not isinstance(error, _NEVER_SENT)
    what = "the connection broke or took too long" if sent else "the connection failed"
    detail = f": {error}" if str(error) else ""
    made = errors.Unavailable(f"{what} ({type(error).__name__}{detail})", cause_code="unreachable")
    made.sent = sent
    return made


def connect(
    settings: Settings,
    credential: str,
    *,
    engine: Engine | None = None,
    retry: RetryPolicy | None = None,
    shares_token: bool = True,
) -> AdsApiClient:
    """Return a client for Amazon or the sandbox that uses a credential of the settings.

    Raises:
        CredentialRefused: The settings have no such credential, or no complete credential at all.
    """
    if not settings.credentials:
        raise errors.CredentialRefused(
            "the settings have no complete credential", cause_code="credentials-incomplete"
        )
    found = settings.credentials.get(credential)
    if found is None:
        missing = {"cause_code": "credential-not-set", "credential_name": credential}
        raise errors.CredentialRefused(f"the settings have no credential {credential!r}", **missing)
    endpoints = Endpoints.of(settings)
    return AdsApiClient(found, endpoints, engine=engine, retry=retry, shares_token=shares_token)
