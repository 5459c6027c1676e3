"""The state of a running sandbox: its clock, access tokens, rules, latest calls and jobs."""

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
    """A UTC clock that starts at `start` (default: now); a frozen clock moves only when set."""

    def __init__(self, start: datetime | None, *, is_frozen: bool) -> None:
        self.is_frozen = is_frozen
        self.set(start or datetime.now(UTC))

    def now(self) -> datetime:
        """Return the current time of this clock, in UTC."""
        elapsed = 0.0 if self.is_frozen else time.monotonic() - self._since
        return (self._base + timedelta(seconds=elapsed)).astimezone(UTC)

    def set(self, instant: datetime) -> None:
        """Set the clock to a time, which must have a time zone."""
        self._base, self._since = instant, time.monotonic()

    def advance(self, seconds: float) -> None:
        """Move the clock forward, or back if `seconds` is negative."""
        self.set(self.now() + timedelta(seconds=seconds))

    def freeze(self, *, is_frozen: bool) -> None:
        """Stop the clock, or let it continue from its current time."""
        now = self.now()
        self.is_frozen = is_frozen
        self.set(now)


class Issued(NamedTuple):
    """The credential and expiry of an access token."""

    credential: Credential
    expires_at: datetime


class Tokens:
    """The access tokens issued since the start; a restart invalidates all of them."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._issued: dict[str, Issued] = {}

    def issue(self, credential: Credential, now: datetime) -> str:
        """Return a new token that expires `self.seconds` after `now`."""
        token = f"Atza|{secrets.token_urlsafe(48)}"
        self._issued[token] = Issued(credential, now + timedelta(seconds=self.seconds))
        return token

    def find(self, token: str) -> Issued | None:
        """Return a token's credential and expiry; None if it was never issued."""
        return self._issued.get(token)

    def expire(self, token: str, now: datetime) -> None:
        """Make a token expire at `now`, if it was issued."""
        if issued := self.find(token):
            self._issued[token] = issued._replace(expires_at=now)


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """One call and the status of its answer; `time` is from the sandbox's clock."""

    time: datetime
    operation: Operation
    path: str
    account: str | None
    status: int


class Ledger(deque[AnsweredCall]):
    """A log of the latest 100,000 calls to the sandbox, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=100_000)

    def calls(self, operation: Operation | None = None) -> list[AnsweredCall]:
        """Return all calls, or only the calls of one operation."""
        return [call for call in list(self) if operation in {None, call.operation}]


class SandboxState:
    """The state of one sandbox; rules, clock and ledger may be used from another thread.

    Raises:
        RuleError: a rule refers to an unknown account or client.
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
