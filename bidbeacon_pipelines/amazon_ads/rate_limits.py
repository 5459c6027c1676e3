"""Our own rate limits: how far apart calls of a class start, by region and by account."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from bidbeacon_pipelines.settings import Region

# Longest pause. A start that is planned for later was written by a clock that has been set
# back since, and a longer `Retry-After` is asked about again after that time.
LONGEST_PAUSE = timedelta(hours=1)

LimitKey = tuple[Region, "CallClass", str]


class CallClass(StrEnum):
    """A group of calls that share a rate limit at Amazon."""

    CREATE = "create"
    RETRIEVE = "retrieve"
    EXPORTS = "exports"
    OTHER = "other"


@dataclass(frozen=True)
class LimitScope:
    """The rate limits that a call counts against; `account_id` is None for calls that concern no single account."""

    region: Region
    call_class: CallClass
    account_id: str | None = None

    @property
    def keys(self) -> tuple[LimitKey, ...]:
        """The rate limits of a call: the region's, with an empty account id, then the account's, if any."""
        accounts = [""] if self.account_id is None else ["", self.account_id]
        return tuple((self.region, self.call_class, account) for account in accounts)

    @property
    def own_key(self) -> LimitKey:
        """The rate limit that is paused: the account's, or without an account the region's."""
        return self.keys[-1]


class RateLimits(Protocol):
    """Reserves the slots in which calls start. Safe between threads."""

    def reserve(self, scope: LimitScope, *, longest_wait: float) -> float:
        """Reserve the next slot of the region and (if any) the account.

        Args:
            scope: What the call counts against.
            longest_wait: Seconds that the caller waits at most.

        Returns:
            Seconds until the slot; if that is more than `longest_wait`, nothing was reserved.
        """
        ...

    def pause(self, scope: LimitScope, seconds: float) -> None:
        """Stop calls of the account (without an account, of the region) for so long, as Amazon asked."""
        ...


def _per_class(create: float, others: float) -> Mapping[CallClass, float]:
    return MappingProxyType(
        {
            call_class: create if call_class is CallClass.CREATE else others
            for call_class in CallClass
        }
    )


@dataclass(frozen=True)
class CallIntervals:
    """Seconds between two starts by class: of a region, and of an account in it.

    Amazon publishes no limits, and moves them with its load; these keep us far from any that was
    ever reported. Reports may be limited to one create a second in a region, and that counts
    requests: repeated ones and those that Amazon refuses as well.
    """

    region: Mapping[CallClass, float] = field(default_factory=lambda: _per_class(1.0, 0.05))
    account: Mapping[CallClass, float] = field(default_factory=lambda: _per_class(1.0, 0.05))

    @classmethod
    def none(cls) -> "CallIntervals":
        """Return intervals of zero, for simulated time: only pauses then delay calls."""
        return cls(_per_class(0, 0), _per_class(0, 0))

    def of(self, scope: LimitScope) -> tuple[timedelta, ...]:
        """Return the intervals of `scope.keys`, in their order."""
        seconds = (self.region[scope.call_class], self.account[scope.call_class])
        return tuple(timedelta(seconds=gap) for gap in seconds[: len(scope.keys)])


@dataclass(frozen=True)
class Slot:
    """The next slot under some rate limits.

    Attributes:
        start: When the call may start, UTC.
        next_starts: For each rate limit, when the call after it may start; None if the slot is too
            far off to be reserved.
    """

    start: datetime
    next_starts: tuple[datetime, ...] | None


def next_slot(
    now: datetime,
    next_starts: Sequence[datetime | None],
    intervals: Sequence[timedelta],
    longest_wait: timedelta,
) -> Slot:
    """Return the earliest slot that all rate limits allow.

    Args:
        now: The present instant, UTC.
        next_starts: For each rate limit, when the next call may start; None where none was made
            before.
        intervals: For each rate limit, the time between two starts.
        longest_wait: A slot further off isn't reserved.
    """
    planned = [start for start in next_starts if start is not None and start - now <= LONGEST_PAUSE]
    start = max([now, *planned])
    if start - now > longest_wait:
        return Slot(start, None)
    return Slot(start, tuple(start + gap for gap in intervals))


def paused_until(now: datetime, next_start: datetime | None, seconds: float) -> datetime:
    """Return a rate limit's next start after a pause: never earlier than before, at most `LONGEST_PAUSE` off."""
    until = now + min(timedelta(seconds=max(0.0, seconds)), LONGEST_PAUSE)
    if next_start is None or next_start - now > LONGEST_PAUSE:
        return until
    return max(until, next_start)


class LocalRateLimits:
    """Rate limits of this process alone, without a database.

    Args:
        intervals: Time between starts.
        now: Returns the present instant, UTC; the machine's clock by default.
    """

    def __init__(
        self, intervals: CallIntervals | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        self._intervals = intervals or CallIntervals()
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._next_starts: dict[LimitKey, datetime] = {}
        self._seen = datetime.min.replace(tzinfo=UTC)

    def reserve(self, scope: LimitScope, *, longest_wait: float) -> float:
        """Reserve the next slot; return the seconds until it."""
        with self._lock:
            now = self._read_clock()
            planned = [self._next_starts.get(key) for key in scope.keys]
            slot = next_slot(
                now, planned, self._intervals.of(scope), timedelta(seconds=longest_wait)
            )
            self._next_starts.update(zip(scope.keys, slot.next_starts or (), strict=False))
        return (slot.start - now).total_seconds()

    def pause(self, scope: LimitScope, seconds: float) -> None:
        """Stop calls for so long."""
        with self._lock:
            now = self._read_clock()
            self._next_starts[scope.own_key] = paused_until(
                now, self._next_starts.get(scope.own_key), seconds
            )

    def _read_clock(self) -> datetime:
        """Return the present instant; if the clock was set back, move all planned starts back as well."""
        now = self._now()
        if now < self._seen:
            back = self._seen - now
            self._next_starts = {key: start - back for key, start in self._next_starts.items()}
        self._seen = now
        return now
