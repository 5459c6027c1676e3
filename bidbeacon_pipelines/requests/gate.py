"""The gates that limit the creation of reports across all processes.

There is one gate per client id and region. `gate_rules` decides; this module has the SQL.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, text, update
from sqlalchemy.dialects.postgresql import insert

from bidbeacon_pipelines.accounts.queries import IS_REFRESHED
from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.actions import CreatesPaused
from bidbeacon_pipelines.requests.gate_rules import (
    SHORTEST_PACE,
    accepted,
    answered,
    entered,
    refused,
    time_to_next_create,
)
from bidbeacon_pipelines.requests.queries import IS_CREATABLE
from bidbeacon_pipelines.requests.rules import NoAnswer, Reported, Result
from bidbeacon_pipelines.requests.tables import ReportGate
from bidbeacon_pipelines.windows.due import DUE_SINCE
from bidbeacon_sessions import SessionRecorder


@dataclass(frozen=True)
class GateState:
    """A gate, with the numbers of its planned reports and of reports possibly in flight."""

    in_flight: int
    planned: int
    gate: ReportGate

    def closed_until(self, now: datetime) -> datetime | None:
        """Return when the gate reopens if a refused create (429) closed it; None if it is open."""
        at = self.gate.next_create_at
        return at if self.gate.refusals and at > now else None

    def facts(self, now: datetime) -> dict[str, Any]:
        """Return the gate as data, for pages and `bidbeacon doctor --json`."""
        return {
            "client_id": self.gate.client_id,
            "region": self.gate.region,
            "in_flight": self.in_flight,
            "places": int(self.gate.in_flight_limit),
            "planned": self.planned,
            "pace_seconds": self.gate.pace.total_seconds(),
            "closed_until": self.closed_until(now),
            "refused": self.gate.refused_count,
            "last_refused_at": self.gate.last_refused_at,
            "closed_seconds": self.gate.closed_for.total_seconds(),
        }


# A request whose outcome is unknown counts until it may be created again: Amazon may have accepted
# it.
_GATES = text("""
    SELECT g.*,
           (SELECT count(*) FROM report_requests r JOIN ads_accounts o USING (account_id)
             WHERE o.client_id = g.client_id AND o.region = g.region
               AND (r.status = 'in_flight' OR r.status = 'sent' AND NOT r.next_step_at <= :now))
               AS in_flight,
           (SELECT count(*) FROM report_requests r JOIN ads_accounts o USING (account_id)
             WHERE o.client_id = g.client_id AND o.region = g.region
               AND r.status = 'planned' AND o.needs_attention IS NULL) AS planned
      FROM report_gates g
     WHERE (CAST(:client_id AS text) IS NULL OR (g.client_id, g.region) = (:client_id, :region))
     ORDER BY g.client_id, g.region""")


def lock_gate(
    connection: Connection, client_id: str, region: str, *, now: datetime, first_limit: float = 1
) -> GateState:
    """Lock a gate until the transaction ends, and return its state.

    A missing gate is created, with `first_limit` as its limit on reports in flight.
    """
    new = insert(ReportGate).values(
        client_id=client_id,
        region=region,
        in_flight_limit=first_limit,
        pace=SHORTEST_PACE,
        next_create_at=now,
        refusals=0,
    )
    connection.execute(new.on_conflict_do_nothing())
    mine = (ReportGate.client_id == client_id, ReportGate.region == region)
    connection.execute(select(ReportGate.region).where(*mine).with_for_update())
    [state] = list_gates(connection, now=now, client_id=client_id, region=region)
    return state


def store_gate(connection: Connection, gate: ReportGate) -> None:
    """Store a locked gate."""
    mine = (ReportGate.client_id == gate.client_id, ReportGate.region == gate.region)
    connection.execute(update(ReportGate).where(*mine).values(gate.as_dict()))


def find_gate(
    connection: Connection, client_id: str, region: str, *, now: datetime
) -> GateState | None:
    """Return the gate of a client id and region, or None before its first report is created."""
    return next(iter(list_gates(connection, now=now, client_id=client_id, region=region)), None)


def list_gates(
    connection: Connection,
    *,
    now: datetime,
    client_id: str | None = None,
    region: str | None = None,
) -> list[GateState]:
    """Return all gates, or only the gate of a client id and region."""
    values = {"now": now, "client_id": client_id, "region": region}
    rows = [dict(row) for row in connection.execute(_GATES, values).mappings()]
    return [GateState(row.pop("in_flight"), row.pop("planned"), ReportGate(**row)) for row in rows]


_LATE_WINDOWS = text(f"""
    SELECT count(*) FROM report_requests r
      JOIN report_windows w ON w.request_id = r.id
      JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
      JOIN ads_accounts o ON o.account_id = w.account_id
     WHERE o.client_id = :client_id AND o.region = :region AND r.status IN ('planned', 'sent')
       AND {IS_REFRESHED}
       AND w.next_refresh_at IS NOT NULL AND {DUE_SINCE} <= :overdue_before""")


def count_late_windows(
    connection: Connection, client_id: str, region: str, *, overdue_before: datetime
) -> int:
    """Return the number of windows due by `overdue_before` whose request has no report yet."""
    values = {"client_id": client_id, "region": region, "overdue_before": overdue_before}
    return int(connection.execute(_LATE_WINDOWS, values).scalar_one())


def list_gates_with_work(connection: Connection, *, now: datetime) -> list[tuple[str, str]]:
    """Return the client id and region of each gate with reports that are ready to be created."""
    rows = connection.execute(
        text(f"""
            SELECT DISTINCT o.client_id, o.region
              FROM report_requests r JOIN ads_accounts o USING (account_id)
             WHERE {IS_CREATABLE} ORDER BY 1, 2"""),
        {"now": now},
    )
    return [(row.client_id, row.region) for row in rows]


def pause_before_create(
    connection: Connection, client_id: str, region: str, now: datetime
) -> timedelta | None:
    """Return the time until a report may be created; None if the in-flight limit is reached."""
    found = find_gate(connection, client_id, region, now=now)
    return timedelta(0) if found is None else time_to_next_create(found.gate, found.in_flight, now)


def enter_gate(
    connection: Connection, account: AdsAccount, now: datetime, *, first_limit: int
) -> bool:
    """Reserve the creation of a report at the gate; return False if none may be created now."""
    key = (account.client_id, account.region)
    state = lock_gate(connection, *key, now=now, first_limit=first_limit)
    if time_to_next_create(state.gate, state.in_flight, now) != timedelta(0):
        return False
    store_gate(connection, entered(state.gate, now))
    return True


def record_create_result(
    connection: Connection,
    session: SessionRecorder,
    account: AdsAccount,
    result: Result,
    now: datetime,
    *,
    late_after: timedelta,
) -> None:
    """Adapt the gate's limits to the result of the request that creates a report."""
    state = lock_gate(connection, account.client_id, account.region, now=now)
    match result:
        case Reported():
            after = accepted(state.gate, state.in_flight, now)
        case NoAnswer(is_throttled=True, not_before=not_before):
            jitter = random.random()  # noqa: S311 - spreads load, protects nothing
            after = refused(state.gate, now, jitter=jitter, not_before=not_before)
            at, key = after.next_create_at, (after.client_id, after.region)
            paused = CreatesPaused(
                region=after.region,
                until=at,
                limit=int(after.in_flight_limit),
                refusals=after.refusals,
                late_windows=count_late_windows(connection, *key, overdue_before=at - late_after),
            )
            session.add_in(connection, paused)
        case _:
            after = answered(state.gate, now)
    store_gate(connection, after)


def hold_gate(
    connection: Connection, account: AdsAccount, now: datetime, *, until: datetime
) -> None:
    """Close the gate until `until` if a report of `bidbeacon probe` takes the last free slot."""
    state = lock_gate(connection, account.client_id, account.region, now=now)
    if state.in_flight + 1 >= int(state.gate.in_flight_limit):
        later = max(until, state.gate.next_create_at)
        store_gate(connection, state.gate.with_changes(next_create_at=later))
