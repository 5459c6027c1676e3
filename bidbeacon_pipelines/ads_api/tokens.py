"""The access token of Login with Amazon: one per client, shared by all threads, renewed before its end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from bidbeacon_pipelines.ads_api.credentials import Credentials
from bidbeacon_pipelines.ads_api.errors import AdsApiError, AuthError, InvalidClient, InvalidGrant, Rejected
from bidbeacon_pipelines.ads_api.failures import error_for, read_failure
from bidbeacon_pipelines.ads_api.models import WireToken, read_as
from bidbeacon_pipelines.ads_api.retries import Clock, draw_between
from bidbeacon_pipelines.ads_api.transport import Answer

OPERATION = "renew the access token"

_TERMINAL = {
    "invalid_grant": InvalidGrant,
    "invalid_client": InvalidClient,
    "unauthorized_client": InvalidClient,
}


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    renew_at: datetime
    ends_at: datetime


class AccessTokens:
    """Gives a token that lives; callers that come at once cause one renewal, since they wait for the same lock.

    A token is renewed when 85 to 95 % of its life is over, drawn anew each time, so that many processes that
    started together don't come together. One attempt each: repeating is the business of the call it is for.

    Args:
        credentials: Who we are.
        url: The token endpoint of the region that issued the refresh token.
        send: Makes one exchange and gives its answer, whatever the status.
        clock: Tells when a token ends.
        draw: Gives a number between two.
    """

    def __init__(
        self,
        credentials: Credentials,
        url: str,
        *,
        send: Callable[[httpx.Request, str], Answer],
        clock: Clock,
        draw: Callable[[float, float], float] = draw_between,
    ) -> None:
        self._credentials = credentials
        self._url = url
        self._send = send
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def get(self, *, rejected: str | None = None) -> str:
        """Give a token that Amazon should accept.

        Args:
            rejected: A token that was just answered with 401; never given again, and renewed by the first
                caller that reports it.

        Raises:
            InvalidGrant: The refresh token is revoked.
            InvalidClient: Client id and secret don't belong together.
            AdsApiError: The token endpoint didn't answer as it should; transient ones may be tried again.
        """
        token = self._find_good(rejected)
        if token is None:
            with self._lock:
                self._forget(rejected)
                token = self._find_good(None) or self._renew()
        return token.value

    def _find_good(self, rejected: str | None) -> _Token | None:
        token = self._token
        if token is None or token.value == rejected or self._clock.now() >= token.renew_at:
            return None
        return token

    def _forget(self, rejected: str | None) -> None:
        if self._token is not None and self._token.value == rejected:
            self._token = None

    def _renew(self) -> _Token:
        """Ask for a new token; while the endpoint has a passing problem, the old one serves to its end."""
        old = self._token
        try:
            self._token = self._ask()
        except AdsApiError as error:
            if not error.transient or old is None or self._clock.now() >= old.ends_at:
                raise
            return old
        return self._token

    def _ask(self) -> _Token:
        asked_at = self._clock.now()
        answer = self._send(self._request(), OPERATION)
        if not answer.is_success:
            raise _token_error(answer)
        wire = read_as(WireToken, answer)
        life = timedelta(seconds=wire.expires_in)
        return _Token(
            value=wire.access_token.get_secret_value(),
            renew_at=asked_at + life * self._draw(0.85, 0.95),
            ends_at=asked_at + life,
        )

    def _request(self) -> httpx.Request:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret.get_secret_value(),
            "refresh_token": self._credentials.refresh_token.get_secret_value(),
        }
        return httpx.Request("POST", self._url, data=form)


def _token_error(answer: Answer) -> AdsApiError:
    failure = read_failure(answer)
    error = error_for(answer)
    if not isinstance(error, Rejected | AuthError):
        return error
    return _TERMINAL.get(failure.code or "", AuthError)(
        error.reason,
        operation=answer.operation,
        status=answer.status,
        code=failure.code,
        request_id=answer.request_id,
    )
