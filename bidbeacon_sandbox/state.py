"""The state of one sandbox: its clock, access tokens, call rates, and everything else it holds."""

import secrets
import time
from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from typing import Literal

from bidbeacon_sandbox.accounts import Region, make_accounts
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.config import SandboxConfig
from bidbeacon_sandbox.exports import Exports
from bidbeacon_sandbox.fault_rules import check_accounts
from bidbeacon_sandbox.faults import Faults, Operation
from bidbeacon_sandbox.files import PartFiles, Signer
from bidbeacon_sandbox.ledger import Ledger
from bidbeacon_sandbox.reports import Reports


class SandboxClock:
    """An aware UTC clock that starts at `start` (now, if absent) and runs `rate` seconds a real second."""

    def __init__(self, start: datetime | None = None, rate: float = 1.0) -> None:
        self._base = start or datetime.now(UTC)
        self._since = time.monotonic()
        self._rate = rate

    @property
    def rate(self) -> float:
        """Sandbox seconds a real second; 0 is a frozen clock."""
        return self._rate

    def now(self) -> datetime:
        """Return the sandbox's present instant, UTC."""
        elapsed = (time.monotonic() - self._since) * self._rate
        return (self._base + timedelta(seconds=elapsed)).astimezone(UTC)

    def set(self, instant: datetime) -> None:
        """Jump to an instant (aware); the rate stays."""
        self._base, self._since = instant, time.monotonic()

    def advance(self, seconds: float) -> None:
        """Jump forward (or back) by a number of seconds; the rate stays."""
        self.set(self.now() + timedelta(seconds=seconds))

    def accelerate(self, rate: float) -> None:
        """Run `rate` sandbox seconds a real second from here on."""
        self.set(self.now())
        self._rate = rate

    def freeze(self) -> None:
        """Stop here until `accelerate` is called; `set` and `advance` still move the clock."""
        self.accelerate(0.0)


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
        """Return whether a token is good at an instant."""
        expires_at = self._expiries.get(token)
        if expires_at is None:
            return "unknown"
        return "valid" if now < expires_at else "expired"

    def expire(self, token: str, now: datetime) -> None:
        """End a token's life now."""
        if token in self._expiries:
            self._expiries[token] = now


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
        self._recent: dict[tuple[Region, CallClass], deque[datetime]] = defaultdict(deque)

    def lets_in(self, region: Region, operation: Operation, now: datetime) -> bool:
        """Return whether one more call may pass at an instant, and count it where it may."""
        call_class = _CLASSES.get(operation)
        if self._limit is None or call_class is None:
            return True
        recent = self._recent[region, call_class]
        while recent and abs(now - recent[0]) >= _SECOND:
            recent.popleft()
        if len(recent) >= self._limit:
            return False
        recent.append(now)
        return True


class SandboxState:
    """The state of one sandbox; faults, clock and ledger may be used from another thread."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = SandboxClock(config.clock_start, config.clock_rate)
        self.ledger = Ledger()
        self.rates = Rates(config.calls_per_second)
        accounts = make_accounts(
            config.seed, config.accounts, config.rows_per_day, config.countries
        )
        rules = config.all_faults()
        check_accounts(rules, accounts.accounts)
        self.faults = Faults(config.seed, rules)
        self.world = World(config.seed, accounts)
        self.tokens = Tokens(config.token_seconds)
        self.reports = Reports(config, self.world)
        self.exports = Exports(config, self.world)
        self.signer = Signer(config.seed)
        self.files = PartFiles(config.part_rows, config.cache_bytes, config.state_dir)

    def close(self) -> None:
        """Remove the generated files."""
        self.files.close()
