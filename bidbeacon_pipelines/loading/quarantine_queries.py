"""SQL for quarantined rows: lists, and the replay of rows that are valid now.

A replay uses the stage of a load (`loading.staging`). It stages the loaded rows of a window with
the replayed rows, sums and merges them. The result is the same as a load of the whole report.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import Connection, RowMapping, select, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.database.base import read_rows
from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport
from bidbeacon_pipelines.loading.acceptance import WindowTally
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.loading.staging import listed, staged_columns
from bidbeacon_pipelines.loading.tables import QuarantinedRow
from bidbeacon_sessions.writes import json_text

# Rows of a refused report are not replayed: its valid rows were not loaded either, and a new report
# contains them all.
_IS_LOADED = """EXISTS (
    SELECT FROM report_windows w JOIN report_loads r USING (account_id, country_code)
     WHERE r.request_id = q.request_id AND w.account_id = q.account_id
       AND w.country_code = q.country_code AND w.dataset = q.dataset
       AND w.window_date BETWEEN r.start_date AND r.end_date
       AND (q.window_date IS NULL OR w.window_date = q.window_date)
       AND w.loaded_by_request = r.request_id)"""
_LIST = text(f"""
    SELECT q.id, a.account_key, {ACCOUNT_LABEL} AS account_label, q.dataset, q.window_date,
           q.request_id, q.row_number, q.cause, q.raw, q.quarantined_at, {_IS_LOADED} AS is_loaded
      FROM quarantined_rows q
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE (CAST(:account AS text) IS NULL OR a.account_key = :account)
       AND (CAST(:dataset AS text) IS NULL OR q.dataset = :dataset)
       AND (CAST(:day AS date) IS NULL OR q.window_date = :day)
       AND (CAST(:reason AS text) IS NULL
            OR position(lower(:reason) IN lower(CAST(q.cause AS text))) > 0)
     ORDER BY q.id DESC LIMIT :limit""")


def list_quarantined_rows(
    connection: Connection,
    *,
    account: str | None = None,
    dataset: str | None = None,
    day: date | None = None,
    reason: str | None = None,
    limit: int = 50,
) -> list[RowMapping]:
    """Return quarantined rows, newest first; `reason` is a text to find in the cause.

    Columns: those of `QuarantinedRow`, but account_key and account_label instead of the account;
        is_loaded: whether the data of the row's window is from the row's report.
    """
    values = {"account": account, "dataset": dataset, "day": day, "reason": reason, "limit": limit}
    return list(connection.execute(_LIST, values).mappings())


_REPORTS = text(f"""
    SELECT DISTINCT a.account_key, q.dataset, q.request_id
      FROM quarantined_rows q
      JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE (CAST(:account AS text) IS NULL OR a.account_key = :account)
       AND (CAST(:dataset AS text) IS NULL OR q.dataset = :dataset) AND {_IS_LOADED}
     ORDER BY a.account_key, q.dataset, q.request_id""")


def list_quarantined_reports(
    connection: Connection, *, account: str | None = None, dataset: str | None = None
) -> list[tuple[str, str, int]]:
    """Return the reports with rows to replay: account key, dataset, request id."""
    rows = connection.execute(_REPORTS, {"account": account, "dataset": dataset})
    return [(key, name, request_id) for key, name, request_id in rows]


def list_loaded_reports(
    connection: Connection, account: Account, dataset: Dataset, request_id: int
) -> list[tuple[ReportScope, list[date]]]:
    """Return scopes of a report, each with the days whose windows have the report's data now.

    Usually there is one scope. If ad products were grouped differently after the load, there is
    one for each new group. The list is empty if later reports replaced the data.
    """
    rows = connection.execute(
        text("""
            SELECT w.report, array_agg(w.window_date ORDER BY w.window_date) AS days,
                   r.data_as_of, r.start_date, r.end_date, r.session_id
              FROM report_loads r
              JOIN report_windows w USING (account_id, country_code, dataset)
             WHERE r.request_id = :request_id AND account_id = :account_id
               AND country_code = :country_code AND dataset = :dataset
               AND w.window_date BETWEEN r.start_date AND r.end_date
               AND w.loaded_by_request = r.request_id
             GROUP BY r.data_as_of, r.start_date, r.end_date, r.session_id, w.report
             ORDER BY w.report"""),
        account.identity | {"dataset": dataset.name, "request_id": request_id},
    )
    found = []
    for row in rows:
        report = DatasetReport(dataset, products_of(row.report))
        period = row.start_date, row.end_date
        scope = ReportScope(report, request_id, row.data_as_of, period, row.session_id)
        found.append((scope, row.days))
    return found


def lock_quarantined_rows(
    connection: Connection, account: Account, scope: ReportScope
) -> list[QuarantinedRow]:
    """Lock a report's quarantined rows until the transaction ends; return them in file order."""
    of_report = {"dataset": scope.dataset.name, "request_id": scope.request_id}
    row = QuarantinedRow
    rows = select(row).filter_by(**account.identity, **of_report).order_by(row.row_number, row.id)
    return read_rows(connection, rows.with_for_update())


