"""SQL for report requests, their locks and their windows.

`locked_by` is the session that works on a request. The lock ends when the session's lease expires,
so it also ends after the session's process has died.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.orm import aliased

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.database.base import read_rows
from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_pipelines.database.unwritable_folders import IS_PAUSED_HERE, place_of
from bidbeacon_pipelines.datasets.registry import DATASETS, DatasetReport
from bidbeacon_pipelines.requests.planning_rules import Candidate, PlannedRequest
from bidbeacon_pipelines.requests.tables import OPEN_REQUEST, LoadByHand, ReportRequest
from bidbeacon_pipelines.windows.due import DUE_SINCE
from bidbeacon_pipelines.windows.rules import RETRIED_FOR
from bidbeacon_sessions.leases import end_dead_connections, is_unclaimed


class LockLostError(RuntimeError):
    """Another session took over the request, since this session's lease had expired."""

    def __init__(self, request_id: int) -> None:
        self.request_id = request_id
        super().__init__(
            f"The lease on request {request_id} expired, and another session took it over. "
            "This session's changes to it are rolled back; the other session continues it."
        )


_R, _O = aliased(ReportRequest, name="r"), aliased(AdsAccount, name="o")
_TO_CREATE = """r.status IN ('planned', 'sent')
       AND (r.next_step_at IS NULL OR r.next_step_at <= :now)"""
_UNLOCKED = is_unclaimed("r.locked_by")
IS_CREATABLE = f"""{_TO_CREATE} AND {_UNLOCKED}
           AND o.needs_attention_for IS DISTINCT FROM 'credentials'
           AND (o.needs_attention_for IS NULL OR r.attempts > 0 OR r.sent_at IS NOT NULL)"""
"""SQL: request `r` of ads account `o` may be created at `:now`, if its gate is open."""


def lock_planning(connection: Connection, account_id: str) -> None:
    """Lock planning of an ads account until the transaction ends, so no day is planned twice.

    Raises:
        LockTakenError: another job has held the lock for too long.
    """
    lock_until_commit(connection, f"plan {account_id}")


_UNSENT = """r.status = 'planned' AND r.attempts = 0
    AND NOT EXISTS (SELECT FROM report_windows w WHERE w.request_id = r.id)"""


def lock_plans(connection: Connection, account_id: str) -> list[ReportRequest]:
    """Return the unsent requests of an ads account, newest days first, and lock their rows.

    If a request is being sent, wait until it is sent, and leave it out.
    """
    plans = select(_R).where(_R.account_id == account_id, text(_UNSENT))
    return read_rows(connection, plans.order_by(_R.end_date.desc(), _R.id).with_for_update())


def insert_request(connection: Connection, **columns: Any) -> None:
    """Store a planned request with the given column values."""
    connection.execute(insert(ReportRequest).values(columns))


def insert_load_by_hand(
    connection: Connection, session_id: UUID, account: Account, dataset: str, days: Sequence[date]
) -> None:
    """Store the days of an account that a session is to load by hand."""
    load = {"session_id": session_id, "dataset": dataset, "days": list(days)}
    connection.execute(insert(LoadByHand).values(**load, **account.identity))


def replace_plans(
    connection: Connection,
    account_id: str,
    report: DatasetReport,
    stored: Sequence[ReportRequest],
    planned: Sequence[PlannedRequest],
    *,
    at: datetime,
) -> bool:
    """Replace the `stored` plans of a report by `planned`: update, insert and delete rows.

    The caller has locked the stored plans. Return False if they already equal `planned`.
    """
    if planned == [PlannedRequest(one.start_date, one.end_date, one.by_hand) for one in stored]:
        return False
    days = [
        {"start_date": one.start, "end_date": one.end, "by_hand": one.by_hand} for one in planned
    ]
    for one, values in zip(stored, days, strict=False):
        mine = ReportRequest.id == one.id
        connection.execute(update(ReportRequest).where(mine).values(values))
    of = {"account_id": account_id, "dataset": report.dataset.name, "report": report.name}
    for values in days[len(stored) :]:
        insert_request(connection, **of, **values, created_at=at)
    delete_plans(connection, [one.id for one in stored[len(planned) :]])
    return True


def delete_plans(connection: Connection, request_ids: Sequence[int]) -> None:
    """Delete the given requests, except requests that were already sent."""
    connection.execute(
        text(f"DELETE FROM report_requests r WHERE r.id = ANY(:ids) AND {_UNSENT}"),
        {"ids": list(request_ids)},
    )


