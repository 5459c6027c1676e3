"""Rules for how many reports may be in flight, and when the next is created. Pure.

There is one gate per client id and region. For each, Amazon limits the number of reports in flight
and the rate of creates (requests that create a report). It does not publish these limits, and
changes them with its load. So the gate learns them: a refused create (HTTP 429) halves the limit on
reports in flight, doubles the pause between creates and closes the gate for minutes; accepted
creates slowly raise the limit and shorten the pause again.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bidbeacon_pipelines.requests.tables import ReportGate

LARGEST_LIMIT = 20.0
RAISE = 0.1
"""How much an accepted create raises a limit that was reached: ten creates add one report."""
SHORTEST_PACE = timedelta(seconds=1)
LONGEST_PACE = timedelta(minutes=5)
FASTER = 0.8
FIRST_CLOSURE = (timedelta(minutes=2), timedelta(minutes=5))
LONGEST_CLOSURE = timedelta(hours=1)
LONGEST_REQUESTED_CLOSURE = timedelta(hours=24)
"""The longest closure that Amazon's `Retry-After` can cause."""
PROBE_LASTS = timedelta(minutes=2)
"""The longest time that other creates wait for the result of a probe; see `entered`."""
_MOST_DOUBLINGS = 10


def time_to_next_create(gate: "ReportGate", in_flight: int, now: datetime) -> timedelta | None:
    """Return the time until a report may be created; None if the in-flight limit is reached."""
    if in_flight >= int(gate.in_flight_limit):
        return None
    return max(gate.next_create_at - now, timedelta(0))


def entered(gate: "ReportGate", now: datetime) -> "ReportGate":
    """Return the gate after a create has begun; the next create may begin after `gate.pace`.

    If the last create was refused, this one is a probe: the next create waits for its result, but
    at most `PROBE_LASTS`.
    """
    return gate.with_changes(next_create_at=now + (PROBE_LASTS if gate.refusals else gate.pace))


def accepted(gate: "ReportGate", in_flight: int, now: datetime) -> "ReportGate":
    """Return the gate after a create was accepted.

    `in_flight` includes the new report. The pause before the next create starts at `now`, when
    Amazon answered, since the create may have been sent long after it entered the gate.
    """
    limit, pace = gate.in_flight_limit, max(gate.pace * FASTER, SHORTEST_PACE)
    return gate.with_changes(
        in_flight_limit=min(limit + RAISE, LARGEST_LIMIT) if in_flight >= int(limit) else limit,
        pace=pace,
        next_create_at=now + pace,
        refusals=0,
    )


def answered(gate: "ReportGate", now: datetime) -> "ReportGate":
    """Return the gate after a create failed without a 429; the next create waits for `pace`."""
    return gate.with_changes(next_create_at=max(gate.next_create_at, now + gate.pace))


def refused(
    gate: "ReportGate", now: datetime, *, jitter: float, not_before: datetime | None = None
) -> "ReportGate":
    """Return the gate after Amazon refused a create (429): the gate closes for 2 to 5 minutes.

    Each further refusal in a row doubles this time, up to an hour. `jitter` (0 to 1) spreads the
    retries of regions and clients. `not_before` is from Amazon's `Retry-After`, if any.
    """
    shortest, longest = FIRST_CLOSURE
    first = shortest + (longest - shortest) * jitter
    closure = min(first * (1 << min(gate.refusals, _MOST_DOUBLINGS)), LONGEST_CLOSURE)
    if not_before is not None:
        closure = max(closure, min(not_before - now, LONGEST_REQUESTED_CLOSURE))
    return gate.with_changes(
        in_flight_limit=max(gate.in_flight_limit / 2, 1.0),
        pace=min(gate.pace * 2, LONGEST_PACE),
        next_create_at=now + closure,
        refusals=gate.refusals + 1,
        refused_count=gate.refused_count + 1,
        closed_for=gate.closed_for + closure,
        last_refused_at=now,
    )
