"""SQL on report windows. Dates are the account's own calendar days."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, select, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.base import read_rows
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions.writes import json_text

OF_DATASET = "account_id = :account_id AND country_code = :country_code AND dataset = :dataset"
_OF_REPORT = f"{OF_DATASET} AND report = :report"
IS_COMPLETE = "({0}.load_count > 0 OR {0}.status = 'expired' OR {0}.not_served_since IS NOT NULL)"
"""SQL condition that a window is loaded, expired or not served.

A day is materialized in Dagster once this is true for all its windows.
"""

_CREATE = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date,
                                next_refresh_at, expires_at)
    SELECT :account_id, :country_code, :dataset, :report, day, due_at, expires_at
      FROM unnest(CAST(:days AS date[]), CAST(:due AS timestamptz[]),
                  CAST(:expiries AS timestamptz[])) AS w(day, due_at, expires_at)
    ON CONFLICT DO NOTHING""")


class WindowTimes(NamedTuple):
    """The next due time of a window (None if none is left) and its expiry, in UTC."""

    next_refresh_at: datetime | None
    expires_at: datetime


def create_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    report: str,
    times: Mapping[date, WindowTimes],
) -> int:
    """Create the windows of a report that do not exist yet; return how many were created."""
    values = _of_report(account, dataset, report) | times_values(times)
    return connection.execute(_CREATE, values).rowcount


def _of_report(account: Account, dataset: str, report: str) -> dict[str, Any]:
    return account.identity | {"dataset": dataset, "report": report}


def times_values(times: Mapping[date, WindowTimes]) -> dict[str, Any]:
    """Return times of windows as the SQL parameters `days`, `due` and `expiries`."""
    return {
        "days": list(times),
        "due": [one.next_refresh_at for one in times.values()],
        "expiries": [one.expires_at for one in times.values()],
    }


def list_windows_through(connection: Connection, account_id: str) -> dict[tuple[str, str], date]:
    """Return, by country and dataset, the local day up to which windows of all reports exist."""
    rows = connection.execute(
        text("""SELECT country_code, dataset, min(through_date) AS through_date
                  FROM dataset_windows WHERE account_id = :id GROUP BY country_code, dataset"""),
        {"id": account_id},
    )
    return {(row.country_code, row.dataset): row.through_date for row in rows}


def list_reports_through(connection: Connection, account: Account, dataset: str) -> dict[str, date]:
    """Return, by report of a dataset, the local day up to which its windows exist."""
    rows = connection.execute(
        text(f"SELECT report, through_date FROM dataset_windows WHERE {OF_DATASET}"),
        account.identity | {"dataset": dataset},
    )
    return {row.report: row.through_date for row in rows}


def set_windows_through(
    connection: Connection, account: Account, dataset: str, report: str, through: date, created: int
) -> None:
    """Store the last local day with windows of a report; add `created` to the window count."""
    connection.execute(
        text("""
            INSERT INTO dataset_windows AS d (account_id, country_code, dataset, report,
                                              through_date, windows)
            VALUES (:account_id, :country_code, :dataset, :report, :through, :created)
                ON CONFLICT (account_id, country_code, dataset, report) DO UPDATE
               SET through_date = excluded.through_date, windows = d.windows + excluded.windows"""),
        _of_report(account, dataset, report) | {"through": through, "created": created},
    )


def mark_windows_outdated(
    connection: Connection,
    *,
    region: str | None = None,
    account_id: str | None = None,
    dataset: str | None = None,
) -> None:
    """Mark ads accounts so that their next refresh creates and plans their windows again.

    Each argument limits the choice of ads accounts and datasets. Without arguments, all are marked.
    """
    values = {"region": region, "account_id": account_id, "dataset": dataset}
    chosen = """(CAST(:region AS text) IS NULL OR o.region = :region)
                AND (CAST(:account_id AS text) IS NULL OR o.account_id = :account_id)"""
    connection.execute(
        text(f"""
            UPDATE dataset_windows d SET through_date = date '2000-01-01'
              FROM ads_accounts o
             WHERE o.account_id = d.account_id AND {chosen}
               AND (CAST(:dataset AS text) IS NULL OR d.dataset = :dataset)"""),
        values,
    )
    connection.execute(text(f"UPDATE ads_accounts o SET planned_at = NULL WHERE {chosen}"), values)