_LEFT = text(f"""
    SELECT count(*)
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.account_id = :account_id AND w.country_code = :country_code AND {IS_ACTIVE}
       AND w.dataset = ANY(:datasets) AND w.request_id IS NULL AND w.expires_at > :now
       AND (w.next_refresh_at <= :now OR w.status = 'failed')
       AND NOT EXISTS (SELECT FROM report_requests r
                        WHERE r.account_id = w.account_id AND r.dataset = w.dataset
                          AND r.report = w.report AND {OPEN_REQUEST}
                          AND w.window_date BETWEEN r.start_date AND r.end_date)""")


def count_windows_left(
    connection: Connection, account_id: str, country_code: str, *, now: datetime
) -> int:
    """Return the number of due or failed windows of an account without an open request."""
    account = {"account_id": account_id, "country_code": country_code}
    values = account | {"datasets": list(DATASETS), "now": now}
    return int(connection.execute(_LEFT, values).scalar_one())


def list_ended_requests(
    connection: Connection, request: ReportRequest, now: datetime
) -> list[ReportRequest]:
    """Return ended requests for the same report as `request`, sent in the last eight days."""
    mine = (_R.account_id == request.account_id, _R.dataset == request.dataset)
    sent = _R.sent_at >= now - RETRIED_FOR - timedelta(days=1)
    ended = select(_R).where(*mine, _R.report == request.report, sent)
    return read_rows(connection, ended.where(_R.finished_at.is_not(None)))


def get_request(connection: Connection, request_id: int) -> ReportRequest:
    """Return a request by its id."""
    [found] = read_rows(connection, select(_R).where(_R.id == request_id))
    return found


def list_requests(connection: Connection, request_ids: Sequence[int]) -> list[ReportRequest]:
    """Return requests by their ids, in any order."""
    return read_rows(connection, select(_R).where(_R.id.in_(request_ids)))


_LOCKABLE = f"""
    SELECT r.id
      FROM report_requests r
     WHERE r.id = :id AND r.{OPEN_REQUEST} AND (r.locked_by = :by OR {_UNLOCKED})"""
# Two loads of one account would wait for each other's rows, so only one session at a time works on
# the requests of an ads account.
_DUE = f"""r.{OPEN_REQUEST} AND NOT ({_TO_CREATE}) AND {_UNLOCKED}
       AND o.needs_attention_for IS DISTINCT FROM 'credentials'
       AND NOT (r.status = 'completed' AND {IS_PAUSED_HERE})
       AND (r.next_step_at IS NULL OR r.next_step_at <= :now) AND r.account_id NOT IN (
           SELECT b.account_id
             FROM report_requests b JOIN session_leases l ON l.session_id = b.locked_by
            WHERE b.{OPEN_REQUEST} AND l.expires_at > clock_timestamp())"""
_NEXT = f"""
    SELECT r.id
      FROM report_requests r JOIN ads_accounts o USING (account_id)
     WHERE {_DUE}
       AND (CAST(:account_id AS text) IS NULL OR r.account_id = :account_id)
       AND (CAST(:client_id AS text) IS NULL OR (o.client_id, o.region) = (:client_id, :region))
       AND (:loads OR r.status <> 'completed') AND r.id <> ALL(CAST(:stepped AS bigint[]))
     ORDER BY r.next_step_at NULLS FIRST, r.id
     LIMIT 1"""


def lock_request(connection: Connection, request_id: int, session_id: UUID) -> ReportRequest | None:
    """Lock an open request and return it; None if it has ended or another session works on it."""
    return _lock(connection, _LOCKABLE, {"id": request_id, "by": session_id})


def lock_next_request(
    connection: Connection,
    session_id: UUID,
    *,
    due_at: datetime,
    downloads: Path,
    account_id: str | None = None,
    gate: tuple[str, str] | None = None,
    loads: bool = True,
    stepped: Sequence[int] = (),
) -> ReportRequest | None:
    """Lock the request whose poll or load has been due longest; return None if there is none.

    Ads accounts that another session works on and requests in `stepped` are skipped. Completed
    reports are skipped if `loads` is false, or if this host can't write to its folder `downloads`.
    `account_id` and `gate` (client id and region) limit the choice.
    """
    client_id, region = gate or (None, None)
    values = {"by": session_id, "now": due_at, "account_id": account_id, "stepped": list(stepped)}
    values |= {"client_id": client_id, "region": region, "loads": loads}
    return _lock(connection, _NEXT, values | place_of(downloads))


