"""SQL on gates: through which all processes create reports, one a client id and region."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from bidbeacon_pipelines.requests.queries import IS_CREATABLE
from bidbeacon_pipelines.windows.coverage_queries import IS_OVERDUE


@dataclass(frozen=True)
class StoredGate:
    """A gate as stored; `next_create_at` is None where no report was ever created through it."""

    in_flight_limit: float
    pace: timedelta
    next_create_at: datetime | None
    refusals: int


# A request whose outcome is unknown counts until it may be created again: Amazon may have accepted
# it.
_IN_FLIGHT = """
    SELECT count(*) FROM report_requests r JOIN ads_accounts o USING (account_id)
     WHERE o.client_id = g.client_id AND o.region = g.region
       AND (r.status = 'in_flight' OR (r.status = 'sent' AND r.next_step_at > :now))"""


def lock_gate(
    connection: Connection, client_id: str, region: str, *, new: StoredGate
) -> StoredGate:
    """Return a gate, locked until the transaction ends; insert `new` if there is none."""
    key = {"client_id": client_id, "region": region}
    connection.execute(
        text("""INSERT INTO report_gates (client_id, region, in_flight_limit, pace, next_create_at, refusals)
                VALUES (:client_id, :region, :limit, :pace, '-infinity', 0) ON CONFLICT DO NOTHING"""),
        key | {"limit": new.in_flight_limit, "pace": new.pace},
    )
    row = connection.execute(
        text("""SELECT in_flight_limit, pace, nullif(next_create_at, '-infinity') AS next_create_at, refusals
                  FROM report_gates WHERE client_id = :client_id AND region = :region FOR UPDATE"""),
        key,
    )
    return StoredGate(**row.mappings().one())


def store_gate(
    connection: Connection,
    client_id: str,
    region: str,
    gate: StoredGate,
    *,
    refused_at: datetime | None = None,
    closed_for: timedelta = timedelta(0),
) -> None:
    """Store a locked gate.

    Args:
        connection: the transaction that has locked it.
        client_id: whose.
        region: where.
        gate: as it is now.
        refused_at: when a create was refused, where that is what changed it.
        closed_for: for how long it is closed then.
    """
    connection.execute(
        text("""UPDATE report_gates
                   SET in_flight_limit = :limit, pace = :pace, next_create_at = :next_create_at, refusals = :refusals,
                       refused_count = refused_count + CASE WHEN CAST(:refused_at AS timestamptz) IS NULL THEN 0 ELSE 1 END,
                       last_refused_at = coalesce(:refused_at, last_refused_at), closed_for = closed_for + :closed_for
                 WHERE client_id = :client_id AND region = :region"""),
        {
            "client_id": client_id,
            "region": region,
            "limit": gate.in_flight_limit,
            "pace": gate.pace,
            "next_create_at": gate.next_create_at,
            "refusals": gate.refusals,
            "refused_at": refused_at,
            "closed_for": closed_for,
        },
    )


def count_in_flight(connection: Connection, client_id: str, region: str, *, now: datetime) -> int:
    """Return how many reports of a client id and region Amazon is making, or may be making."""
    counted = connection.execute(
        text(f"""SELECT ({_IN_FLIGHT})
                   FROM (SELECT CAST(:client_id AS text) AS client_id, CAST(:region AS text) AS region) g"""),
        {"client_id": client_id, "region": region, "now": now},
    )
    return int(counted.scalar_one())


_LATE_WINDOWS = text(f"""
    SELECT count(*) FROM report_requests r
      JOIN ads_accounts o USING (account_id)
      JOIN report_windows w ON w.request_id = r.id
      JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
     WHERE o.client_id = :client_id AND o.region = :region AND r.status IN ('planned', 'sent') AND {IS_OVERDUE}""")


def count_late_windows(
    connection: Connection, client_id: str, region: str, *, overdue_before: datetime
) -> int:
    """Return how many windows that fell due before an instant wait at a gate for their report to be created."""
    values = {"client_id": client_id, "region": region, "overdue_before": overdue_before}
    return int(connection.execute(_LATE_WINDOWS, values).scalar_one())


@dataclass(frozen=True)
class GateState:
    """A gate with what waits at it, and what refused creates (429) have cost so far."""

    client_id: str
    region: str
    gate: StoredGate
    in_flight: int
    planned: int
    refused_count: int
    closed_for: timedelta
    last_refused_at: datetime | None

    def closed_until(self, now: datetime) -> datetime | None:
        """Return until when a refused create keeps the gate closed; None where it is open."""
        at = self.gate.next_create_at
        return at if self.gate.refusals and at is not None and at > now else None


_STATES = text(f"""
    SELECT g.client_id, g.region, in_flight_limit, pace, nullif(next_create_at, '-infinity') AS next_create_at, g.refusals,
           g.refused_count, g.closed_for, g.last_refused_at, ({_IN_FLIGHT}) AS in_flight,
           (SELECT count(*) FROM report_requests r JOIN ads_accounts o USING (account_id)
             WHERE o.client_id = g.client_id AND o.region = g.region AND r.status = 'planned' AND o.needs_person IS NULL) AS planned
      FROM report_gates g
     WHERE (CAST(:client_id AS text) IS NULL OR (g.client_id, g.region) = (:client_id, :region))
     ORDER BY g.client_id, g.region""")


def find_gate(
    connection: Connection, client_id: str, region: str, *, now: datetime
) -> GateState | None:
    """Return one gate with what waits at it; None before the first report is created through it."""
    found = _states(connection, {"client_id": client_id, "region": region, "now": now})
    return found[0] if found else None


def list_gates(connection: Connection, *, now: datetime) -> list[GateState]:
    """Return all gates that reports were created through, with what waits at each."""
    return _states(connection, {"client_id": None, "region": None, "now": now})


def _states(connection: Connection, values: dict[str, object]) -> list[GateState]:
    return [
        GateState(
            client_id=row["client_id"],
            region=row["region"],
            gate=StoredGate(**{name: row[name] for name in StoredGate.__dataclass_fields__}),
            in_flight=row["in_flight"],
            planned=row["planned"],
            refused_count=row["refused_count"],
            closed_for=row["closed_for"],
            last_refused_at=row["last_refused_at"],
        )
        for row in connection.execute(_STATES, values).mappings()
    ]


def list_gates_with_work(connection: Connection, *, now: datetime) -> list[tuple[str, str]]:
    """Return client id and region of each gate at which requests wait whose report may be created now, as far as they are concerned."""
    rows = connection.execute(
        text(f"""SELECT DISTINCT o.client_id, o.region FROM report_requests r JOIN ads_accounts o USING (account_id)
                  WHERE {IS_CREATABLE} ORDER BY 1, 2"""),
        {"now": now},
    )
    return [(row.client_id, row.region) for row in rows]