_NEW_TIMES = f"""next_refresh_at = t.due_at, expires_at = t.expires_at
              FROM unnest(CAST(:days AS date[]), CAST(:due AS timestamptz[]),
                          CAST(:expiries AS timestamptz[])) AS t(day, due_at, expires_at)
             WHERE {_OF_REPORT} AND w.window_date = t.day"""


def set_window_times(
    connection: Connection,
    account: Account,
    dataset: str,
    report: str,
    times: Mapping[date, WindowTimes],
    *,
    now: datetime,
) -> list[date]:
    """Store due and expiry times of windows; return the expired days that are served again.

    The status of these days becomes `missing`.
    """
    values = _of_report(account, dataset, report) | times_values(times) | {"now": now}
    connection.execute(
        text(f"UPDATE report_windows w SET {_NEW_TIMES} AND w.status <> 'expired'"), values
    )
    reopened = connection.execute(
        text(f"""
            UPDATE report_windows w SET status = 'missing', {_NEW_TIMES}
               AND w.status = 'expired' AND t.expires_at > :now
         RETURNING w.window_date"""),
        values,
    )
    return sorted(reopened.scalars())


def expire_windows(
    connection: Connection, account: Account, dataset: str, *, now: datetime
) -> list[date]:
    """Expire windows that Amazon no longer serves; return the days that were never loaded.

    Windows that were never loaded get the status `expired`. Loaded windows keep their data and are
    no longer refreshed.
    """
    values = account.identity | {"dataset": dataset, "now": now}
    connection.execute(
        text(f"""
            UPDATE report_windows
               SET next_refresh_at = NULL, suspicious_digest = NULL, suspicious_rows = NULL,
                   suspicious_spend = NULL, suspicious_count = 0,
                   status = CASE WHEN status = 'failed' AND last_loaded_at IS NOT NULL
                                 THEN 'loaded' ELSE status END
             WHERE {OF_DATASET} AND expires_at <= :now AND request_id IS NULL
               AND (next_refresh_at IS NOT NULL OR suspicious_digest IS NOT NULL
                    OR status = 'failed' AND last_loaded_at IS NOT NULL)"""),
        values,
    )
    expired = connection.execute(
        text(f"""
            UPDATE report_windows
               SET status = 'expired', refused_alone_at = NULL, not_served_since = NULL,
                   cause = NULL, cause_since = NULL
             WHERE {OF_DATASET} AND expires_at <= :now AND last_loaded_at IS NULL
               AND status IN ('missing', 'unconfirmed', 'failed', 'not_served')
         RETURNING window_date"""),
        values,
    )
    days = sorted(set(expired.scalars()))
    record_again(connection, account, dataset, days)
    return days


def record_again(
    connection: Connection, account: Account, dataset: str, days: Sequence[date]
) -> None:
    """Mark loads of complete days as unrecorded, so that a run records them in Dagster again."""
    if days:
        connection.execute(
            text(f"""
                UPDATE report_windows w SET recorded_load_count = 0
                 WHERE {OF_DATASET} AND window_date = ANY(:days) AND load_count > 0
                   AND not_served_since IS NULL
                   AND NOT EXISTS (
                       SELECT FROM report_windows o
                        WHERE o.account_id = w.account_id AND o.country_code = w.country_code
                          AND o.dataset = w.dataset AND o.window_date = w.window_date
                          AND NOT {IS_COMPLETE.format("o")})"""),
            account.identity | {"dataset": dataset, "days": days},
        )


def list_windows(
    connection: Connection, account: Account, dataset: str, days: Sequence[date] | None = None
) -> list[ReportWindow]:
    """Return the windows of a dataset, or only those of `days`, sorted by date and report."""
    chosen = (
        select(ReportWindow)
        .filter_by(**account.identity, dataset=dataset)
        .order_by(ReportWindow.window_date, ReportWindow.report)
    )
    if days is not None:
        chosen = chosen.where(ReportWindow.window_date.in_(days))
    return read_rows(connection, chosen)


def list_windows_of_request(
    connection: Connection, request_id: int
) -> dict[str, list[ReportWindow]]:
    """Return the windows of a request as one list per account key, each sorted by date."""
    of = and_(
        Account.account_id == ReportWindow.account_id,
        Account.country_code == ReportWindow.country_code,
    )
    rows = connection.execute(
        select(Account.account_key, ReportWindow.__table__)
        .join(Account, of)
        .where(ReportWindow.request_id == request_id)
        .order_by(Account.account_key, ReportWindow.window_date)
    )
    found: dict[str, list[ReportWindow]] = {}
    for row in rows.mappings():
        values = dict(row)
        found.setdefault(values.pop("account_key"), []).append(ReportWindow(**values))
    return found


