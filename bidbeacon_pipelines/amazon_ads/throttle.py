"""When our own calls may start: lanes that calls of a class go through one after another, by region and account."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from bidbeacon_pipelines.settings import Region

# Longest time that a lane can be held. A start that is planned for later was written by a clock that has been set
# back since, and a longer `Retry-After` is asked about again after that time.
LONGEST_HOLD = timedelta(hours=1)

LaneKey = tuple[Region, "CallClass", str]


class CallClass(StrEnum):
    """What Amazon throttles as one."""

    CREATE = "create"
    RETRIEVE = "retrieve"
    EXPORTS = "exports"
    OTHER = "other"


@dataclass(frozen=True)
class Lane:
    """Where a call queues; `account_id` is None for calls that concern no account in particular."""

    region: Region
    call_class: CallClass
    account_id: str | None = None

    @property
    def keys(self) -> tuple[LaneKey, ...]:
        """The lanes that a call here goes through: the region's, named by "", then the account's, if any."""
        accounts = [""] if self.account_id is None else ["", self.account_id]
        return tuple((self.region, self.call_class, account) for account in accounts)

    @property
    def own_key(self) -> LaneKey:
        """The lane that is held back: the account's, or without an account the region's."""
        return self.keys[-1]


class Lanes(Protocol):
    """Hands out places; shared by all who have to stay under one limit together. Safe between threads."""

    def reserve(self, lane: Lane, *, longest_wait: float) -> float:
        """Take the next place in the region's lane of this class and (if any) the account's.

        Args:
            lane: Where the call queues.
            longest_wait: Seconds that the caller would wait at most.

        Returns:
            Seconds until the place; if that is more than `longest_wait`, nothing was taken.
        """
        ...

    def hold_back(self, lane: Lane, seconds: float) -> None:
        """Leave the account's lane (without an account, the region's) alone for so long: Amazon asked for it."""
        ...


def _per_class(create: float, others: float) -> Mapping[CallClass, float]:
    return MappingProxyType({each: create if each is CallClass.CREATE else others for each in CallClass})


@dataclass(frozen=True)
class LaneGaps:
    """Seconds between two starts in one lane, by class: of a region, and of an account in it.

    Amazon publishes no limits, and moves them with its load; these keep us far from any that was ever reported. Reports may be
    limited to one create a second in a region, and that counts requests: repeated ones and those that Amazon refuses as well.
    """

    region: Mapping[CallClass, float] = field(default_factory=lambda: _per_class(1.0, 0.05))
    account: Mapping[CallClass, float] = field(default_factory=lambda: _per_class(1.0, 0.05))

    @classmethod
    def none(cls) -> "LaneGaps":
        """Return gaps of nothing, for simulated time: lanes then only hold back."""
        return cls(_per_class(0, 0), _per_class(0, 0))

    def of(self, lane: Lane) -> tuple[timedelta, ...]:
        """Return the gaps of `lane.keys`, in their order."""
        seconds = (self.region[lane.call_class], self.account[lane.call_class])
        return tuple(timedelta(seconds=each) for each in seconds[: len(lane.keys)])


@dataclass(frozen=True)
class Place:
    """The next place in some lanes.

    Attributes:
        start: When the call may start, UTC.
        next_starts: Of each lane, when the call after it may start; None if the place is too far off to be taken.
    """

    start: datetime
    next_starts: tuple[datetime, ...] | None


def next_place(
    now: datetime,
    next_starts: Sequence[datetime | None],
    gaps: Sequence[timedelta],
    longest_wait: timedelta,
) -> Place:
    """Return the first place that is free in all lanes.

    Args:
        now: The present instant, UTC.
        next_starts: Of each lane, when the next call may start; None where nobody was before.
        gaps: Of each lane, the time between two starts.
        longest_wait: A place further off isn't taken.
    """
    planned = [start for start in next_starts if start is not None and start - now <= LONGEST_HOLD]
    start = max([now, *planned])
    if start - now > longest_wait:
        return Place(start, None)
    return Place(start, tuple(start + gap for gap in gaps))


def held_until(now: datetime, next_start: datetime | None, seconds: float) -> datetime:
    """Return a lane's next start after it was held back: never earlier than it was, at most `LONGEST_HOLD` off."""
    until = now + min(timedelta(seconds=max(0.0, seconds)), LONGEST_HOLD)
    if next_start is None or next_start - now > LONGEST_HOLD:
        return until
    return max(until, next_start)


class LocalLanes:
    """The lanes of this process alone, where no database can hold them.

    Args:
        gaps: Time between starts.
        now: Tells the present instant, UTC; the machine's clock by default.
    """

    def __init__(self, gaps: LaneGaps | None = None, now: Callable[[], datetime] | None = None) -> None:
        self._gaps = gaps or LaneGaps()
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._next_starts: dict[LaneKey, datetime] = {}
        self._seen = datetime.min.replace(tzinfo=UTC)

    def reserve(self, lane: Lane, *, longest_wait: float) -> float:
        """Take the next place; return the seconds until it."""
        with self._lock:
            now = self._read_clock()
            planned = [self._next_starts.get(key) for key in lane.keys]
            place = next_place(now, planned, self._gaps.of(lane), timedelta(seconds=longest_wait))
            self._next_starts.update(zip(lane.keys, place.next_starts or (), strict=False))
        return (place.start - now).total_seconds()

    def hold_back(self, lane: Lane, seconds: float) -> None:
        """Leave the lane alone for so long."""
        with self._lock:
            now = self._read_clock()
            self._next_starts[lane.own_key] = held_until(now, self._next_starts.get(lane.own_key), seconds)

    def _read_clock(self) -> datetime:
        """Return the present instant; a clock that was set back takes the plans along, so that nobody waits for it."""
        now = self._now()
        if now < self._seen:
            back = self._seen - now
            self._next_starts = {key: start - back for key, start in self._next_starts.items()}
        self._seen = now
        return now
