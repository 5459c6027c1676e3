"""The access token of Login with Amazon: one per credential, shared by all threads of a process, renewed before its end."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import httpx

from bidbeacon_pipelines.amazon_ads.clock import Clock, SystemClock
from bidbeacon_pipelines.amazon_ads.credentials import Credentials
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    InvalidClient,
    InvalidGrant,
    Rejected,
)
from bidbeacon_pipelines.amazon_ads.failures import error_for, read_failure
from bidbeacon_pipelines.amazon_ads.ledger import Tries
from bidbeacon_pipelines.amazon_ads.models import WireToken, read_as
from bidbeacon_pipelines.amazon_ads.retries import draw_between
from bidbeacon_pipelines.amazon_ads.transport import Answer

OPERATION = "renew the access token"

# So that not every call asks an endpoint that is down, as long as the calls can do without.
_PAUSE_WHILE_OLD_SERVES = timedelta(seconds=30)

Send = Callable[[httpx.Request, Callable[[Answer], WireToken], Tries], WireToken]
"""Makes one exchange, recorded as one of these tries, and reads its answer, whatever the status."""

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


@dataclass(frozen=True)
class _Failure:
    """A renewal that failed, and when the endpoint may be asked again; None for never."""

    error: AdsApiError
    again_at: datetime | None


class AccessTokens:
    """Provides valid tokens; concurrent callers cause one renewal, since they wait for the same lock.

    A token is renewed when a random 85 to 95 % of its life is over, so that processes that started
    together don't renew together. A renewal makes one attempt: the calling code retries. Callers
    that waited for a renewal that failed share its error; a refusal of the credentials is final,
    and raised without asking again for as long as this object lives.

    Args:
        credentials: Our credentials.
        url: The token endpoint of the region that issued the refresh token.
        clock: Decides when a token expires.
        draw: Returns a random number between two.
        lock: Lets one caller at a time renew the token.
    """

    def __init__(
        self,
        credentials: Credentials,
        url: str,
        *,
        clock: Clock,
        draw: Callable[[float, float], float] = draw_between,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._credentials = credentials
        self._url = url
        self._clock = clock
        self._draw = draw
        self._lock = lock or threading.Lock()
        self._token: _Token | None = None
        self._failure: _Failure | None = None

    @property
    def is_refused(self) -> bool:
        """Whether Amazon has refused the credentials, so that there are no more tokens."""
        failure = self._failure
        return failure is not None and failure.again_at is None

    def get(self, send: Send, tries: Tries, *, rejected: str | None = None) -> str:
        """Return a token that Amazon should accept.

        Args:
            send: Sends the request, if this caller renews the token.
            tries: What came before in the call that needs the token.
            rejected: A token that was just answered with 401; never returned again, and renewed by
                the first caller that reports it.

        Raises:
            InvalidGrant: The refresh token is revoked.
            InvalidClient: Client id and secret don't belong together.
            AdsApiError: The token endpoint didn't answer as it should; transient ones may be tried
                again.
        """
        token, known = self._find_good(rejected), self._failure
        if token is None:
            with self._lock:
                self._forget(rejected)
                token = self._find_good(None) or self._renew(known, send, tries)
        return token.value

    def _find_good(self, rejected: str | None) -> _Token | None:
        token = self._token
        if token is None or token.value == rejected or self._clock.now() >= token.renew_at:
            return None
        return token

    def _forget(self, rejected: str | None) -> None:
        if self._token is not None and self._token.value == rejected:
            self._token = None

    def _renew(self, known: _Failure | None, send: Send, tries: Tries) -> _Token:
        """Ask for a new token; while the endpoint has a passing problem, the old one serves to its end.

        `known` is the failure the caller knew of before it stood in line: another one happened
        meanwhile.
        """
        old = self._token
        try:
            self._raise_failure(known)
            token, self._failure = self._fetch(send, tries), None
        except AdsApiError as error:
            now = self._clock.now()
            if not error.transient or old is None or now >= old.ends_at:
                raise
            token = replace(old, renew_at=min(now + _PAUSE_WHILE_OLD_SERVES, old.ends_at))
        self._token = token
        return token

    def _raise_failure(self, known: _Failure | None) -> None:
        """Raise the last failure where asking again can't help, or not yet."""
        failure = self._failure
        if failure is None:
            return
        error = copy(failure.error)  # each thread's error collects its own traceback
        if failure.again_at is None:
            raise error
        left = (failure.again_at - self._clock.now()).total_seconds()
        if left > 0:
            error.retry_after = left
            raise error
        if failure is not known:
            raise error

    def _fetch(self, send: Send, tries: Tries) -> _Token:
        asked_at = self._clock.now()
        try:
            wire = send(self._request(), _read_token, tries)
        except AdsApiError as error:
            is_final = isinstance(error, InvalidGrant | InvalidClient)
            again_at = asked_at + timedelta(seconds=error.retry_after or 0)
            self._failure = _Failure(copy(error), None if is_final else again_at)
            raise
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


class SharedTokens:
    """The tokens of all clients that are given theirs from here: one for each credential at each endpoint; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[tuple[Credentials, str], AccessTokens] = {}

    def of(self, credentials: Credentials, url: str) -> AccessTokens:
        """Return a credential's tokens, by the machine's clock.

        Those of a refused credential stay with the clients that have them: who comes later asks
        once more, since a person may have seen to it.
        """
        with self._lock:
            known = self._tokens.get((credentials, url))
            if known is None or known.is_refused:
                known = self._tokens[credentials, url] = AccessTokens(
                    credentials, url, clock=SystemClock()
                )
            return known

    def clear(self) -> None:
        """Forget all: clients that come later ask for tokens of their own."""
        with self._lock:
            self._tokens.clear()


PROCESS_TOKENS = SharedTokens()
"""The tokens of this process."""


def _read_token(answer: Answer) -> WireToken:
    if not answer.is_success:
        raise _token_error(answer)
    return read_as(WireToken, answer)


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