def _lock(connection: Connection, lockable: str, values: dict[str, Any]) -> ReportRequest | None:
    lock = text(f"""
        UPDATE report_requests
           SET locked_by = :by
         WHERE id = ({lockable} FOR NO KEY UPDATE OF r SKIP LOCKED)
     RETURNING id""")
    locked = connection.execute(lock, values).scalar()
    if locked is None and connection.execute(text(lockable), values).first() is not None:
        end_dead_connections(connection)  # a dead session's transaction may hold the row
        locked = connection.execute(lock, values).scalar()
    return None if locked is None else get_request(connection, locked)


def lock_request_row(
    connection: Connection, request_id: int, session_id: UUID
) -> ReportRequest | None:
    """Lock the row of a request until the transaction ends, and return the request.

    The session must have locked the request before. Return None if the request was deleted.

    Raises:
        LockLostError: another session has locked the request.
    """
    found = read_rows(connection, select(_R).where(_R.id == request_id).with_for_update())
    if not found:
        return None
    if found[0].locked_by != session_id:
        raise LockLostError(request_id)
    return found[0]


def unlock_request(
    connection: Connection, request_id: int, session_id: UUID, *, not_before: datetime | None = None
) -> None:
    """Release the lock on a request, and postpone its next step to `not_before`, if given."""
    connection.execute(
        text("""
            UPDATE report_requests
               SET locked_by = NULL, next_step_at = greatest(next_step_at, :not_before)
             WHERE id = :id AND locked_by = :by"""),
        {"id": request_id, "by": session_id, "not_before": not_before},
    )


def list_requests_to_step(
    connection: Connection, *, due_at: datetime, downloads: Path
) -> list[ReportRequest]:
    """Return the requests whose poll or load is due, the longest waiting first.

    Ads accounts are left out if a living session works on them or if they wait for credentials.
    Loads are left out while this host can't write to its folder `downloads`.
    """
    due = select(_R).join(_O, _O.account_id == _R.account_id).where(text(_DUE))
    ordered = due.order_by(text("r.next_step_at NULLS FIRST, r.id"))
    return read_rows(connection, ordered.params(now=due_at, **place_of(downloads)))


def update_request(
    connection: Connection, before: ReportRequest, after: ReportRequest, session_id: UUID
) -> None:
    """Store the changes of a request that this session has locked.

    Raises:
        LockLostError: another session has locked the request.
    """
    changes = {"locked_by": session_id} | after.changes_from(before)
    mine = (ReportRequest.id == before.id, ReportRequest.locked_by == session_id)
    if not connection.execute(update(ReportRequest).where(*mine).values(changes)).rowcount:
        raise LockLostError(before.id)


_CANDIDATES = text(f"""
    WITH planned AS (
        SELECT r.id, r.account_id, r.dataset, r.report, r.start_date, r.end_date,
               r.by_hand OR r.narrows IS NOT NULL AND EXISTS (
                   SELECT FROM report_windows w
                    WHERE w.account_id = r.account_id AND w.dataset = r.dataset
                      AND w.report = r.report
                      AND w.window_date BETWEEN r.start_date AND r.end_date
                      AND w.wanted_by IS NOT NULL AND w.request_id IS NULL) AS by_hand,
               (SELECT count(*) FROM report_requests s
                 WHERE s.account_id = r.account_id AND s.dataset = r.dataset
                   AND s.report = r.report
                   AND s.sent_at > r.created_at AND s.id <> r.id) AS passed_over,
               (SELECT max(s.sent_at) FROM report_requests s
                 WHERE s.account_id = r.account_id AND s.dataset = r.dataset
                   AND s.report = r.report) AS report_requested_at
          FROM report_requests r JOIN ads_accounts o USING (account_id)
         WHERE o.client_id = :client_id AND o.region = :region AND {IS_CREATABLE}),
    on_time AS (
        SELECT w.account_id, w.dataset, w.report, w.window_date, count(*) AS windows
          FROM advertiser_accounts a JOIN report_windows w USING (account_id, country_code)
         WHERE a.account_id IN (SELECT account_id FROM planned) AND {IS_ACTIVE}
           AND w.request_id IS NULL AND w.data_as_of IS NULL AND w.next_refresh_at > :on_time_since
           AND w.next_refresh_at <= :now AND w.expires_at > :now
         GROUP BY w.account_id, w.dataset, w.report, w.window_date)
    SELECT id AS request_id, p.account_id, p.dataset, p.report, end_date, by_hand, passed_over,
           report_requested_at,
           max(report_requested_at) OVER (PARTITION BY p.account_id) AS account_requested_at,
           CAST(coalesce(sum(t.windows), 0) AS integer) AS on_time
      FROM planned p
      LEFT JOIN on_time t
             ON t.account_id = p.account_id AND t.dataset = p.dataset AND t.report = p.report
            AND t.window_date BETWEEN p.start_date AND p.end_date
     GROUP BY id, p.account_id, p.dataset, p.report, end_date, by_hand, passed_over,
              report_requested_at""")


