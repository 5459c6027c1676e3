"""SQL that loads a report: staged, summed, compared with what is there, merged. All of it runs in the caller's transaction.

The steps share two temporary tables that end with the transaction: `report_staged` has every row of the report in file order, bad
ones with their reason; `report_fresh` has the good ones summed by key, the way they will stand in the dataset's table. The statements
are the same for every table; `PerformanceTable` says where they differ.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from psycopg import sql
from sqlalchemy import Connection, TextClause, text

from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.performance_tables import (
    FACTS,
    METRICS,
    NAMES,
    PerformanceTable,
    listed,
)


class StagedRow(NamedTuple):
    """One row of a report, in the order of the columns; a bad one has `reason` and `raw` (JSON text), a good one everything else."""

    row_number: int
    window_date: date | None
    hour_at: datetime | None = None
    ad_id: str | None = None
    entity_id: str | None = None
    entity_detail: str = ""
    currency_code: str | None = None
    campaign_id: str | None = None
    campaign_name: str | None = None
    ad_group_id: str | None = None
    ad_group_name: str | None = None
    target_value: str | None = None
    match_type: str | None = None
    resolved: bool | None = None
    impressions: int | None = None
    clicks: int | None = None
    orders: int | None = None
    sales: Decimal | None = None
    spend: Decimal | None = None
    reason: str | None = None
    raw: str | None = None


@dataclass(frozen=True)
class Scope:
    """Which rows a load is about: one dataset of one account, from one request whose data is as of an instant."""

    account: Account
    dataset: str
    request_id: int
    data_as_of: datetime

    @property
    def values(self) -> dict[str, Any]:
        """The scope as bound parameters."""
        return self.account.identity | {
            "dataset": self.dataset,
            "request_id": self.request_id,
            "data_as_of": self.data_as_of,
        }


_STAGED = text("""
    CREATE TEMP TABLE report_staged (
        row_number bigint, window_date date, hour_at timestamptz, ad_id text COLLATE "C", entity_id text COLLATE "C",
        entity_detail text COLLATE "C", currency_code text,
        campaign_id text COLLATE "C", campaign_name text, ad_group_id text COLLATE "C", ad_group_name text,
        target_value text, match_type text, resolved boolean, impressions bigint, clicks bigint, orders bigint,
        sales numeric(20, 6), spend numeric(20, 6), reason text, raw jsonb
    ) ON COMMIT DROP""")


def stage_rows(connection: Connection, rows: Iterable[StagedRow]) -> None:
    """Copy a report's rows into `report_staged`, as they come, in constant memory."""
    connection.execute(_STAGED)
    driver = connection.connection.driver_connection
    assert driver is not None, "an open SQLAlchemy connection has a driver's"  # noqa: S101 - for the type checker
    columns = sql.SQL(", ").join(map(sql.Identifier, StagedRow._fields))
    with (
        driver.cursor() as cursor,
        cursor.copy(sql.SQL("COPY report_staged ({}) FROM STDIN").format(columns)) as copy,
    ):
        for row in rows:
            copy.write_row(row)
    connection.execute(text("ANALYZE report_staged"))


@cache
def _fresh(table: PerformanceTable) -> TextClause:
    names = ", ".join(f"min({name}) AS {name}" for name in NAMES)
    return text(f"""
        CREATE TEMP TABLE report_fresh ON COMMIT DROP AS
        SELECT {listed(table.key)}, {names}, bool_and(resolved) AS resolved,
               CAST(sum(impressions) AS bigint) AS impressions, CAST(sum(clicks) AS bigint) AS clicks,
               CAST(sum(orders) AS bigint) AS orders,
               CAST(sum(sales) AS numeric(20, 6)) AS sales, CAST(sum(spend) AS numeric(20, 6)) AS spend
          FROM report_staged WHERE reason IS NULL
         GROUP BY {listed(table.key)}""")


