"""Access tokens of Login with Amazon: one per credential, shared by all processes through Postgres, sent as `httpx.Auth`."""

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    CredentialRefused,
    Rejected,
)
from bidbeacon_pipelines.amazon_ads.failures import error_for
from bidbeacon_pipelines.amazon_ads.wire import read_as, read_json
from bidbeacon_pipelines.database.locks import LockTakenError, lock_until_commit
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.masking import remember_secret

logger = logging.getLogger(__name__)

_RENEWED_AT = 0.9
_ASKED_AGAIN_AFTER = timedelta(seconds=30)
"""So that not every call asks an endpoint that is down, as long as the old token serves."""
_CAUSES = {
    "invalid_grant": "token-revoked",
    "invalid_client": "client-refused",
    "unauthorized_client": "client-refused",
}
_FIND = text("""
    SELECT access_token AS value, renew_at, ends_at FROM access_tokens
     WHERE credential = :key AND renew_at > :now AND access_token IS DISTINCT FROM :refused""")
_STORE = text("""
    INSERT INTO access_tokens (credential, access_token, renew_at, ends_at) VALUES (:key, :value, :renew_at, :ends_at)
    ON CONFLICT (credential) DO UPDATE
       SET access_token = excluded.access_token, renew_at = excluded.renew_at, ends_at = excluded.ends_at""")


class TokenAnswer(BaseModel):
    """Login with Amazon's answer; `expires_in` is in seconds."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: SecretStr = Field(min_length=1)
    expires_in: float = Field(gt=0, le=10**9)


def read_token(response: httpx.Response) -> TokenAnswer:
    """Read the token endpoint's answer; raises `CredentialRefused` where it refuses the credential."""
    if response.is_success:
        return read_as(TokenAnswer, read_json(response))
    error = error_for(response)
    if not isinstance(error, Rejected | AuthError):
        raise error
    cause_code = _CAUSES.get(error.code or "")
    facts = {"status": error.status, "code": error.code}
    raise CredentialRefused(error.reason, cause_code=cause_code, **facts)


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    renew_at: datetime
    ends_at: datetime


class TokenAuth(httpx.Auth):
    """Sends a credential's access token, and once more with a fresh one where Amazon no longer knows it.

    It is renewed when nine tenths of its life are over, by asking the token endpoint once, and
    shared under a key in our tables, if there are any. A refusal of the credential is final: it is
    raised again without asking, for as long as this object lives.
    """

    def __init__(
        self, key: str, ask: Callable[[], TokenAnswer], engine: Engine | None, now: Clock
    ) -> None:
        self._key = key
        self._ask = ask
        self._engine = engine
        self._now = now
        self._token: _Token | None = None
        self._refusal: CredentialRefused | None = None

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token to a request."""
        token = self._get()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {self._get(refused=token)}"
            yield request

    def _get(self, refused: str | None = None) -> str:
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)
        token = self._token
        if token is None or token.value == refused or self._now() >= token.renew_at:
            token = self._token = self._renewed(token, refused)
            remember_secret(f"access token {self._key}", token.value)
        return token.value

    def _renewed(self, old: _Token | None, refused: str | None) -> _Token:
        """Return a fresh token; while the endpoint has a passing problem, the old one serves to its end."""
        try:
            return self._shared(self._engine, refused) if self._engine else self._ask_now()
        except AdsApiError as error:
            error.sent, error.lacks_token = False, refused is None
            if isinstance(error, CredentialRefused):
                self._refusal = error
            now = self._now()
            if not error.transient or refused is not None or old is None or now >= old.ends_at:
                raise
            return _Token(old.value, min(now + _ASKED_AGAIN_AFTER, old.ends_at), old.ends_at)

    def _shared(self, engine: Engine, refused: str | None) -> _Token:
        """Return the token that another process has stored, or ask for one and store it, one process at a time.

        Where the database is away or the lock is held for too long, each process asks for its own:
        Amazon accepts several at a time.
        """
        try:
            with engine.begin() as connection:
                lock_until_commit(connection, f"access token {self._key}")
                values = {"key": self._key, "now": self._now(), "refused": refused}
                stored = connection.execute(_FIND, values).mappings().one_or_none()
                token = self._ask_now() if stored is None else _Token(**stored)
                connection.execute(_STORE, {"key": self._key, **vars(token)})
                return token
        except (SQLAlchemyError, LockTakenError) as error:
            logger.warning("The access token can't be shared (%s)", type(error).__name__)
            return self._ask_now()

    def _ask_now(self) -> _Token:
        asked_at, answer = self._now(), self._ask()
        life = timedelta(seconds=answer.expires_in)
        value = answer.access_token.get_secret_value()
        return _Token(value, asked_at + life * _RENEWED_AT, asked_at + life)
