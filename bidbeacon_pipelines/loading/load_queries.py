"""SQL on loads: the row counts of a report, its quarantined rows, and the state of windows after a load."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.loading.merging import WindowTotals
from bidbeacon_pipelines.windows.product_states import WindowAfter
from bidbeacon_pipelines.windows.queries import release_windows


@dataclass(frozen=True)
class ReportScope:
    """Which report a load is about: a dataset's, of some ad products, from one request, for a period; its data is as of an instant."""

    dataset: Dataset
    request_id: int
    data_as_of: datetime
    ad_products: tuple[str, ...]
    period: tuple[date, date]

    @property
    def values(self) -> dict[str, Any]:
        """The scope as bound parameters."""
        return {
            "dataset": self.dataset.name,
            "request_id": self.request_id,
            "data_as_of": self.data_as_of,
            "ad_products": list(self.ad_products),
        }


def window_values(windows: Collection[tuple[Account, date]]) -> dict[str, Any]:
    """Return windows as bound parameters: `accounts`, `days` and the `currencies` of the accounts."""
    return {
        "accounts": [account.id for account, _ in windows],
        "days": [day for _, day in windows],
        "currencies": [account.currency_code for account, _ in windows],
    }


@dataclass(frozen=True)
class RowCounts:
    """Row counts of a report, for one account.

    Attributes:
        rows_read: Rows in the report's files.
        rows_loaded: Rows that its windows hold now.
        rows_summed: Rows merged into others with the same key.
        rows_quarantined: Invalid rows.
        rows_withheld: Valid rows of windows that did not take the report: refused, suspicious or
            unconfirmed.
        rows_not_waited_for: Rows of other countries, of days that no window waits for, and of ad
            products that were not asked for.
    """

    rows_read: int
    rows_loaded: int
    rows_summed: int
    rows_quarantined: int
    rows_withheld: int
    rows_not_waited_for: int


def insert_load(
    connection: Connection, scope: ReportScope, account: Account, counts: RowCounts
) -> None:
    """Store the row counts of a loaded report, for an account; the table checks that they add up."""
    connection.execute(
        text("""
            INSERT INTO report_loads (request_id, account_id, country_code, dataset, rows_read, rows_loaded, rows_summed,
                                      rows_quarantined, rows_withheld, rows_not_waited_for)
            VALUES (:request_id, :account_id, :country_code, :dataset, :rows_read, :rows_loaded, :rows_summed,
                    :rows_quarantined, :rows_withheld, :rows_not_waited_for)"""),
        scope.values | account.identity | asdict(counts),
    )


# Rows go once each ad product of their report came in this report, or in another later one. A row
# without a readable day goes with the report it came in, once a report of at least the same days
# and ad products is there.
_RELEASE = text("""
    DELETE FROM quarantined_rows q USING report_requests r
     WHERE r.id = q.request_id
       AND r.ad_products <@ (CAST(:ad_products AS text[]) || ARRAY(
               SELECT p.ad_product FROM report_windows w
                CROSS JOIN LATERAL jsonb_each(w.product_totals) AS p(ad_product, totals)
                WHERE w.account_id = q.account_id AND w.country_code = q.country_code AND w.dataset = q.dataset
                  AND w.window_date = q.window_date AND CAST(p.totals ->> 'as_of' AS timestamptz) > coalesce(r.sent_at, r.created_at)))
       AND q.account_id = :account_id AND q.country_code = :country_code AND q.dataset = :dataset
       AND (q.window_date = ANY(:days)
            OR q.window_date IS NULL AND r.start_date >= (SELECT min(d) FROM unnest(CAST(:days AS date[])) d)
               AND r.end_date <= (SELECT max(d) FROM unnest(CAST(:days AS date[])) d))""")
MOST_ROWS_OF_A_REFUSED_WINDOW = 1_000
"""Of a window that did not take its report, so many bad rows are kept to be looked at; the others are only counted."""