def sum_staged_rows(connection: Connection, table: PerformanceTable) -> None:
    """Make `report_fresh`: rows with the same key are summed; null means "no value" and adds nothing."""
    connection.execute(_fresh(table))
    connection.execute(text("ANALYZE report_fresh"))


@dataclass(frozen=True)
class WindowTally:
    """What a report says of one window, beside what is there: counts of rows, and sums in the account's currency."""

    window_date: date
    old_rows: int
    new_rows: int
    bad_rows: int
    unresolved_rows: int
    spend: Decimal
    sales: Decimal


# Bad rows whose day can't be read count for every window: any of them may be theirs.
@cache
def _tallies(table: PerformanceTable) -> TextClause:
    return text(f"""
        SELECT w.window_date, coalesce(o.rows, 0) AS old_rows, coalesce(n.rows, 0) AS new_rows,
               coalesce(b.rows, 0) + (SELECT count(*) FROM report_staged WHERE reason IS NOT NULL AND window_date IS NULL) AS bad_rows,
               coalesce(n.unresolved, 0) AS unresolved_rows, coalesce(n.spend, 0) AS spend, coalesce(n.sales, 0) AS sales
          FROM unnest(CAST(:days AS date[])) AS w(window_date)
          LEFT JOIN (SELECT window_date, count(*) AS rows, count(*) FILTER (WHERE NOT resolved) AS unresolved,
                            sum(spend) FILTER (WHERE currency_code = :currency) AS spend,
                            sum(sales) FILTER (WHERE currency_code = :currency) AS sales
                       FROM report_fresh GROUP BY window_date) n USING (window_date)
          LEFT JOIN (SELECT window_date, count(*) AS rows FROM report_staged
                      WHERE reason IS NOT NULL GROUP BY window_date) b USING (window_date)
          LEFT JOIN (SELECT window_date, count(*) AS rows FROM {table.name}
                      WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset
                        AND window_date = ANY(:days) GROUP BY window_date) o USING (window_date)
         ORDER BY w.window_date""")


def lock_rows(connection: Connection, account: Account) -> None:
    """Let nobody else load or resolve rows of this account until the transaction ends: two at once could deadlock."""
    connection.execute(
        text(
            "SELECT pg_advisory_xact_lock(hashtextextended('rows ' || :account_id || ' ' || :country_code, 0))"
        ),
        account.identity,
    )


def tally_windows(
    connection: Connection, table: PerformanceTable, scope: Scope, days: Sequence[date]
) -> list[WindowTally]:
    """Count, for each of the given windows, what the staged report has and what the table holds."""
    values = scope.values | {"days": list(days), "currency": scope.account.currency_code}
    rows = connection.execute(_tallies(table), values)
    return [WindowTally(**row) for row in rows.mappings()]


def digest_window(connection: Connection, table: PerformanceTable, day: date) -> str:
    """Give a digest of the fresh rows of a window: equal digests mean the same keys and metrics, whatever the names are by now."""
    # An instant as text depends on the connection's time zone, as a count of seconds it doesn't.
    key = listed(table.key[1:]).replace("hour_at", "extract(epoch FROM hour_at)")
    statement = text(f"""
        SELECT md5(coalesce(string_agg(ROW({key}, {listed(METRICS)})::text, E'\\n' ORDER BY {listed(table.key[1:])}), ''))
          FROM report_fresh f WHERE window_date = :day""")
    return str(connection.execute(statement, {"day": day}).scalar_one())


def drop_fresh_windows(connection: Connection, days: Sequence[date]) -> None:
    """Leave windows out of the merge: their old rows stay."""
    connection.execute(text("DELETE FROM report_fresh WHERE window_date = ANY(:days)"), {"days": list(days)})


_OF_SCOPE = """account_id = :account_id AND country_code = :country_code AND dataset = :dataset
               AND window_date = ANY(:days)"""
_ANY_METRIC_DIFFERS = f"({listed(METRICS, 'o')}) IS DISTINCT FROM ({listed(METRICS, 'f')})"
_ANY_FACT_DIFFERS = f"({listed(FACTS, 'o')}) IS DISTINCT FROM ({listed(FACTS, 'f')})"


