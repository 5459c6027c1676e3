"""The session with the Ads API: region hosts, headers, tokens, retries; it knows no database and no Dagster."""

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from bidbeacon_pipelines.ads_api.credentials import SANDBOX_CREDENTIALS, Credentials, Endpoints
from bidbeacon_pipelines.ads_api.errors import (
    AdsApiError,
    AuthError,
    MalformedAnswer,
    NotAuthorized,
    OutcomeUnknown,
    Throttled,
    Unreachable,
    Upstream,
)
from bidbeacon_pipelines.ads_api.failures import error_for
from bidbeacon_pipelines.ads_api.retries import Clock, Retries, RetryPolicy, SystemClock, Waiting
from bidbeacon_pipelines.ads_api.throttle import RegionThrottle
from bidbeacon_pipelines.ads_api.tokens import AccessTokens
from bidbeacon_pipelines.ads_api.transport import Answer, ApiCall, open_http, unreachable
from bidbeacon_pipelines.settings import Settings

__all__ = ["AdsApiClient", "Clock", "Credentials", "Endpoints", "RetryPolicy", "Waiting", "connect"]

T = TypeVar("T")


class AdsApiClient:
    """One authorised session for all regions; a context manager, safe to share between threads.

    Reads are repeated on 429, 5xx and broken connections as the policy says. A create is repeated only where
    it surely never left; where Amazon may have accepted it, `OutcomeUnknown` is raised and the caller decides.

    Args:
        credentials: Who we are.
        endpoints: Where Amazon, or the sandbox, answers.
        transport: What carries requests; the network by default, a fake in tests.
        clock: Tells the time and lets it pass.
        retry: How often and how patiently calls are repeated.
        on_wait: Told of each wait when it begins.
        throttle: Keeps calls to a region apart.
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
        throttle: RegionThrottle | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.clock: Clock = clock or SystemClock()
        self.retries = Retries(retry or RetryPolicy(), self.clock, on_wait)
        self.http = open_http(transport, uses_proxy=endpoints.uses_proxy)
        self.client_id = credentials.client_id
        self._throttle = throttle or RegionThrottle(self.clock)
        self._tokens = AccessTokens(
            credentials, endpoints.token[credentials.region], send=self._send, clock=self.clock
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def call(self, call: ApiCall, read: Callable[[Answer], T]) -> T:
        """Make a call and read its answer.

        Args:
            call: What is asked.
            read: Makes the result of a successful answer, or raises an `AdsApiError`; for a create, whatever
                it can't read leaves the outcome unknown.

        Raises:
            AdsApiError: As its tree says; a transient one when it outlasted the retries.
        """
        return self.retries.run(lambda: self._attempt(call, read), operation=call.operation)

    def _attempt(self, call: ApiCall, read: Callable[[Answer], T]) -> T:
        """Make the call once, and once more with a fresh token if Amazon no longer knows the one we had."""
        token = self._tokens.get()
        try:
            return self._exchange(call, token, read)
        except NotAuthorized as error:
            if error.status != httpx.codes.UNAUTHORIZED:
                raise
        return self._exchange(call, self._tokens.get(rejected=token), read)

    def _exchange(self, call: ApiCall, token: str, read: Callable[[Answer], T]) -> T:
        try:
            with self._throttle.place(call.region):
                answer = self._send(self._request(call, token), call.operation)
            if not answer.is_success:
                raise error_for(answer)
            return read(answer)
        except AdsApiError as error:
            if call.creates and _may_have_been_accepted(error):
                raise OutcomeUnknown(error) from error
            raise

    def _request(self, call: ApiCall, token: str) -> httpx.Request:
        headers = {
            "Authorization": f"Bearer {token}",
            "Amazon-Advertising-API-ClientId": self.client_id,
            **call.headers,
        }
        url = self.endpoints.api[call.region] + call.path
        return self.http.build_request(call.method, url, headers=headers, json=call.json)

    def _send(self, request: httpx.Request, operation: str) -> Answer:
        try:
            response = self.http.send(request)
        except httpx.RequestError as error:
            raise unreachable(error, operation) from error
        return Answer(operation, response.status_code, response.headers, response.text, self.clock.now())


def _may_have_been_accepted(error: AdsApiError) -> bool:
    if isinstance(error, Unreachable):
        return error.sent
    return isinstance(error, Throttled | Upstream | MalformedAnswer)


def connect(settings: Settings, *, on_wait: Callable[[Waiting], None] | None = None) -> AdsApiClient:
    """Open a session with Amazon, or with the local sandbox where no credentials are set.

    Raises:
        AuthError: A client id is set, and its secret or refresh token isn't.
    """
    if settings.uses_sandbox:
        return AdsApiClient(SANDBOX_CREDENTIALS, Endpoints.sandbox(settings.sandbox_url), on_wait=on_wait)
    return AdsApiClient(_credentials(settings), Endpoints.amazon(), on_wait=on_wait)


def _credentials(settings: Settings) -> Credentials:
    client_id, secret = settings.ads_api_client_id, settings.ads_api_client_secret
    refresh_token = settings.ads_api_refresh_token
    if not (client_id and secret and refresh_token):
        raise AuthError(
            "the credentials are incomplete",
            operation="connect to the Ads API",
            what_to_do="Set BIDBEACON_ADS_API_CLIENT_ID, …_CLIENT_SECRET and …_REFRESH_TOKEN, or none of them.",
        )
    return Credentials(client_id, secret, refresh_token, settings.ads_api_credential_region)
