"""SQL on report windows. Dates are the account's own calendar days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, CursorResult, RowMapping, and_, select, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.rows import read_rows
from bidbeacon_pipelines.windows.due import IS_DUE
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions.writes import json_text

OF_DATASET = "account_id = :account_id AND country_code = :country_code AND dataset = :dataset"
_OF_REPORT = f"{OF_DATASET} AND report = :report"
IS_COMPLETE = "({0}.load_count > 0 OR {0}.status = 'expired' OR {0}.not_served_since IS NOT NULL)"
"""The condition that a window is loaded, or is not waited for; a day is materialized once all of its windows are."""

_CREATE = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, next_refresh_at, expires_at)
    SELECT :account_id, :country_code, :dataset, :report, day, due_at, expires_at
      FROM unnest(CAST(:days AS date[]), CAST(:due AS timestamptz[]), CAST(:expiries AS timestamptz[])) AS w(day, due_at, expires_at)
    ON CONFLICT DO NOTHING""")


class WindowTimes(NamedTuple):
    """When a window is due next, and when it expires."""

    next_refresh_at: datetime | None
    expires_at: datetime


def create_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    report: str,
    times: Mapping[date, WindowTimes],
) -> int:
    """Create the missing windows of a report; return how many were new."""
    values = _of_report(account, dataset, report) | times_values(times)
    return connection.execute(_CREATE, values).rowcount


def _of_report(account: Account, dataset: str, report: str) -> dict[str, Any]:
    return account.identity | {"dataset": dataset, "report": report}


def times_values(times: Mapping[date, WindowTimes]) -> dict[str, Any]:
    """Return times of windows as bound parameters: `days`, `due` and `expiries`."""
    return {
        "days": list(times),
        "due": [one.next_refresh_at for one in times.values()],
        "expiries": [one.expires_at for one in times.values()],
    }


def list_windows_through(connection: Connection, account_id: str) -> dict[tuple[str, str], date]:
    """Return, by country and dataset, the account-local day up to which the windows of all its reports exist."""
    rows = connection.execute(
        text("""SELECT country_code, dataset, min(through_date) AS through_date
                  FROM dataset_windows WHERE account_id = :id GROUP BY country_code, dataset"""),
        {"id": account_id},
    )
    return {(row.country_code, row.dataset): row.through_date for row in rows}


def list_reports_through(connection: Connection, account: Account, dataset: str) -> dict[str, date]:
    """Return, by report, the account-local day up to which the windows of a dataset of an account exist."""
    rows = connection.execute(
        text(f"SELECT report, through_date FROM dataset_windows WHERE {OF_DATASET}"),
        account.identity | {"dataset": dataset},
    )
    return {row.report: row.through_date for row in rows}


def set_windows_through(
    connection: Connection, account: Account, dataset: str, report: str, through: date, created: int
) -> None:
    """Store up to which account-local day the windows of a report of an account exist, and that so many more do."""
    connection.execute(
        text("""INSERT INTO dataset_windows AS d (account_id, country_code, dataset, report, through_date, windows)
                VALUES (:account_id, :country_code, :dataset, :report, :through, :created)
                ON CONFLICT (account_id, country_code, dataset, report)
                DO UPDATE SET through_date = excluded.through_date, windows = d.windows + excluded.windows"""),
        _of_report(account, dataset, report) | {"through": through, "created": created},
    )


def forget_windows_through(
    connection: Connection,
    *,
    region: str | None = None,
    account_id: str | None = None,
    dataset: str | None = None,
) -> None:
    """Have the windows of ads accounts made again by their next refresh, and what is due planned again.

    Args:
        connection: where to look.
        region: of all ads accounts of this region.
        account_id: of this ads account.
        dataset: of this dataset only.
    """
    values = {"region": region, "account_id": account_id, "dataset": dataset}
    chosen = """(CAST(:region AS text) IS NULL OR o.region = :region)
                AND (CAST(:account_id AS text) IS NULL OR o.account_id = :account_id)"""
    connection.execute(
        text(f"""UPDATE dataset_windows d SET through_date = date '2000-01-01' FROM ads_accounts o
                  WHERE o.account_id = d.account_id AND {chosen}
                    AND (CAST(:dataset AS text) IS NULL OR d.dataset = :dataset)"""),
        values,
    )
    connection.execute(text(f"UPDATE ads_accounts o SET planned_at = NULL WHERE {chosen}"), values)


