"""The gate through which all processes create reports, in the database: whether a report may be created, and what a result changes."""

import random
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.actions import CreatesPaused
from bidbeacon_pipelines.requests.gate_queries import (
    count_late_windows,
    find_gate,
    lock_gate,
    store_gate,
)
from bidbeacon_pipelines.requests.gate_rules import (
    accepted,
    answered,
    entered,
    refused,
    time_to_next_create,
)
from bidbeacon_pipelines.requests.rules import NoAnswer, Reported, Result
from bidbeacon_pipelines.requests.tables import ReportGate
from bidbeacon_sessions import SessionRecorder


def pause_before_create(
    connection: Connection, client_id: str, region: str, now: datetime
) -> timedelta | None:
    """Return the time until a report may be created; None if the limit of reports in flight is reached."""
    found = find_gate(connection, client_id, region, now=now)
    return timedelta(0) if found is None else time_to_next_create(found.gate, found.in_flight, now)


def enter_gate(
    connection: Connection, account: AdsAccount, now: datetime, *, first_limit: int
) -> bool:
    """Return whether a report of an ads account may be created now; then the gate counts it, once the transaction commits.

    Where no report was created through it yet, `first_limit` is how many may be in flight.
    """
    key = (account.client_id, account.region)
    state = lock_gate(connection, *key, now=now, first_limit=first_limit)
    if time_to_next_create(state.gate, state.in_flight, now) != timedelta(0):
        return False
    store_gate(connection, state.gate, entered(state.gate, now))
    return True


def note_result(
    connection: Connection,
    session: SessionRecorder,
    account: AdsAccount,
    result: Result,
    now: datetime,
    *,
    late_after: timedelta,
) -> None:
    """Adapt the gate's limits to the result of a create; a window is late `late_after` it fell due."""
    state = lock_gate(connection, account.client_id, account.region, now=now, first_limit=1)
    match result:
        case Reported():
            store_gate(connection, state.gate, accepted(state.gate, state.in_flight, now))
        case NoAnswer(is_throttled=True, not_before=not_before):
            jitter = random.random()  # noqa: S311 - spreads load, protects nothing
            closed = refused(state.gate, now, jitter=jitter, not_before=not_before)
            store_gate(connection, state.gate, closed)
            session.add_in(connection, _paused(connection, closed, late_after))
        case _:
            store_gate(connection, state.gate, answered(state.gate, now))


def hold_gate(
    connection: Connection, account: AdsAccount, now: datetime, *, until: datetime
) -> None:
    """Keep the gate closed until an instant if a report that belongs to no request takes its last place."""
    state = lock_gate(connection, account.client_id, account.region, now=now, first_limit=1)
    if state.in_flight + 1 >= int(state.gate.in_flight_limit):
        later = max(until, state.gate.next_create_at)
        store_gate(connection, state.gate, state.gate.with_changes(next_create_at=later))


def _paused(connection: Connection, gate: ReportGate, late_after: timedelta) -> CreatesPaused:
    overdue_before = gate.next_create_at - late_after
    return CreatesPaused(
        region=gate.region,
        until=gate.next_create_at,
        limit=int(gate.in_flight_limit),
        refusals=gate.refusals,
        late_windows=count_late_windows(
            connection, gate.client_id, gate.region, overdue_before=overdue_before
        ),
    )
