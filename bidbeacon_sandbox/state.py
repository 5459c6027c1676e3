"""The state of one sandbox: everything that it holds while it runs."""

import secrets
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.exports import Exports
from bidbeacon_sandbox.jobs import Files, SignedUrls
from bidbeacon_sandbox.reports import Reports
from bidbeacon_sandbox.rulebook import Rulebook, check_names
from bidbeacon_sandbox.rules import Operation
from bidbeacon_sandbox.settings import Credential, SandboxConfig


class SandboxClock:
    """An aware UTC clock that starts at `start` (now, if absent); a frozen one stands still until it is moved on."""

    def __init__(self, start: datetime | None, *, is_frozen: bool) -> None:
        self.is_frozen = is_frozen
        self.set(start or datetime.now(UTC))

    def now(self) -> datetime:
        """Return the sandbox's present instant, UTC."""
        elapsed = 0.0 if self.is_frozen else time.monotonic() - self._since
        return (self._base + timedelta(seconds=elapsed)).astimezone(UTC)

    def set(self, instant: datetime) -> None:
        """Jump to an instant (aware)."""
        self._base, self._since = instant, time.monotonic()

    def advance(self, seconds: float) -> None:
        """Jump forward (or back) by a number of seconds."""
        self.set(self.now() + timedelta(seconds=seconds))

    def freeze(self, *, is_frozen: bool) -> None:
        """Stop the clock, or let it run on from where it stands."""
        now = self.now()
        self.is_frozen = is_frozen
        self.set(now)


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


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """One call and the status of its answer; `time` is the sandbox's clock, UTC."""

    time: datetime
    operation: Operation
    path: str
    account: str | None
    status: int


class Ledger(deque[AnsweredCall]):
    """The latest 100,000 calls, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=100_000)

    def calls(self, operation: Operation | None = None) -> list[AnsweredCall]:
        """Return the calls, of one operation where that is asked for."""
        return [call for call in list(self) if operation in {None, call.operation}]


class SandboxState:
    """The state of one sandbox; rules, clock and ledger may be used from another thread.

    Raises:
        RuleError: a rule names no account or client that there is.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.world = World(config)
        self.clients = [one.client_id for one in config.credentials]
        check_names(config.rules, self.world.accounts.accounts, self.clients)
        self.clock = SandboxClock(config.clock_start, is_frozen=config.clock_frozen)
        self.rules = Rulebook(config.seed, self.clock.now, config.rules)
        self.reports = Reports(self.world)
        self.exports = Exports(self.world)
        self.ledger = Ledger()
        self.tokens = Tokens(config.token_seconds)
        self.urls = SignedUrls()
        self.files = Files(config.part_rows)