AWAITS_DECISION = """(w.suspicious_digest IS NOT NULL AND w.next_refresh_at IS NULL
            AND w.request_id IS NULL AND w.expires_at > :now)"""
"""SQL condition that a person has to decide about a suspicious report of final window `w`."""
_UNDECIDED = f"{OF_DATASET} AND window_date = ANY(:days) AND {AWAITS_DECISION}"
_ACCEPT = text(f"""
    UPDATE report_windows w
       SET decision = 'accept', decided_by = :by, decided_at = now(),
           wanted_by = coalesce(wanted_by, :by), wanted_at = coalesce(wanted_at, now()),
           claimed_by = CASE WHEN wanted_by IS NOT NULL THEN claimed_by END
     WHERE {_UNDECIDED} RETURNING window_date""")
_KEEP = text(f"""
    UPDATE report_windows w
       SET decision = 'keep', decided_by = :by, decided_at = now(),
           cause = NULL, cause_since = NULL, suspicious_digest = NULL, suspicious_rows = NULL,
           suspicious_spend = NULL, suspicious_count = 0,
           wanted_by = CASE WHEN decision IS NULL THEN wanted_by END,
           wanted_at = CASE WHEN decision IS NULL THEN wanted_at END,
           claimed_by = CASE WHEN decision IS NULL THEN claimed_by END
     WHERE {_UNDECIDED} RETURNING window_date""")


def list_undecided(
    connection: Connection, account: Account, dataset: str, days: Sequence[date], *, now: datetime
) -> list[date]:
    """Return the subset of `days` whose last report waits for a person's decision."""
    statement = text(f"SELECT DISTINCT window_date FROM report_windows w WHERE {_UNDECIDED}")
    values = account.identity | {"dataset": dataset, "days": list(days), "now": now}
    return sorted(connection.execute(statement, values).scalars())


def decide_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    days: Sequence[date],
    *,
    accepts: bool,
    by: str,
    now: datetime,
) -> list[date]:
    """Store a person's decision about suspicious reports; return the days that waited for it.

    If `accepts`, the days become wanted, and their next report is loaded, even if it has few rows.
    Otherwise the days keep their data and return to their state before the suspicious report.
    """
    values = account.identity | {"dataset": dataset, "days": list(days), "by": by, "now": now}
    decided = connection.execute(_ACCEPT if accepts else _KEEP, values)
    return sorted(set(decided.scalars()))


# `cause_since` is the time of the first of consecutive failures with the same cause.
_RELEASE = text("""
    UPDATE report_windows w
       SET request_id = NULL, status = n.status, next_refresh_at = n.next_refresh_at,
           data_as_of = n.data_as_of, cause = n.cause,
           cause_since = CASE WHEN w.cause - 'detail' = n.cause - 'detail' THEN w.cause_since
                              WHEN n.cause IS NOT NULL
                              THEN least(CAST(:failing_since AS timestamptz), now()) END,
           suspicious_digest = n.suspicious_digest, suspicious_rows = n.suspicious_rows,
           suspicious_spend = n.suspicious_spend, suspicious_count = n.suspicious_count,
           decision = n.decision, decided_by = n.decided_by, decided_at = n.decided_at,
           wanted_by = CASE WHEN :keep_wanted THEN w.wanted_by END,
           wanted_at = CASE WHEN :keep_wanted THEN w.wanted_at END,
           claimed_by = CASE WHEN :keep_wanted THEN w.claimed_by END
      FROM jsonb_populate_recordset(CAST(NULL AS report_windows), CAST(:windows AS jsonb)) n
     WHERE w.request_id = :request_id AND w.country_code = n.country_code
       AND w.window_date = n.window_date""")


def release_windows(
    connection: Connection,
    request_id: int,
    windows: Iterable[ReportWindow],
    *,
    failing_since: datetime | None = None,
    keep_wanted: bool = False,
) -> None:
    """Detach windows from a request, and store their new state.

    If the request failed, `failing_since` is the time of its first failed attempt. With
    `keep_wanted`, wanted windows stay wanted; otherwise they are no longer wanted.
    """
    rows = json_text([window.as_dict() for window in windows])
    values = {"request_id": request_id, "windows": rows, "keep_wanted": keep_wanted}
    connection.execute(_RELEASE, values | {"failing_since": failing_since})
