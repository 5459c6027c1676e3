"""SQL on runs requested on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, Account

RunKind = Literal["load-windows", "sync-entities"]


@dataclass(frozen=True)
class RunRequest:
    """A requested run as stored; see the table's description.

    `account_label` is its account's label.
    """

    id: int
    kind: RunKind
    account_key: str
    account_label: str
    dataset: str
    windows: list[date]
    requested_by: str
    requested_at: datetime
    session_id: UUID | None
    finished_at: datetime | None
    failure: str | None


_COLUMNS = f"""q.id, q.kind, a.account_key, {ACCOUNT_LABEL} AS account_label, q.dataset, q.windows, q.requested_by, q.requested_at,
    q.session_id, q.finished_at, q.failure"""
_FROM = "run_requests q JOIN advertiser_accounts a USING (account_id, country_code) JOIN ads_accounts o USING (account_id)"

_SETTLE = text("""
    UPDATE run_requests q SET finished_at = :now
     WHERE finished_at IS NULL AND session_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM session_headers h WHERE h.id = q.session_id AND h.status = 'running')""")


def finish_requests(connection: Connection, *, now: datetime) -> None:
    """Mark requests whose sessions have ended as finished, whatever their outcome."""
    connection.execute(_SETTLE, {"now": now})


_INSERT = text("""
    INSERT INTO run_requests AS q (account_id, country_code, kind, dataset, windows, requested_by, requested_at)
    VALUES (:account_id, :country_code, :kind, :dataset, CAST(:windows AS date[]), :by, :now)
    ON CONFLICT (account_id, country_code, kind, dataset, windows) WHERE finished_at IS NULL
    DO UPDATE SET requested_by = q.requested_by RETURNING id""")


def request_run(
    connection: Connection,
    account: Account,
    kind: RunKind,
    *,
    dataset: str = "",
    windows: Sequence[date] = (),
    by: str,
    now: datetime,
) -> int:
    """Store a request for a run; return its id, or that of an equal open request."""
    values = account.identity | {"kind": kind, "dataset": dataset, "windows": sorted(set(windows))}
    return int(connection.execute(_INSERT, values | {"by": by, "now": now}).scalar_one())


def find_run_request(connection: Connection, request_id: int) -> RunRequest | None:
    """Return a request, or None."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE q.id = :id"), {"id": request_id}
    )
    row = rows.mappings().first()
    return None if row is None else _request(row)


def list_waiting_requests(connection: Connection) -> list[RunRequest]:
    """Return the requests whose run has not begun, the oldest first."""
    statement = f"SELECT {_COLUMNS} FROM {_FROM} WHERE q.finished_at IS NULL AND q.session_id IS NULL ORDER BY q.id"
    return [_request(row) for row in connection.execute(text(statement)).mappings()]


def list_open_requests(connection: Connection, account: Account) -> list[RunRequest]:
    """Return an account's requests that are not finished, the oldest first."""
    statement = f"""SELECT {_COLUMNS} FROM {_FROM} WHERE q.account_id = :account_id AND q.country_code = :country_code
                       AND q.finished_at IS NULL ORDER BY q.id"""
    return [
        _request(row) for row in connection.execute(text(statement), account.identity).mappings()
    ]


def begin_request(connection: Connection, request_id: int, session_id: UUID) -> None:
    """Store the session of a request's run; a later attempt replaces an earlier one."""
    connection.execute(
        text(
            "UPDATE run_requests SET session_id = :session WHERE id = :id AND finished_at IS NULL"
        ),
        {"id": request_id, "session": session_id},
    )


def fail_request(connection: Connection, request_id: int, reason: str, *, now: datetime) -> None:
    """Mark a request as failed: none of its runs began its work."""
    connection.execute(
        text(
            "UPDATE run_requests SET finished_at = :now, failure = :reason WHERE id = :id AND finished_at IS NULL"
        ),
        {"id": request_id, "reason": reason, "now": now},
    )


def delete_requests(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most so many requests that were finished before an instant; return how many."""
    deleted = connection.execute(
        text("""DELETE FROM run_requests WHERE id = ANY (ARRAY(
                    SELECT id FROM run_requests WHERE finished_at < :before LIMIT :limit))"""),
        {"before": before, "limit": limit},
    )
    return deleted.rowcount


def _request(row: RowMapping) -> RunRequest:
    return RunRequest(**row)