# A window that took its report keeps every row: each can be replayed. Of one that did not, none is.
_QUARANTINE = text("""
    INSERT INTO quarantined_rows (account_id, country_code, dataset, window_date, request_id, row_number, reason, raw)
    SELECT :account_id, :country_code, :dataset, window_date, :request_id, row_number, reason, raw
      FROM (SELECT *, row_number() OVER (PARTITION BY window_date ORDER BY row_number) AS place
              FROM report_bad WHERE account = :account OR account IS NULL) bad
     WHERE place <= :most OR window_date = ANY(:loaded) OR window_date IS NULL AND cardinality(CAST(:loaded AS date[])) > 0
     ORDER BY row_number""")


def quarantine_rows(
    connection: Connection,
    scope: ReportScope,
    account: Account,
    days: Sequence[date],
    loaded: Sequence[date],
) -> int:
    """Quarantine the report's invalid rows, in place of those of earlier reports for an account's windows.

    Args:
        connection: the load's transaction.
        scope: the report.
        account: whose rows; those whose country can't be read are everybody's.
        days: the windows that the report was for.
        loaded: those of them that took it; of the others not all rows are kept.

    Returns:
        How many bad rows the report has for the account, kept or not.
    """
    values = scope.values | account.identity
    values |= {"account": account.id, "days": list(days), "loaded": list(loaded)}
    values["most"] = MOST_ROWS_OF_A_REFUSED_WINDOW
    connection.execute(_RELEASE, values)
    connection.execute(_QUARANTINE, values)
    count = text("SELECT count(*) FROM report_bad WHERE account = :account OR account IS NULL")
    return int(connection.execute(count, values).scalar_one())


@dataclass(frozen=True)
class WindowEnd:
    """The state of one window after a load. `totals` is set for a window that took the report."""

    window_date: date
    after: WindowAfter
    totals: WindowTotals | None = None
    bad_rows: int = 0


def product_totals(source: str) -> str:
    """Return SQL for the new `report_windows.product_totals`: those of a report's ad products are replaced, by zero where it had no rows of theirs.

    Args:
        source: SQL of a JSON object that says which report they are from; an empty one keeps what
            is known.
    """
    return f"""product_totals || (
               SELECT jsonb_object_agg(asked.ad_product, coalesce(product_totals -> asked.ad_product, '{{}}')
                          || coalesce(CAST(:products AS jsonb) -> asked.ad_product, '{{"rows": 0, "spend": 0, "sales": 0}}')
                          || {source})
                 FROM unnest(CAST(:ad_products AS text[])) AS asked(ad_product))"""


_SOURCE = """jsonb_build_object('as_of', CAST(:data_as_of AS timestamptz), 'request_id', CAST(:request_id AS bigint),
                   'loads', coalesce(CAST(product_totals #> ARRAY[asked.ad_product, 'loads'] AS bigint), 0) + 1)"""
_NOTE_LOAD = text(f"""
    UPDATE report_windows
       SET last_loaded_at = now(), load_count = load_count + 1, loaded_by_request = :request_id,
           row_count = :rows, unresolved_count = :unresolved, spend = :spend, sales = :sales,
           product_totals = {product_totals(_SOURCE)},
           quarantined_count = :bad + (
               SELECT count(*) FROM quarantined_rows q
                WHERE q.account_id = :account_id AND q.country_code = :country_code AND q.dataset = :dataset
                  AND q.window_date = :day AND q.request_id <> :request_id)
     WHERE request_id = :request_id AND country_code = :country_code AND window_date = :day""")


def end_windows(
    connection: Connection, scope: ReportScope, account: Account, ends: Sequence[WindowEnd]
) -> None:
    """Write how the windows of a request left its load, and that they wait for it no more."""
    values = scope.values | account.identity
    loaded = [
        values | asdict(end.totals) | {"day": end.window_date, "bad": end.bad_rows}
        for end in ends
        if end.totals is not None
    ]
    if loaded:
        connection.execute(_NOTE_LOAD, loaded)
    after = {(account.country_code, end.window_date): end.after for end in ends}
    release_windows(connection, scope.request_id, after)
