"""The data of the page Queue: open requests, what each waits for, and what limits them all."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, RowMapping

from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.gate import GateState, list_gates
from bidbeacon_pipelines.requests.outlook import (
    Outlook,
    QueueState,
    limit_of,
    limit_of_cadence,
    limit_of_loads,
    queue_state,
)
from bidbeacon_pipelines.requests.queries import list_requests
from bidbeacon_pipelines.requests.queue_queries import (
    count_complete,
    find_cadence_waits,
    list_open_requests,
    list_request_details,
    read_speed,
)
from bidbeacon_pipelines.requests.rules import MAX_ATTEMPTS
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_sessions.presentation import session_url

USUAL_LIMIT: Final = 200
MOST: Final = 5_000
_BUSIEST_FIRST: Final = [*reversed(QueueState)]


def read_queue(
    connection: Connection,
    *,
    loads_at_once: int,
    now: datetime,
    account_id: str | None = None,
    dataset: str | None = None,
    state: QueueState | None = None,
    cause: str | None = None,
    limit: int = USUAL_LIMIT,
) -> dict[str, Any]:
    """Return the open requests that match, as JSON data; see `docs/reference/http.md`.

    Use a REPEATABLE READ transaction, so that all queries see the same state of the database.
    """
    everything = [(_state_of(one, now), one) for one in list_open_requests(connection)]
    complete = Counter(of for of, _ in everything)
    running = complete[QueueState.LOADING]
    found = [
        (of, one)
        for of, one in everything
        if account_id in (None, one.account_id) and dataset in (None, one.dataset)
    ]
    counts = Counter(of for of, _ in found)
    chosen = [(of, one) for of, one in found if state in (None, of) and cause in (None, one.cause)]
    chosen.sort(key=_order)
    gates = {(one.gate.client_id, one.gate.region): one for one in list_gates(connection, now=now)}
    creates, speed = read_speed(connection, now)
    ids = [one.id for _, one in chosen[:limit]]
    rows = {row.id: row for row in list_requests(connection, ids)}
    details = list_request_details(connection, ids)
    loads_full = running if running >= loads_at_once else None
    answer = {
        "at": now,
        "counts": {of: counts[of] for of in QueueState if counts[of]},
        "matching": len(chosen),
        "datasets": list(DATASETS),
        "gates": [
            one.facts(now)
            | {"created": creates.get(one.gate.region, 0), "limit": limit_of(one, now)}
            for one in gates.values()
        ],
        "loads": {
            "running": running,
            "at_once": loads_at_once,
            "last_hour": int(speed["loads"]),
            "rows_last_hour": int(speed["rows"]),
            "limit": limit_of_loads(running, loads_at_once, complete[QueueState.READY]),
        },
        "requests": [_request_json(rows[id_], details[id_], gates, now, loads_full) for id_ in ids],
    }
    plain: dict[str, Any] = msgspec.to_builtins(answer)
    return plain


def list_limits(
    connection: Connection,
    gates: Sequence[GateState],
    *,
    loads_at_once: int,
    now: datetime,
    account_id: str | None = None,
) -> list[str]:
    """Return sentences on what delays reports: slots, throttling, parallel loads, a cadence.

    `gates` are the gates in question; `account_id` restricts the cadences to one ads account.
    """
    by_gate = ((gate.gate.region, limit_of(gate, now)) for gate in gates)
    limits = [f"{region}: {limit}" for region, limit in by_gate if limit]
    running, waiting = count_complete(connection)
    loads = limit_of_loads(running, loads_at_once, waiting)
    cadence = limit_of_cadence(*find_cadence_waits(connection, now, account_id))
    return [*limits, *filter(None, (loads, cadence))]


def _state_of(row: Row[Any], now: datetime) -> QueueState:
    facts = {"has_failed": row.cause is not None, "is_locked": row.is_locked}
    return queue_state(row.status, now, late_at=row.late_at, **facts)


def _order(pair: tuple[QueueState, Row[Any]]) -> tuple[Any, ...]:
    """Sort what is nearest to its end first; what is planned in about the order of creation."""
    state, row = pair
    newest_first = -row.end_date.toordinal() if state is QueueState.PLANNED else 0
    return _BUSIEST_FIRST.index(state), not row.by_hand, newest_first, row.step_at, row.id


def _request_json(
    row: ReportRequest,
    details: RowMapping,
    gates: dict[tuple[str, str], GateState],
    now: datetime,
    loads_full: int | None,
) -> dict[str, Any]:
    gate = gates.get((details["client_id"], details["region"]))
    is_locked = details["worker"] is not None
    outlook = Outlook(row, is_locked, gate, details["region"], now, loads_full)
    return {
        "id": row.id,
        "name": details["name"],
        "accounts": details["accounts"],
        "dataset": row.dataset,
        "report": row.report,
        "from": row.start_date,
        "to": row.end_date,
        "days": row.days,
        "state": outlook.state,
        "attempt": row.attempts,
        "attempts": MAX_ATTEMPTS,
        "failure": None if row.cause is None else explain(row.cause).sentence,
        "next_step": outlook.next_step,
        "next_at": outlook.step_at if outlook.step_at > now else None,
        "since": row.sent_at or row.created_at,
        "wanted_by": details["wanted_by"],
        "session": None if details["worker"] is None else session_url(str(details["worker"])),
    }
