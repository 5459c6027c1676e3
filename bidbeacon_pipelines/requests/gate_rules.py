"""How many reports may be generating at once, and when the next may be created: one gate per client id and region. Pure.

Amazon limits both per client id and region, publishes neither limit and moves them with its load.
So they are learned: a refused create (HTTP 429) halves the limit on reports in flight, doubles the
pace and closes the gate for minutes; creates that are accepted raise the limit and speed the pace
up again, slowly.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

FIRST_LIMIT = 2.0
"""Reports in flight before anything is known: about two were recorded at a time, and as few as one are documented."""
LARGEST_LIMIT = 20.0
RAISE = 0.1
"""Added to the limit by a create that was accepted while all places were taken: ten of them make room for one more."""
SHORTEST_PACE = timedelta(seconds=1)
LONGEST_PACE = timedelta(minutes=5)
FASTER = 0.8
FIRST_CLOSURE = (timedelta(minutes=2), timedelta(minutes=5))
LONGEST_CLOSURE = timedelta(hours=1)
LONGEST_WISH = timedelta(hours=24)
"""How long a `Retry-After` of Amazon's is heeded at most."""
PROBE_LASTS = timedelta(minutes=2)
"""How long no other report is created after a probe whose result is not known yet."""
_MOST_DOUBLINGS = 10
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Gate:
    """What is known of the limits of one client id and region.

    Attributes:
        limit: Reports in flight at most; its whole part counts.
        pace: The time between two creates.
        next_create_at: No report is created before this instant, UTC.
        refusals: Creates that were refused in a row; above zero the next one is a probe, which goes
            alone.
    """

    limit: float = FIRST_LIMIT
    pace: timedelta = SHORTEST_PACE
    next_create_at: datetime = _NEVER
    refusals: int = 0

    @property
    def slots(self) -> int:
        """How many reports may be in flight."""
        return int(self.limit)

    @property
    def is_probing(self) -> bool:
        """Whether the last create was refused, so that one create has to be accepted before others follow."""
        return self.refusals > 0


def time_to_next_create(gate: Gate, in_flight: int, now: datetime) -> timedelta | None:
    """Return the time until a report may be created, with so many in flight; None if the limit is reached.

    A gate that is closed for longer than Amazon ever asks for was closed by a wrong clock.
    """
    if in_flight >= gate.slots:
        return None
    pause = gate.next_create_at - now
    return pause if timedelta(0) < pause <= LONGEST_WISH else timedelta(0)


def may_create(gate: Gate, in_flight: int, now: datetime) -> bool:
    """Return whether a report may be created now, with so many reports in flight."""
    return time_to_next_create(gate, in_flight, now) == timedelta(0)


def entered(gate: Gate, now: datetime) -> Gate:
    """Return the gate after a create has begun: the next one waits for the pace, or for the probe's answer."""
    return replace(gate, next_create_at=now + (PROBE_LASTS if gate.is_probing else gate.pace))


def accepted(gate: Gate, in_flight: int, now: datetime) -> Gate:
    """Return the gate after a create was accepted, with so many reports in flight, the new one included."""
    raised = min(gate.limit + RAISE, LARGEST_LIMIT) if in_flight >= gate.slots else gate.limit
    pace = max(gate.pace * FASTER, SHORTEST_PACE)
    begins = now + pace if gate.is_probing else gate.next_create_at
    return Gate(limit=raised, pace=pace, next_create_at=begins, refusals=0)


def refused(
    gate: Gate, now: datetime, *, jitter: float, not_before: datetime | None = None
) -> Gate:
    """Return the gate after a create was refused with 429: closed for 2 to 5 minutes, each further time twice as long, up to an hour.

    Args:
        gate: As it was.
        now: When the answer came.
        jitter: 0 to 1, so that processes and regions don't all come back at once.
        not_before: From `Retry-After`, if any.
    """
    shortest, longest = FIRST_CLOSURE
    first = shortest + (longest - shortest) * jitter
    closure = min(first * (1 << min(gate.refusals, _MOST_DOUBLINGS)), LONGEST_CLOSURE)
    until = now + closure
    if not_before is not None:
        until = max(until, min(not_before, now + LONGEST_WISH))
    return Gate(
        limit=max(gate.limit / 2, 1.0),
        pace=min(gate.pace * 2, LONGEST_PACE),
        next_create_at=until,
        refusals=gate.refusals + 1,
    )
