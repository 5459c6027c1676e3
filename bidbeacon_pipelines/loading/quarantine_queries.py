"""SQL on quarantined rows: listing them, and loading rows that are valid now into their windows.

A replay uses the stage of a load (`loading.staging`): the rows of a window are staged together with
the new ones, summed and merged, with the same result as a load of the whole report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.loading.merging import WindowTotals
from bidbeacon_pipelines.loading.staging import listed, staged_columns
from bidbeacon_sessions.writes import json_text


@dataclass(frozen=True)
class QuarantinedRow:
    """An invalid row of a report; `is_loaded` if its window holds the report it came in.

    `window_date` is None where its day can't be read. `raw` is the row's text as the report had it.
    """

    id: int
    account_key: str
    account_label: str
    dataset: str
    window_date: date | None
    request_id: int
    row_number: int
    cause: dict[str, Any]
    raw: str
    quarantined_at: datetime
    is_loaded: bool


_HOLDS = "w.loaded_by_request = r.id"
# Rows of a refused report, whose good rows are not in the window either, are not to be replayed: a
# new report brings them all.
_IS_LOADED = f"""EXISTS (
    SELECT FROM report_windows w JOIN report_requests r ON r.id = q.request_id
     WHERE w.account_id = q.account_id AND w.country_code = q.country_code AND w.dataset = q.dataset
       AND w.window_date BETWEEN r.start_date AND r.end_date AND (q.window_date IS NULL OR w.window_date = q.window_date)
       AND {_HOLDS})"""
_LIST = text(f"""
    SELECT q.id, a.account_key, {ACCOUNT_LABEL} AS account_label, q.dataset, q.window_date, q.request_id, q.row_number, q.cause,
           q.raw, q.quarantined_at, {_IS_LOADED} AS is_loaded
      FROM quarantined_rows q JOIN advertiser_accounts a USING (account_id, country_code) JOIN ads_accounts o USING (account_id)
     WHERE (CAST(:account AS text) IS NULL OR a.account_key = :account)
       AND (CAST(:dataset AS text) IS NULL OR q.dataset = :dataset)
       AND (CAST(:day AS date) IS NULL OR q.window_date = :day)
       AND (CAST(:reason AS text) IS NULL OR position(lower(:reason) IN lower(CAST(q.cause AS text))) > 0)
     ORDER BY q.id DESC LIMIT :limit""")


def list_quarantined_rows(
    connection: Connection,
    *,
    account: str | None = None,
    dataset: str | None = None,
    day: date | None = None,
    reason: str | None = None,
    limit: int = 50,
) -> list[QuarantinedRow]:
    """Return quarantined rows, newest first; what is None does not restrict, `reason` is a part of the cause in any letter case."""
    values = {"account": account, "dataset": dataset, "day": day, "reason": reason, "limit": limit}
    return [QuarantinedRow(**row) for row in connection.execute(_LIST, values).mappings()]


@dataclass(frozen=True)
class QuarantinedReport:
    """A report that windows hold and that has rows in quarantine."""

    account_key: str
    dataset: str
    request_id: int


_REPORTS = text(f"""
    SELECT DISTINCT a.account_key, q.dataset, q.request_id
      FROM quarantined_rows q JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE (CAST(:account AS text) IS NULL OR a.account_key = :account)
       AND (CAST(:dataset AS text) IS NULL OR q.dataset = :dataset) AND {_IS_LOADED}
     ORDER BY a.account_key, q.dataset, q.request_id""")


def list_quarantined_reports(
    connection: Connection, *, account: str | None = None, dataset: str | None = None
) -> list[QuarantinedReport]:
    """Return the reports whose rows can be replayed."""
    rows = connection.execute(_REPORTS, {"account": account, "dataset": dataset})
    return [QuarantinedReport(**row) for row in rows.mappings()]


@dataclass(frozen=True)
class LoadedReport:
    """The windows that hold one report, the instant its data is as of, and what was requested."""

    days: list[date]
    data_as_of: datetime
    start_date: date
    end_date: date
    report: str


def find_loaded_report(
    connection: Connection, account: Account, dataset: str, request_id: int
) -> LoadedReport:
    """Return which windows hold a report now; `days` is empty where later reports have replaced it."""
    row = connection.execute(
        text(f"""
            SELECT coalesce(array_agg(w.window_date ORDER BY w.window_date) FILTER (WHERE w.window_date IS NOT NULL), '{{}}') AS days,
                   coalesce(r.sent_at, r.created_at) AS data_as_of, r.start_date, r.end_date, r.report
              FROM report_requests r
              LEFT JOIN report_windows w ON w.account_id = :account_id AND w.country_code = :country_code
                    AND w.dataset = :dataset AND w.window_date BETWEEN r.start_date AND r.end_date
                    AND {_HOLDS}
             WHERE r.id = :request_id GROUP BY r.id"""),
        account.identity | {"dataset": dataset, "request_id": request_id},
    )
    return LoadedReport(**row.mappings().one())


@dataclass(frozen=True)
class RawRow:
    """A quarantined row as a replay reads it; `raw` is its text as the report had it."""

    id: int
    row_number: int
    window_date: date | None
    cause: dict[str, Any]
    raw: str


_OF_REPORT = "account_id = :account_id AND country_code = :country_code AND dataset = :dataset AND request_id = :request_id"


def list_raw_rows(connection: Connection, account: Account, scope: ReportScope) -> list[RawRow]:
    """Return the quarantined rows of a report in file order, locked until the transaction ends."""
    rows = connection.execute(
        text(f"""SELECT id, row_number, window_date, cause, raw FROM quarantined_rows
                  WHERE {_OF_REPORT} ORDER BY row_number, id FOR UPDATE"""),
        scope.values | account.identity,
    )
    return [RawRow(**row) for row in rows.mappings()]


def stage_held_rows(
    connection: Connection, account: Account, scope: ReportScope, days: Sequence[date]
) -> None:
    """Stage what these windows hold, beside the rows that were staged before: what is summed then is the whole report."""
    columns = listed(staged_columns(scope.dataset))
    connection.execute(
        text(f"""
            INSERT INTO report_rows ({columns}, read_rows)
            SELECT {columns}, 0 FROM {scope.dataset.table}
             WHERE account = :account AND window_date = ANY(:days) AND ad_product = ANY(:ad_products)"""),
        scope.values | {"account": account.id, "days": list(days)},
    )


def count_bad_rows(
    connection: Connection, account: Account, scope: ReportScope, days: Sequence[date]
) -> dict[date, int]:
    """Return how many stored bad rows of a report are each window's; one without a readable day is no window's."""
    rows = connection.execute(
        text(f"""SELECT day, count(q.id) AS bad_rows FROM unnest(CAST(:days AS date[])) AS d(day)
                   LEFT JOIN (SELECT id, window_date FROM quarantined_rows WHERE {_OF_REPORT}) q
                     ON q.window_date = d.day
                  GROUP BY day"""),
        scope.values | account.identity | {"days": list(days)},
    )
    return {row.day: row.bad_rows for row in rows}


def release_rows(connection: Connection, ids: Sequence[int]) -> None:
    """Take rows out of quarantine."""
    connection.execute(
        text("DELETE FROM quarantined_rows WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )


def keep_rows(connection: Connection, kept: Sequence[tuple[int, date | None, Cause]]) -> None:
    """Update the day and the cause of rows that stay in quarantine: tuples of id, day and cause."""
    values = {
        "ids": [k[0] for k in kept],
        "days": [k[1] for k in kept],
        "causes": [json_text(k[2]) for k in kept],
    }
    connection.execute(
        text("""UPDATE quarantined_rows q SET window_date = k.day, cause = k.cause
                  FROM unnest(CAST(:ids AS bigint[]), CAST(:days AS date[]), CAST(CAST(:causes AS text[]) AS jsonb[])) AS k(id, day, cause)
                 WHERE q.id = k.id AND (q.window_date, q.cause) IS DISTINCT FROM (k.day, k.cause)"""),
        values,
    )


# A window whose counts changed is recorded in Dagster once more, as if this load were not recorded.
_RECOUNT = text("""
    UPDATE report_windows
       SET row_count = :rows, unresolved_count = :unresolved, spend = :spend, sales = :sales,
           product_totals = CAST(:products AS jsonb),
           recorded_load_count = least(recorded_load_count, load_count - 1)
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset AND report = :report AND window_date = :day""")
_FEWER_BAD = text("""
    UPDATE report_windows SET quarantined_count = greatest(quarantined_count + :change, 0)
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset AND report = :report AND window_date = :day""")


def recount_windows(
    connection: Connection,
    account: Account,
    scope: ReportScope,
    totals: Mapping[date, WindowTotals],
) -> None:
    """Write what windows hold after a replay."""
    for day, total in totals.items():
        connection.execute(_RECOUNT, scope.values | account.identity | asdict(total) | {"day": day})


def change_bad_counts(
    connection: Connection, account: Account, scope: ReportScope, changes: dict[date, int]
) -> None:
    """Add to each window's count of quarantined rows; it may count more than are stored."""
    for day, change in changes.items():
        if change:
            connection.execute(
                _FEWER_BAD, scope.values | account.identity | {"day": day, "change": change}
            )