def _as_json(alias: str) -> str:
    pairs = ", ".join(f"'{metric}', {alias}.{metric}" for metric in METRICS)
    return f"CASE WHEN {alias}.ad_id IS NOT NULL THEN jsonb_build_object({pairs}) END"


# A window that was never loaded has no `data_as_of`, so its first load restates nothing.
@cache
def _restate(table: PerformanceTable) -> TextClause:
    key = ", ".join(f"coalesce(o.{column}, f.{column})" for column in table.key)
    return text(f"""
        INSERT INTO restatements (account_id, country_code, dataset, {listed(table.key)}, change,
                                  old_values, new_values, old_data_as_of, new_data_as_of, request_id)
        SELECT :account_id, :country_code, :dataset, {key},
               CASE WHEN o.ad_id IS NULL THEN 'appeared' WHEN f.ad_id IS NULL THEN 'vanished' ELSE 'changed' END,
               {_as_json("o")}, {_as_json("f")}, w.data_as_of, :data_as_of, :request_id
          FROM (SELECT * FROM {table.name} WHERE {_OF_SCOPE}) o
          FULL JOIN report_fresh f ON {table.same_key("o", "f")}
          JOIN report_windows w ON w.window_date = coalesce(o.window_date, f.window_date)
           AND w.account_id = :account_id AND w.country_code = :country_code AND w.dataset = :dataset
         WHERE w.window_date = ANY(:days) AND w.data_as_of IS NOT NULL
           AND (o.ad_id IS NULL OR f.ad_id IS NULL OR {_ANY_METRIC_DIFFERS})""")


@cache
def _vanish(table: PerformanceTable) -> TextClause:
    return text(f"""
        DELETE FROM {table.name} o
         WHERE {_OF_SCOPE} AND NOT EXISTS (SELECT FROM report_fresh f WHERE {table.same_key("o", "f")})""")


# Rows that say what is there already are filtered out first: an update that changes nothing still costs a lock and WAL.
@cache
def _merge(table: PerformanceTable) -> TextClause:
    return text(f"""
        INSERT INTO {table.name} AS p ({listed(table.primary_key)}, {listed(FACTS)}, request_id, loaded_at)
        SELECT :account_id, :country_code, :dataset, {listed(table.key, "f")}, {listed(FACTS, "f")}, :request_id, now()
          FROM report_fresh f
          LEFT JOIN (SELECT * FROM {table.name} WHERE {_OF_SCOPE}) o ON {table.same_key("o", "f")}
         WHERE o.ad_id IS NULL OR {_ANY_FACT_DIFFERS}
         ORDER BY {listed(table.key, "f")}
        ON CONFLICT ({listed(table.primary_key)}) DO UPDATE
           SET {", ".join(f"{column} = excluded.{column}" for column in FACTS)},
               request_id = excluded.request_id, loaded_at = excluded.loaded_at""")


@dataclass(frozen=True)
class MergeCounts:
    """What a merge did: rows written (new or changed), rows removed, changes of earlier reports recorded."""

    written: int
    vanished: int
    restated: int


def merge_windows(
    connection: Connection, table: PerformanceTable, scope: Scope, days: Sequence[date]
) -> MergeCounts:
    """Make the table say of these windows what the report says: restatements recorded, vanished rows removed, changed ones written."""
    values = scope.values | {"days": list(days)}
    restated = connection.execute(_restate(table), values).rowcount
    vanished = connection.execute(_vanish(table), values).rowcount
    written = connection.execute(_merge(table), values).rowcount
    return MergeCounts(written, vanished, restated)


# A row without a readable day goes with the report it came in, once a report of at least the same days is there.
_RELEASE = text("""
    DELETE FROM quarantined_rows q
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset
       AND (window_date = ANY(:days)
            OR window_date IS NULL AND EXISTS (
                SELECT FROM report_requests r
                 WHERE r.id = q.request_id AND r.start_date >= (SELECT min(d) FROM unnest(CAST(:days AS date[])) d)
                   AND r.end_date <= (SELECT max(d) FROM unnest(CAST(:days AS date[])) d)))""")