_NEW_TIMES = f"""next_refresh_at = t.due_at, expires_at = t.expires_at
      FROM unnest(CAST(:days AS date[]), CAST(:due AS timestamptz[]), CAST(:expiries AS timestamptz[])) AS t(day, due_at, expires_at)
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
    """Store when windows are due and expire; an expired one that is served again is missing. Return the days of these."""
    values = _of_report(account, dataset, report) | times_values(times) | {"now": now}
    connection.execute(
        text(f"UPDATE report_windows w SET {_NEW_TIMES} AND w.status <> 'expired'"), values
    )
    reopened = connection.execute(
        text(f"""UPDATE report_windows w SET status = 'missing', {_NEW_TIMES}
                    AND w.status = 'expired' AND t.expires_at > :now RETURNING w.window_date"""),
        values,
    )
    return sorted(reopened.scalars())


def expire_windows(
    connection: Connection, account: Account, dataset: str, *, now: datetime
) -> list[date]:
    """End the windows that Amazon serves no longer: never loaded ones become `expired`, loaded ones keep their data and are not refreshed any more.

    Return the days of the expired ones.
    """
    values = account.identity | {"dataset": dataset, "now": now}
    connection.execute(
        text(f"""UPDATE report_windows
                    SET next_refresh_at = NULL, suspicious_digest = NULL, suspicious_rows = NULL, suspicious_spend = NULL, suspicious_count = 0,
                        status = CASE WHEN status = 'failed' AND last_loaded_at IS NOT NULL THEN 'loaded' ELSE status END
                  WHERE {OF_DATASET} AND expires_at <= :now AND request_id IS NULL
                    AND (next_refresh_at IS NOT NULL OR suspicious_digest IS NOT NULL
                         OR status = 'failed' AND last_loaded_at IS NOT NULL)"""),
        values,
    )
    expired = connection.execute(
        text(f"""UPDATE report_windows
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
    """Have the loads of days recorded again that are complete: nothing else would tell Dagster so."""
    if days:
        connection.execute(
            text(f"""UPDATE report_windows w SET recorded_load_count = 0
                      WHERE {OF_DATASET} AND window_date = ANY(:days) AND load_count > 0
                        AND not_served_since IS NULL
                        AND NOT EXISTS (
                            SELECT FROM report_windows o
                             WHERE o.account_id = w.account_id AND o.country_code = w.country_code AND o.dataset = w.dataset
                               AND o.window_date = w.window_date AND NOT {IS_COMPLETE.format("o")})"""),
            account.identity | {"dataset": dataset, "days": days},
        )


def list_windows(
    connection: Connection, account: Account, dataset: str, days: Sequence[date] | None = None
) -> list[ReportWindow]:
    """Return the windows of a dataset of an account, or those of the given days, by date and report."""
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
    """Return the windows that wait for a request, by the key of their account, each by date."""
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


def want_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    days: Sequence[date],
    by: str,
    *,
    now: datetime,
) -> None:
    """Mark the windows of these days that Amazon serves as wanted by somebody now, so that they go first; who wanted one before stays."""
    connection.execute(
        text(f"""UPDATE report_windows
                    SET wanted_by = coalesce(wanted_by, :by), wanted_at = coalesce(wanted_at, now())
                  WHERE {OF_DATASET} AND window_date = ANY(:days) AND expires_at > :now"""),
        account.identity | {"dataset": dataset, "days": list(days), "by": by, "now": now},
    )


AWAITS_DECISION = """(w.suspicious_digest IS NOT NULL AND w.next_refresh_at IS NULL AND w.request_id IS NULL
            AND w.expires_at > :now)"""
"""The condition that a person has to decide about the last report of window `w`, whose data is final."""
_UNDECIDED = f"{OF_DATASET} AND window_date = ANY(:days) AND {AWAITS_DECISION}"
_ACCEPT = text(f"""
    UPDATE report_windows w
       SET decision = 'accept', decided_by = :by, decided_at = now(),
           wanted_by = coalesce(wanted_by, :by), wanted_at = coalesce(wanted_at, now())
     WHERE {_UNDECIDED} RETURNING window_date""")