def list_candidates(
    connection: Connection, client_id: str, region: str, *, now: datetime, tolerance: timedelta
) -> list[Candidate]:
    """Return the requests of a client and region that may be sent once the gate is open.

    If an ads account needs attention, its requests are included only if they were sent before, so
    that they can be given up. For a part of a refused report, `by_hand` is also true if a user
    requested one of its days. A window is on time until `tolerance` after it fell due.
    """
    values = {"client_id": client_id, "region": region, "now": now}
    rows = connection.execute(_CANDIDATES, values | {"on_time_since": now - tolerance})
    return [Candidate(**row) for row in rows.mappings()]


# A day between due ones is included once it is over in the account's own time zone: in other
# countries it may go on for hours.
_ATTACH = text(f"""
    WITH attached AS (
        UPDATE report_windows w
           SET request_id = r.id, last_request_id = r.id, status = 'requested',
               last_requested_at = now()
          FROM report_requests r, advertiser_accounts a JOIN ads_accounts o USING (account_id)
         WHERE r.id = :request_id AND a.account_id = r.account_id AND {IS_ACTIVE}
           AND w.account_id = a.account_id AND w.country_code = a.country_code
           AND w.dataset = r.dataset AND w.report = r.report
           AND w.window_date BETWEEN r.start_date AND r.end_date AND w.request_id IS NULL
           AND w.expires_at > :now
           AND (w.wanted_by IS NOT NULL OR w.next_refresh_at <= :now
                OR NOT r.by_hand AND w.status <> 'not_served' AND w.window_date
                   < CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date))
        RETURNING CASE WHEN w.wanted_by IS NOT NULL OR w.next_refresh_at <= :now
                       THEN least(:now, w.wanted_at, {DUE_SINCE}) END AS due_at),
    due AS (
        UPDATE report_requests
           SET due_at = least(due_at, (SELECT min(due_at) FROM attached))
         WHERE id = :request_id)
    SELECT count(*) FROM attached""")
_IS_NEEDED = text(f"""
    SELECT EXISTS (
        SELECT FROM report_requests r
          LEFT JOIN report_requests refused ON refused.id = r.narrows
          JOIN advertiser_accounts a ON a.account_id = r.account_id
          JOIN report_windows w ON w.account_id = a.account_id AND w.country_code = a.country_code
           AND w.dataset = r.dataset AND w.report = r.report
         WHERE r.id = :request_id AND {IS_ACTIVE}
           AND w.window_date BETWEEN r.start_date AND r.end_date AND w.request_id IS NULL
           AND w.expires_at > :now
           AND (w.wanted_by IS NOT NULL OR w.next_refresh_at <= :now
                OR r.narrows IS NOT NULL AND (w.data_as_of < refused.sent_at) IS NOT FALSE
                   AND NOT r.by_hand AND w.status <> 'not_served' AND w.window_date
                   < CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date)))""")


def attach_windows(connection: Connection, request_id: int, *, now: datetime) -> int:
    """Attach the due and user-requested windows of a request's period; return their number.

    If the request is not `by_hand`, all other past days of the period that Amazon serves are
    attached too. Windows that are attached to another request are left out. The request's `due_at`
    becomes the instant at which the first of its windows fell due or was wanted.
    """
    values = {"request_id": request_id, "now": now}
    return int(connection.execute(_ATTACH, values).scalar_one())


def is_needed(connection: Connection, request_id: int, *, now: datetime) -> bool:
    """Return whether a request's period has due or user-requested windows without a request.

    A request for a part of a refused report is also needed if some past days of its period were
    not loaded since the refusal: its report shows whether Amazon serves these days.
    """
    found = connection.execute(_IS_NEEDED, {"request_id": request_id, "now": now})
    return bool(found.scalar_one())