MOST_ROWS_OF_A_REFUSED_WINDOW = 1_000
"""Of a window that did not take its report, so many bad rows are kept to be looked at; the others are only counted."""

# A window that took its report keeps every row: each can be replayed. Of one that did not, none is.
_QUARANTINE = text("""
    INSERT INTO quarantined_rows (account_id, country_code, dataset, window_date, request_id, row_number, reason, raw)
    SELECT :account_id, :country_code, :dataset, window_date, :request_id, row_number, reason, raw
      FROM (SELECT *, row_number() OVER (PARTITION BY window_date ORDER BY row_number) AS place
              FROM report_staged WHERE reason IS NOT NULL) bad
     WHERE place <= :most OR window_date = ANY(:loaded) OR window_date IS NULL AND cardinality(CAST(:loaded AS date[])) > 0
     ORDER BY row_number""")


def quarantine_rows(
    connection: Connection, scope: Scope, days: Sequence[date], *, loaded: Sequence[date]
) -> int:
    """Keep the report's bad rows aside in place of those that earlier reports left for these windows.

    Args:
        connection: the load's transaction.
        scope: the account, dataset and request.
        days: the windows that the report was for.
        loaded: those of them that took it; of the others not all rows are kept.

    Returns:
        How many bad rows the report has, kept or not.
    """
    values = scope.values | {
        "days": list(days),
        "loaded": list(loaded),
        "most": MOST_ROWS_OF_A_REFUSED_WINDOW,
    }
    connection.execute(_RELEASE, values)
    connection.execute(_QUARANTINE, values)
    return int(
        connection.execute(text("SELECT count(*) FROM report_staged WHERE reason IS NOT NULL")).scalar_one()
    )


@dataclass(frozen=True)
class WindowEnd:
    """How one window leaves a load; the columns of `report_windows` it sets."""

    tally: WindowTally
    status: str
    next_refresh_at: datetime | None
    accepted: bool = False
    failure_reason: str | None = None
    held_digest: str | None = None
    held_rows: int | None = None


_END_LOADED = text("""
    UPDATE report_windows
       SET status = 'loaded', request_id = NULL, last_loaded_at = now(), data_as_of = :data_as_of, load_count = load_count + 1,
           loaded_by_request = :request_id,
           row_count = :rows, quarantined_count = :bad, unresolved_count = :unresolved, spend = :spend, sales = :sales,
           next_refresh_at = :next, failure_reason = NULL, held_digest = NULL, held_rows = NULL, held_count = 0, wanted_by = NULL
     WHERE request_id = :request_id AND window_date = :day""")
_END_KEPT = text("""
    UPDATE report_windows
       SET status = :status, request_id = NULL, next_refresh_at = :next, failure_reason = :reason,
           held_digest = :digest, held_rows = :held, wanted_by = NULL,
           held_count = CASE WHEN CAST(:digest AS text) IS NULL THEN 0 ELSE held_count + 1 END
     WHERE request_id = :request_id AND window_date = :day""")


def end_windows(connection: Connection, scope: Scope, ends: Sequence[WindowEnd]) -> None:
    """Write how the windows of a request left its load, and that they wait for it no more."""
    for end in ends:
        values = scope.values | {
            "day": end.tally.window_date,
            "status": end.status,
            "next": end.next_refresh_at,
            "rows": end.tally.new_rows,
            "bad": end.tally.bad_rows,
            "unresolved": end.tally.unresolved_rows,
            "spend": end.tally.spend,
            "sales": end.tally.sales,
            "reason": end.failure_reason,
            "digest": end.held_digest,
            "held": end.held_rows,
        }
        connection.execute(_END_LOADED if end.accepted else _END_KEPT, values)
