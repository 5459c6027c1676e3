"""Access tokens of Login with Amazon: one per credential, shared by all processes."""

import logging
from collections.abc import Callable, Generator
from datetime import timedelta

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import Engine, select, text

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    CredentialRefused,
    Rejected,
)
from bidbeacon_pipelines.amazon_ads.failures import error_for
from bidbeacon_pipelines.amazon_ads.tables import AccessToken
from bidbeacon_pipelines.amazon_ads.wire import read_as, read_json
from bidbeacon_pipelines.database.base import read_rows
from bidbeacon_pipelines.database.locks import LockTakenError, lock_until_commit
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.masking import remember_secret

logger = logging.getLogger(__name__)

_RENEWED_AT = 0.9
_RETRIED_AFTER = timedelta(seconds=30)
"""Pause between requests to an endpoint that is down, while the old token is valid."""
_CAUSES = {
    "invalid_grant": "token-revoked",
    "invalid_client": "client-refused",
    "unauthorized_client": "client-refused",
}
_STORE = text("""
    INSERT INTO access_tokens (credential, access_token, renew_at, ends_at)
    VALUES (:credential, :access_token, :renew_at, :ends_at)
    ON CONFLICT (credential) DO UPDATE
       SET access_token = excluded.access_token, renew_at = excluded.renew_at,
           ends_at = excluded.ends_at""")


class TokenAnswer(BaseModel):
    """The answer of Login with Amazon; `expires_in` is in seconds."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: SecretStr = Field(min_length=1)
    expires_in: float = Field(gt=0, le=10**9)


def read_token(response: httpx.Response) -> TokenAnswer:
    """Read the token endpoint's answer; raise `CredentialRefused` if it is a refusal."""
    if response.is_success:
        return read_as(TokenAnswer, read_json(response))
    error = error_for(response)
    if not isinstance(error, Rejected | AuthError):
        raise error
    cause_code = _CAUSES.get(error.code or "")
    facts = {"status": error.status, "code": error.code}
    raise CredentialRefused(error.reason, cause_code=cause_code, **facts)


class TokenAuth(httpx.Auth):
    """Adds a credential's access token to requests.

    `request_token` is called for a new token after nine tenths of the token's life. If there is an
    engine, processes share the token in the database under `key`. A refusal of the credential is
    final: later calls raise the same error without a new request.
    """

    def __init__(
        self, key: str, request_token: Callable[[], TokenAnswer], engine: Engine | None, now: Clock
    ) -> None:
        self._key = key
        self._request_token = request_token
        self._engine = engine
        self._now = now
        self._token: AccessToken | None = None
        self._refusal: CredentialRefused | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Authorize a request with the newest access token, if `get` has returned one."""
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.access_token}"
        yield request

    def get(self, refused: str | None = None) -> str:
        """Return a valid token other than the token that Amazon has `refused`."""
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)
        token = self._token
        if token is None or token.access_token == refused or self._now() >= token.renew_at:
            token = self._token = self._renewed(token, refused)
            remember_secret(f"access token {self._key}", token.access_token)
        return token.access_token

    def _renewed(self, old: AccessToken | None, refused: str | None) -> AccessToken:
        """Return a new token, or the old one if the token endpoint fails temporarily."""
        try:
            return self._shared(self._engine, refused) if self._engine else self._request_now()
        except AdsApiError as error:
            if isinstance(error, CredentialRefused):
                self._refusal = error
            now = self._now()
            if not error.transient or refused is not None or old is None or now >= old.ends_at:
                raise
            return old.with_changes(renew_at=min(now + _RETRIED_AFTER, old.ends_at))

    def _shared(self, engine: Engine, refused: str | None) -> AccessToken:
        """Return the stored token, or request and store one under a lock."""
        try:
            with engine.begin() as connection:
                lock_until_commit(connection, f"access token {self._key}")
                usable = select(AccessToken).where(
                    AccessToken.credential == self._key,
                    AccessToken.renew_at > self._now(),
                    AccessToken.access_token.is_distinct_from(refused),
                )
                token = next(iter(read_rows(connection, usable)), None) or self._request_now()
                connection.execute(_STORE, token.as_dict())
                return token
        except LockTakenError:
            logger.warning(
                "Another process did not finish renewing the access token: requesting a new token"
            )
            return self._request_now()  # Amazon accepts several tokens at a time

    def _request_now(self) -> AccessToken:
        requested_at, answer = self._now(), self._request_token()
        life = timedelta(seconds=answer.expires_in)
        return AccessToken(
            credential=self._key,
            access_token=answer.access_token.get_secret_value(),
            renew_at=requested_at + life * _RENEWED_AT,
            ends_at=requested_at + life,
        )