_KEEP = text(f"""
    UPDATE report_windows w
       SET decision = 'keep', decided_by = :by, decided_at = now(), cause = NULL, cause_since = NULL,
           suspicious_digest = NULL, suspicious_rows = NULL, suspicious_spend = NULL, suspicious_count = 0,
           wanted_by = CASE WHEN decision IS NULL THEN wanted_by END, wanted_at = CASE WHEN decision IS NULL THEN wanted_at END
     WHERE {_UNDECIDED} RETURNING window_date""")


def list_undecided(
    connection: Connection, account: Account, dataset: str, days: Sequence[date], *, now: datetime
) -> list[date]:
    """Return those of some days about whose last report a person has to decide."""
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
    """Store a person's decision about suspicious reports of final days; return these days.

    Accepted days are wanted, and take their next report whatever it says. Others are as before
    that report.
    """
    values = account.identity | {"dataset": dataset, "days": list(days), "by": by, "now": now}
    decided = connection.execute(_ACCEPT if accepts else _KEEP, values)
    return sorted(set(decided.scalars()))


_NEEDS = f"((w.wanted_by IS NOT NULL OR {IS_DUE}) AND w.expires_at > :now)"
# Days between due ones come along. A day is over where the account's own calendar shows a later
# one: in other countries it may go on for hours.
_IS_BRIDGED = """(NOT r.by_hand AND w.wanted_by IS NULL AND (w.next_refresh_at <= :now) IS NOT TRUE AND w.expires_at > :now
            AND w.status <> 'not_served'
            AND w.window_date < CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date))"""
_ATTACH = text(f"""
    UPDATE report_windows w
       SET request_id = r.id, last_request_id = r.id, status = 'requested', last_requested_at = now()
      FROM report_requests r, advertiser_accounts a
     WHERE r.id = :request_id AND a.account_id = r.account_id AND {IS_ACTIVE}
       AND w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = r.dataset AND w.report = r.report
       AND w.window_date BETWEEN r.start_date AND r.end_date AND w.request_id IS NULL
       AND ({_NEEDS} OR {_IS_BRIDGED})""")


def attach_windows(connection: Connection, request_id: int, *, now: datetime) -> int:
    """Make the windows of all countries in a request's period wait for it; return how many.

    These are the windows of its report that are due or requested manually. Windows between them are included if the day is over in their country and the request is not a backfill.
    Windows in another report are left to it.
    """
    return connection.execute(_ATTACH, {"request_id": request_id, "now": now}).rowcount


def is_needed(connection: Connection, request_id: int, *, now: datetime) -> bool:
    """Return whether a request's period has windows of its report that are in no other request, and due or requested manually.

    A part of a refused report is also needed for windows that no report has brought since: it shows
    whether Amazon serves them.
    """
    found = connection.execute(
        text(f"""
            SELECT EXISTS (
                SELECT FROM report_requests r
                  LEFT JOIN report_requests refused ON refused.id = r.narrows
                  JOIN advertiser_accounts a ON a.account_id = r.account_id
                  JOIN report_windows w ON w.account_id = a.account_id AND w.country_code = a.country_code
                   AND w.dataset = r.dataset AND w.report = r.report
                 WHERE r.id = :request_id AND {IS_ACTIVE} AND w.window_date BETWEEN r.start_date AND r.end_date
                   AND w.request_id IS NULL
                   AND ({_NEEDS} OR r.narrows IS NOT NULL AND {_IS_BRIDGED} AND (w.data_as_of < refused.sent_at) IS NOT FALSE))"""),
        {"request_id": request_id, "now": now},
    )
    return bool(found.scalar_one())


