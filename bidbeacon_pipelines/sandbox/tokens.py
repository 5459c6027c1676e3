"""Access tokens as Login with Amazon gives them: issued for a refresh token, dead after their time."""

import secrets
from datetime import datetime, timedelta
from typing import Literal

TokenState = Literal["valid", "expired", "unknown"]


class Tokens:
    """The access tokens issued since the start; a restarted sandbox knows none of the earlier ones."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._expiries: dict[str, datetime] = {}

    def issue(self, now: datetime) -> str:
        """Issue a token that lives `seconds` from now."""
        token = f"Atza|{secrets.token_urlsafe(48)}"
        self._expiries[token] = now + timedelta(seconds=self.seconds)
        return token

    def state(self, token: str, now: datetime) -> TokenState:
        """Tell whether a token is good at an instant."""
        expires_at = self._expiries.get(token)
        if expires_at is None:
            return "unknown"
        return "valid" if now < expires_at else "expired"

    def expire(self, token: str, now: datetime) -> None:
        """End a token's life now."""
        if token in self._expiries:
            self._expiries[token] = now
