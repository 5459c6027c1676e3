"""SQL for loads: row counts and quarantined rows of a report, and windows after a load."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, text

from bidbeacon_pipelines.accounts.queries import list_countries
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport
from bidbeacon_pipelines.loading.acceptance import WindowTally
from bidbeacon_pipelines.loading.rows import RequestedAccount, RowCheck
from bidbeacon_pipelines.loading.tables import ReportLoad
from bidbeacon_pipelines.windows.history_queries import judge_loaded_windows


@dataclass(frozen=True)
class ReportScope:
    """A requested report to load: its first and last day, request time and loading session."""

    report: DatasetReport
    request_id: int
    data_as_of: datetime
    period: tuple[date, date]
    session_id: UUID

    @property
    def dataset(self) -> Dataset:
        """The dataset of the report."""
        return self.report.dataset

    @property
    def ad_products(self) -> tuple[str, ...]:
        """The ad products of the report."""
        return self.report.ad_products

    @property
    def values(self) -> dict[str, Any]:
        """The bound parameters of SQL statements that concern this report."""
        return {
            "dataset": self.dataset.name,
            "report": self.report.name,
            "request_id": self.request_id,
            "data_as_of": self.data_as_of,
            "ad_products": list(self.ad_products),
        }


def window_values(windows: Collection[tuple[Account, date]]) -> dict[str, Any]:
    """Return the bound parameters `accounts` and `days`: two lists with one item per window."""
    return {
        "accounts": [account.id for account, _ in windows],
        "days": [day for _, day in windows],
    }


def make_check(
    connection: Connection, scope: ReportScope, windows: Sequence[tuple[Account, Collection[date]]]
) -> RowCheck:
    """Return the check of a report's rows; `windows` has the accounts and requested days."""
    accounts = [
        RequestedAccount(account.id, account.country_code, account.time_zone, frozenset(days))
        for account, days in windows
    ]
    [account_id] = {account.account_id for account, _ in windows}
    return RowCheck(
        scope.dataset,
        accounts,
        ad_products=scope.ad_products,
        period=scope.period,
        has_one_country=len(list_countries(connection, account_id)) == 1,
        spellings=read_contract(connection, account_id).spellings(scope.dataset),
    )


def insert_load(
    connection: Connection,
    scope: ReportScope,
    account: Account,
    counts: Mapping[str, int],
    *,
    silent: Sequence[date],
    first_days: int,
) -> None:
    """Store a load: an account's row `counts` and the `silent` days, accepted without rows.

    `first_days` is the number of days that were loaded for the first time.
    """
    start, end = scope.period
    statement = insert(ReportLoad).values(
        request_id=scope.request_id,
        dataset=scope.dataset.name,
        report=scope.report.name,
        start_date=start,
        end_date=end,
        data_as_of=scope.data_as_of,
        session_id=scope.session_id,
        silent_days=silent,
        first_days=first_days,
        **account.identity,
        **counts,
    )
    connection.execute(statement)


# A row stays while a window that it may belong to holds its report, or was last requested with it.
# A report that is not accepted releases only rows of earlier ones that were not accepted either,
# and none of reports of another grouping.
_RELEASE = text("""
    DELETE FROM quarantined_rows q USING report_loads r
     WHERE (r.request_id, r.account_id, r.country_code)
           = (q.request_id, q.account_id, q.country_code)
       AND q.account_id = :account_id AND q.country_code = :country_code AND q.dataset = :dataset
       AND (q.window_date = ANY(:days) OR q.window_date IS NULL)
       AND (r.report = :report OR q.window_date = ANY(:loaded)
            OR q.window_date IS NULL AND cardinality(CAST(:loaded AS date[])) > 0)
       AND NOT EXISTS (
           SELECT FROM report_windows w
            WHERE w.account_id = q.account_id AND w.country_code = q.country_code
              AND w.dataset = q.dataset AND w.window_date BETWEEN r.start_date AND r.end_date
              AND (q.window_date IS NULL OR w.window_date = q.window_date)
              AND q.request_id IN (w.loaded_by_request, w.last_request_id))""")
MOST_ROWS_OF_A_REFUSED_WINDOW = 1_000
"""The most invalid rows stored for a window that was not loaded; all are counted."""