# A failure for the same cause as the one before, or as an earlier attempt's, began with that one.
_RELEASE = text("""
    UPDATE report_windows w
       SET request_id = NULL, status = n.status, next_refresh_at = n.next_refresh_at, data_as_of = n.data_as_of, cause = n.cause,
           cause_since = CASE WHEN n.cause IS NOT NULL THEN least(
               CASE WHEN w.cause - 'detail' = n.cause - 'detail' THEN w.cause_since END,
               CASE WHEN r.cause - 'detail' = n.cause - 'detail' THEN r.first_failed_at END,
               now()) END,
           suspicious_digest = n.suspicious_digest, suspicious_rows = n.suspicious_rows, suspicious_spend = n.suspicious_spend,
           suspicious_count = n.suspicious_count, decision = n.decision, decided_by = n.decided_by, decided_at = n.decided_at,
           wanted_by = CASE WHEN :keep_wanted THEN w.wanted_by END, wanted_at = CASE WHEN :keep_wanted THEN w.wanted_at END
      FROM report_requests r,
           jsonb_populate_recordset(CAST(NULL AS report_windows), CAST(:windows AS jsonb)) n
     WHERE r.id = :request_id AND w.request_id = r.id
       AND w.country_code = n.country_code AND w.window_date = n.window_date""")


def release_windows(
    connection: Connection,
    request_id: int,
    windows: Iterable[ReportWindow],
    *,
    keep_wanted: bool = False,
) -> None:
    """Detach windows from a request, each as its request left it; with `keep_wanted`, manually requested ones still are."""
    rows = json_text([window.as_dict() for window in windows])
    values = {"request_id": request_id, "windows": rows, "keep_wanted": keep_wanted}
    connection.execute(_RELEASE, values)


@dataclass(frozen=True)
class LoadedDay:
    """A day of a dataset of an account with loads: what its windows hold, with the metadata of its materialization.

    Windows that are not served hold nothing.

    Attributes:
        is_complete: Whether each of its windows is loaded, expired or not served.
        new_loads: By report, the last load that Dagster does not have yet.
        load_count: The loads of all its windows.
        data_as_of: When the oldest report that it holds was asked for.
        last_loaded_at: When the last one was loaded, by the session `session_id`.
    """

    account_id: str
    country_code: str
    account_key: str
    currency_code: str
    dataset: str
    window_date: date
    is_complete: bool
    new_loads: dict[str, int]
    load_count: int
    row_count: int
    quarantined_count: int
    unresolved_count: int
    spend: Decimal
    sales: Decimal
    last_loaded_at: datetime
    data_as_of: datetime
    session_id: UUID | None
    restated_count: int


_OF_DAY = """account_id = d.account_id AND {0}.country_code = d.country_code AND {0}.dataset = d.dataset
             AND {0}.window_date = d.window_date"""
_LOADED_DAYS = f"""
    SELECT d.account_id, d.country_code, a.account_key, a.currency_code, d.dataset, d.window_date, t.*,
           (SELECT s.session_id FROM session_references s
             WHERE s.account_key = a.account_key AND s.dataset = d.dataset AND s.window_key = CAST(d.window_date AS text)
               AND s.effect = 'loaded' ORDER BY s.id DESC LIMIT 1) AS session_id,
           (SELECT count(*) FROM restatements s WHERE s.{_OF_DAY.format("s")} AND s.request_id = ANY(t.requests)) AS restated_count
      FROM days d JOIN advertiser_accounts a USING (account_id, country_code)
     CROSS JOIN LATERAL (
           SELECT bool_and({IS_COMPLETE.format("w")}) AS is_complete,
                  coalesce(jsonb_object_agg(w.report, w.load_count) FILTER (WHERE w.load_count > w.recorded_load_count), '{{}}') AS new_loads,
                  CAST(sum(w.load_count) FILTER (WHERE w.not_served_since IS NULL) AS integer)
                      AS load_count,
                  CAST(sum(w.row_count) AS bigint) AS row_count,
                  CAST(sum(w.quarantined_count) AS bigint) AS quarantined_count,
                  CAST(sum(w.unresolved_count) AS bigint) AS unresolved_count, sum(w.spend) AS spend, sum(w.sales) AS sales,
                  max(w.last_loaded_at) AS last_loaded_at,
                  min(w.data_as_of) FILTER (WHERE w.not_served_since IS NULL) AS data_as_of,
                  array_agg(w.loaded_by_request) AS requests
             FROM report_windows w WHERE w.{_OF_DAY.format("w")}) t
     WHERE t.load_count > 0
     ORDER BY a.account_key, d.dataset, d.window_date DESC"""
