"""Clients, refresh tokens and the access tokens issued for them, and how many calls of them are let in."""

import secrets
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from bidbeacon_sandbox.accounts import Account, AccountBook, Region
from bidbeacon_sandbox.rules import Operation
from bidbeacon_sandbox.settings import Credential

TokenState = Literal["valid", "expired", "unknown"]


class Tokens:
    """The access tokens issued since the start; a restarted sandbox knows none of the earlier ones."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._issued: dict[str, tuple[Credential, datetime]] = {}

    def issue(self, credential: Credential, now: datetime) -> str:
        """Issue a token that lives `seconds` from now."""
        token = f"Atza|{secrets.token_urlsafe(48)}"
        self._issued[token] = credential, now + timedelta(seconds=self.seconds)
        return token

    def state(self, token: str, now: datetime) -> TokenState:
        """Return whether a token is good at an instant."""
        if token not in self._issued:
            return "unknown"
        return "valid" if now < self._issued[token][1] else "expired"

    def find_credential(self, token: str) -> Credential | None:
        """Return the credential that a token was issued for."""
        return self._issued[token][0] if token in self._issued else None

    def expire(self, token: str, now: datetime) -> None:
        """End a token's life now."""
        if token in self._issued:
            self._issued[token] = self._issued[token][0], now


def listed(credential: Credential, book: AccountBook) -> Iterable[Account]:
    """Return the ads accounts that a credential lists."""
    if credential.accounts is None:
        return book.accounts
    return [book.accounts[number] for number in credential.accounts]


CallClass = Literal["create", "retrieve", "exports", "other"]
_CLASSES: dict[Operation, CallClass] = {
    "create_report": "create",
    "retrieve_report": "retrieve",
    "create_export": "exports",
    "get_export": "exports",
    "list_accounts": "other",
    "list_profiles": "other",
    "list_portfolios": "other",
}
_SECOND = timedelta(seconds=1)


class Rates:
    """The calls let in during the last second; tokens and downloads are never counted."""

    def __init__(self, calls_per_second: int | None) -> None:
        self._limit = calls_per_second
        self._recent: defaultdict[tuple[str | None, Region | None, CallClass], deque[datetime]] = (
            defaultdict(deque)
        )

    def lets_in(
        self, client: str | None, region: Region | None, operation: Operation, now: datetime
    ) -> bool:
        """Return whether one more call may pass at an instant, and count it where it may."""
        call_class = _CLASSES.get(operation)
        if self._limit is None or call_class is None:
            return True
        recent = self._recent[client, region, call_class]
        while recent and abs(now - recent[0]) >= _SECOND:
            recent.popleft()
        if len(recent) >= self._limit:
            return False
        recent.append(now)
        return True