def stage_held_rows(
    connection: Connection, account: Account, scope: ReportScope, days: Sequence[date]
) -> None:
    """Copy the loaded rows of the given days from the dataset's table to the stage.

    The stage already has the quarantined rows that are valid now. The caller then merges the stage.
    """
    columns = listed(staged_columns(scope.dataset))
    connection.execute(
        text(f"""
            INSERT INTO report_rows ({columns}, read_rows)
            SELECT {columns}, 0 FROM {scope.dataset.name}
             WHERE account = :account AND window_date = ANY(:days)
               AND ad_product = ANY(:ad_products)"""),
        scope.values | {"account": account.id, "days": list(days)},
    )


def delete_quarantined_rows(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the quarantined rows with these ids."""
    statement = text("DELETE FROM quarantined_rows WHERE id = ANY(:ids)")
    connection.execute(statement, {"ids": list(ids)})


def update_quarantined_rows(
    connection: Connection, kept: Sequence[tuple[int, date | None, Cause]]
) -> None:
    """Update rows that stay in quarantine, given as tuples of id, day and cause."""
    statement = text("""
        UPDATE quarantined_rows SET window_date = :day, cause = CAST(:cause AS jsonb)
         WHERE id = :id AND (window_date, cause)
               IS DISTINCT FROM (CAST(:day AS date), CAST(:cause AS jsonb))""")
    if kept:
        rows = [{"id": id_, "day": day, "cause": json_text(why)} for id_, day, why in kept]
        connection.execute(statement, rows)


# A window with changed counts is recorded in Dagster again, as if its load were not recorded.
_RECOUNT = text("""
    UPDATE report_windows
       SET row_count = :rows, unresolved_count = :unresolved, spend = :spend, sales = :sales,
           product_totals = CAST(:products AS jsonb),
           recorded_load_count = least(recorded_load_count, load_count - 1)
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset
       AND report = :report AND window_date = :day""")
# A window that holds a report keeps all its bad rows. If several hold it, the first counts them.
_COUNT_BAD = text("""
    UPDATE report_windows w
       SET quarantined_count = (
               SELECT count(*) FROM quarantined_rows q
                WHERE q.account_id = :account_id AND q.country_code = :country_code
                  AND q.dataset = :dataset AND q.request_id = :request_id
                  AND q.window_date = w.window_date
                  AND NOT EXISTS (
                      SELECT FROM report_windows o
                       WHERE o.account_id = w.account_id AND o.country_code = w.country_code
                         AND o.dataset = w.dataset AND o.window_date = w.window_date
                         AND o.loaded_by_request = :request_id AND o.report < w.report))
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset
       AND report = :report AND window_date = ANY(:days)""")


def recount_windows(
    connection: Connection,
    account: Account,
    scope: ReportScope,
    tallies: Mapping[date, WindowTally],
) -> None:
    """Update row counts and totals of windows after a replay."""
    for day, tally in tallies.items():
        connection.execute(_RECOUNT, scope.values | account.identity | tally.values | {"day": day})


def recount_bad_rows(
    connection: Connection, account: Account, scope: ReportScope, days: Sequence[date]
) -> None:
    """Update the number of quarantined rows in the windows of the given days after a replay."""
    connection.execute(_COUNT_BAD, scope.values | account.identity | {"days": list(days)})