# A loaded window keeps every bad row, since each can be replayed.
_QUARANTINE = text("""
    INSERT INTO quarantined_rows (
           account_id, country_code, dataset, window_date, request_id, row_number, cause, raw)
    SELECT :account_id, :country_code, :dataset, window_date, :request_id, row_number, cause, raw
      FROM (SELECT *, row_number() OVER (PARTITION BY window_date ORDER BY row_number) AS place
              FROM report_bad
             WHERE account = :account OR account IS NULL) bad
     WHERE place <= :most OR window_date = ANY(:loaded)
        OR window_date IS NULL AND cardinality(CAST(:loaded AS date[])) > 0
     ORDER BY row_number""")


def quarantine_rows(
    connection: Connection,
    scope: ReportScope,
    account: Account,
    days: Sequence[date],
    loaded: Sequence[date],
) -> None:
    """Store a report's invalid rows in quarantine; delete those of replaced reports.

    Call this after `update_loaded_windows`. `days` are the days whose windows waited for the
    report; `loaded` are the loaded ones of these days. Rows with an unreadable country are stored
    for every account.
    """
    values = scope.values | account.identity
    values |= {"account": account.id, "days": list(days), "loaded": list(loaded)}
    values["most"] = MOST_ROWS_OF_A_REFUSED_WINDOW
    connection.execute(_RELEASE, values)
    connection.execute(_QUARANTINE, values)


# The user who accepted a removal has thereby acknowledged it.
_REMOVE = """
    INSERT INTO row_removals (request_id, account_id, country_code, dataset, days, rows, spend,
                              currency_code, acknowledged_by, acknowledged_at)
    SELECT :request_id, a.account_id, a.country_code, :dataset,
           array_agg(DISTINCT c.window_date ORDER BY c.window_date), count(*),
           coalesce(sum({spend}) FILTER (WHERE c.currency_code = a.currency_code), 0),
           a.currency_code, w.decided_by, w.decided_at
      FROM report_changes c JOIN advertiser_accounts a ON a.id = c.account
      JOIN unnest(CAST(:days AS date[]), CAST(:products AS text[])) AS l(window_date, ad_product)
           USING (window_date, ad_product)
      LEFT JOIN report_windows w
             ON w.request_id = :request_id AND w.country_code = a.country_code
            AND w.window_date = c.window_date AND w.decision = 'accept'
     WHERE c.account = :account AND c.change = 'vanished'
     GROUP BY a.account_id, a.country_code, a.currency_code, w.decided_by, w.decided_at"""


def insert_removals(
    connection: Connection,
    scope: ReportScope,
    account: Account,
    lost: Sequence[tuple[date, str]],
) -> None:
    """Store how many rows and how much spend a merge removed.

    `lost` has the days and ad products that lost nearly all rows, as tuples. Call this before the
    windows are detached from the request.
    """
    values = scope.values | {"account": account.id}
    values |= {"days": [day for day, _ in lost], "products": [product for _, product in lost]}
    spend = "c.old_spend" if "spend" in scope.dataset.columns else "0"
    if lost:
        connection.execute(text(_REMOVE.format(spend=spend)), values)


_UPDATE_LOADED = text("""
    UPDATE report_windows
       SET last_loaded_at = now(), load_count = load_count + 1, loaded_by_request = :request_id,
           first_data_as_of = least(first_data_as_of, :data_as_of),
           row_count = :rows, unresolved_count = :unresolved, spend = :spend, sales = :sales,
           product_totals = CAST(:products AS jsonb), quarantined_count = :bad
     WHERE request_id = :request_id AND country_code = :country_code AND window_date = :day""")


def update_loaded_windows(
    connection: Connection,
    scope: ReportScope,
    account: Account,
    tallies: Mapping[date, WindowTally],
    bad_rows: Mapping[date, int],
) -> None:
    """Store the totals and the numbers of invalid rows of loaded windows, given by day."""
    values = scope.values | account.identity
    loads = [
        values | tally.values | {"day": day, "bad": bad_rows.get(day, 0)}
        for day, tally in tallies.items()
    ]
    if loads:
        connection.execute(_UPDATE_LOADED, loads)


def judge_history(
    connection: Connection, scope: ReportScope, accounts: Collection[Account]
) -> list[RowMapping]:
    """Run `judge_loaded_windows` on a report; return its windows that Amazon does not serve."""
    [account_id] = {account.account_id for account in accounts}
    start, end = scope.period
    report = scope.values | {"account_id": account_id, "start": start, "end": end}
    return judge_loaded_windows(connection, accounts, **report)
