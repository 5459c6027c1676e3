"""The gate through which all processes create reports, in the database: whether a report may be created, and what a response changes."""

import random
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.ads_account_queries import AdsAccount
from bidbeacon_pipelines.actions import CreatesPaused
from bidbeacon_pipelines.requests import transitions
from bidbeacon_pipelines.requests.gate_queries import (
    StoredGate,
    count_in_flight,
    count_late_windows,
    find_gate,
    lock_gate,
    store_gate,
)
from bidbeacon_pipelines.requests.gate_rules import (
    Gate,
    accepted,
    entered,
    may_create,
    refused,
    time_to_next_create,
)
from bidbeacon_sessions import SessionRecorder


def pause_before_create(
    connection: Connection, client_id: str, region: str, now: datetime
) -> timedelta | None:
    """Return the time until a report may be created; None if the limit of reports in flight is reached."""
    found = find_gate(connection, client_id, region, now=now)
    return (
        timedelta(0)
        if found is None
        else time_to_next_create(_gate(found.gate), found.in_flight, now)
    )


def enter_gate(
    connection: Connection, account: AdsAccount, now: datetime, *, first_limit: int
) -> bool:
    """Return whether a report of an ads account may be created now; then the gate counts it, once the transaction commits.

    Where no report was created through it yet, `first_limit` is how many may be in flight.
    """
    gate = _locked(connection, account.client_id, account.region, Gate(limit=first_limit))
    in_flight = count_in_flight(connection, account.client_id, account.region, now=now)
    if not may_create(gate, in_flight, now):
        return False
    store_gate(connection, account.client_id, account.region, _stored(entered(gate, now)))
    return True


def note_answer(
    connection: Connection,
    session: SessionRecorder,
    account: AdsAccount,
    answer: transitions.Answer,
    now: datetime,
    *,
    late_after: timedelta,
) -> None:
    """Adapt the gate's limits to the result of a create; a window is late `late_after` it fell due."""
    match answer:
        case transitions.Reported():
            gate = _locked(connection, account.client_id, account.region)
            in_flight = count_in_flight(connection, account.client_id, account.region, now=now)
            store_gate(
                connection,
                account.client_id,
                account.region,
                _stored(accepted(gate, in_flight, now)),
            )
        case transitions.NoAnswer(is_throttled=True, not_before=not_before):
            _close(connection, session, account, now, not_before, late_after)


def _close(
    connection: Connection,
    session: SessionRecorder,
    account: AdsAccount,
    now: datetime,
    not_before: datetime | None,
    late_after: timedelta,
) -> None:
    before = _locked(connection, account.client_id, account.region)
    gate = refused(before, now, jitter=random.random(), not_before=not_before)  # noqa: S311 - spreads load, protects nothing
    store_gate(
        connection,
        account.client_id,
        account.region,
        _stored(gate),
        refused_at=now,
        closed_for=gate.next_create_at - now,
    )
    late_windows = count_late_windows(
        connection,
        account.client_id,
        account.region,
        overdue_before=gate.next_create_at - late_after,
    )
    session.add_in(
        connection,
        CreatesPaused(
            region=account.region,
            until=gate.next_create_at,
            limit=gate.slots,
            refusals=gate.refusals,
            late_windows=late_windows,
        ),
    )


def _locked(connection: Connection, client_id: str, region: str, new: Gate | None = None) -> Gate:
    return _gate(lock_gate(connection, client_id, region, new=_stored(new or Gate())))


def _gate(stored: StoredGate) -> Gate:
    gate = Gate(limit=stored.in_flight_limit, pace=stored.pace, refusals=stored.refusals)
    at = stored.next_create_at
    return gate if at is None else Gate(gate.limit, gate.pace, at, gate.refusals)


def _stored(gate: Gate) -> StoredGate:
    return StoredGate(gate.limit, gate.pace, gate.next_create_at, gate.refusals)