_UNRECORDED = text(f"""
    WITH unrecorded AS (
        SELECT w.account_id, w.country_code, w.dataset, w.window_date
          FROM report_windows w WHERE w.recorded_load_count < w.load_count
         ORDER BY w.account_id, w.country_code, w.dataset, w.window_date DESC LIMIT :limit FOR UPDATE SKIP LOCKED),
    days AS (SELECT DISTINCT * FROM unrecorded) {_LOADED_DAYS}""")
_OF_DAYS = text(f"""
    WITH days AS (SELECT :account_id AS account_id, :country_code AS country_code, :dataset AS dataset, day AS window_date
                    FROM unnest(CAST(:days AS date[])) AS day) {_LOADED_DAYS}""")


def list_unrecorded_days(connection: Connection, *, limit: int = 1_000) -> list[LoadedDay]:
    """Return the days with loads that Dagster does not have yet, newest first, their windows locked until the transaction ends.

    Windows locked by another transaction are skipped: they are being recorded or loaded. At most
    `limit` windows are locked.
    """
    return _loaded_days(connection.execute(_UNRECORDED, {"limit": limit}))


def list_loaded_days(
    connection: Connection, account: Account, dataset: str, days: Sequence[date]
) -> list[LoadedDay]:
    """Return those of some days of which any window was loaded, newest first."""
    values = account.identity | {"dataset": dataset, "days": list(days)}
    return _loaded_days(connection.execute(_OF_DAYS, values))


def _loaded_days(found: CursorResult[Any]) -> list[LoadedDay]:
    names = LoadedDay.__dataclass_fields__
    return [LoadedDay(**{name: row[name] for name in names}) for row in found.mappings()]


_RECORD = text("""
    UPDATE report_windows w SET recorded_load_count = greatest(w.recorded_load_count, r.loads), recorded_run_id = :run_id
      FROM unnest(CAST(:accounts AS text[]), CAST(:countries AS text[]), CAST(:datasets AS text[]), CAST(:days AS date[]),
                  CAST(:reports AS text[]), CAST(:loads AS integer[])) AS r(account_id, country_code, dataset, day, report, loads)
     WHERE w.account_id = r.account_id AND w.country_code = r.country_code AND w.dataset = r.dataset AND w.window_date = r.day
       AND w.report = r.report""")


def record_days(connection: Connection, days: Sequence[LoadedDay], run_id: str) -> None:
    """Store that Dagster has the new loads of these days, in events of a run."""
    loads = [(day, report, number) for day in days for report, number in day.new_loads.items()]
    values = {
        "run_id": run_id,
        "accounts": [day.account_id for day, _, _ in loads],
        "countries": [day.country_code for day, _, _ in loads],
        "datasets": [day.dataset for day, _, _ in loads],
        "days": [day.window_date for day, _, _ in loads],
        "reports": [report for _, report, _ in loads],
        "loads": [number for _, _, number in loads],
    }
    connection.execute(_RECORD, values)


_UNLOADED = text("""
    SELECT account_key, dataset, CAST(window_key AS date) AS window_date, effect AS outcome FROM (
        SELECT DISTINCT ON (account_key, dataset, window_key) account_key, dataset, window_key, effect
          FROM session_references
         WHERE session_id = :session AND window_key IS NOT NULL
           AND effect IN ('loaded', 'suspicious', 'unconfirmed', 'failed', 'expired', 'not-served', 'wait-given-up', 'not-asked')
         ORDER BY account_key, dataset, window_key, ord DESC) ends
     WHERE effect <> 'loaded' ORDER BY window_key DESC, account_key, dataset LIMIT 500""")


def list_unloaded_windows(connection: Connection, session_id: UUID) -> list[RowMapping]:
    """Return the first 500 windows that a session handled and did not load, the newest days first: account_key, dataset, window_date, outcome.

    The last outcome counts: a window that was suspicious and then loaded is not included.
    """
    return list(connection.execute(_UNLOADED, {"session": session_id}).mappings())
