"""The access tokens issued for refresh tokens."""

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from bidbeacon_sandbox.settings import Credential


class Issued(NamedTuple):
    """Whose an access token is, and when it expires."""

    credential: Credential
    expires_at: datetime


class Tokens:
    """The access tokens issued since the start; a restarted sandbox knows none of the earlier ones."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._issued: dict[str, Issued] = {}

    def issue(self, credential: Credential, now: datetime) -> str:
        """Issue a token that lives `seconds` from now."""
        token = f"Atza|{secrets.token_urlsafe(48)}"
        self._issued[token] = Issued(credential, now + timedelta(seconds=self.seconds))
        return token

    def find(self, token: str) -> Issued | None:
        """Return whose a token is; None where it was never issued."""
        return self._issued.get(token)

    def expire(self, token: str, now: datetime) -> None:
        """End a token's life now."""
        if issued := self.find(token):
            self._issued[token] = issued._replace(expires_at=now)
