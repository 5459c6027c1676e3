"""SQL that loads a report that has been staged: compared with what is there, judged, merged. All of it runs in the caller's transaction.

The steps share temporary tables that end with the transaction: `report_fresh` has the good rows, the way they will stand in the
dataset's table, and `report_bad` the others (`store.staging`); `report_changes` is how the former differ from what is there. The statements
are the same for every table; `PerformanceTable` says where they differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, TextClause, text

from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.locks import lock_until_commit
from bidbeacon_pipelines.store.performance_tables import (
    FACTS,
    METRICS,
    PerformanceTable,
    listed,
)


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


_OF_SCOPE = """account_id = :account_id AND country_code = :country_code AND dataset = :dataset
               AND window_date = ANY(:days)"""
_ANY_METRIC_DIFFERS = f"({listed(METRICS, 'o')}) IS DISTINCT FROM ({listed(METRICS, 'f')})"
_ANY_FACT_DIFFERS = f"({listed(FACTS, 'o')}) IS DISTINCT FROM ({listed(FACTS, 'f')})"


@cache
def _compare(table: PerformanceTable) -> TextClause:
    key = ", ".join(f"coalesce(f.{column}, o.{column}) AS {column}" for column in table.key)
    old = ", ".join(f"o.{metric} AS old_{metric}" for metric in METRICS)
    return text(f"""
        CREATE TEMP TABLE report_changes ON COMMIT DROP AS
        SELECT {key}, {listed(FACTS, "f")}, {old},
               CASE WHEN o.ad_id IS NULL THEN 'appeared' WHEN f.ad_id IS NULL THEN 'vanished'
                    WHEN {_ANY_METRIC_DIFFERS} THEN 'changed' ELSE 'renamed' END AS change
          FROM (SELECT * FROM {table.name} WHERE {_OF_SCOPE}) o
          FULL JOIN (SELECT * FROM report_fresh WHERE window_date = ANY(:days)) f ON {table.same_key("o", "f")}
         WHERE o.ad_id IS NULL OR f.ad_id IS NULL OR {_ANY_FACT_DIFFERS}""")


def is_first_load(
    connection: Connection, table: PerformanceTable, scope: Scope, days: Sequence[date]
) -> bool:
    """Say whether none of these windows was loaded before, and none holds rows: then there is nothing to compare a report with."""
    found = connection.execute(
        text(f"""
            SELECT EXISTS (SELECT FROM report_windows WHERE {_OF_SCOPE} AND data_as_of IS NOT NULL)
                OR EXISTS (SELECT FROM {table.name} WHERE {_OF_SCOPE})"""),
        scope.values | {"days": list(days)},
    )
    return not found.scalar_one()


def compare_windows(
    connection: Connection, table: PerformanceTable, scope: Scope, days: Sequence[date]
) -> bool:
    """Make `report_changes`, how the report differs from what these windows hold; at a first load of all of them don't, and give False.

    All that follows looks at these few rows only: an unchanged row is read once, and neither locked nor written.
    """
    if is_first_load(connection, table, scope, days):
        return False
    connection.execute(_compare(table), scope.values | {"days": list(days)})
    return True


@dataclass(frozen=True)
class WindowTally:
    """What a report says of one window, beside what is there: counts of rows, and sums in the account's currency.

    `read_rows` counts good rows before those of one key are summed, `new_rows` afterwards. `bad_rows` are the window's own:
    those without a readable day are no window's.
    """

    window_date: date
    old_rows: int
    new_rows: int
    read_rows: int
    bad_rows: int
    unresolved_rows: int
    spend: Decimal
    sales: Decimal


@cache
def _tallies(source: str, read_rows: str) -> TextClause:
    return text(f"""
    SELECT w.window_date, 0 AS old_rows, coalesce(n.rows, 0) AS new_rows, coalesce(n.read_rows, 0) AS read_rows,
           coalesce(b.rows, 0) AS bad_rows,
           coalesce(n.unresolved, 0) AS unresolved_rows, coalesce(n.spend, 0) AS spend, coalesce(n.sales, 0) AS sales
      FROM unnest(CAST(:days AS date[])) AS w(window_date)
      LEFT JOIN (SELECT window_date, count(*) AS rows, CAST({read_rows} AS bigint) AS read_rows, count(*) FILTER (WHERE NOT resolved) AS unresolved,
                        sum(spend) FILTER (WHERE currency_code = :currency) AS spend,
                        sum(sales) FILTER (WHERE currency_code = :currency) AS sales
                   FROM {source} GROUP BY window_date) n USING (window_date)
      LEFT JOIN (SELECT window_date, count(*) AS rows FROM report_bad GROUP BY window_date) b USING (window_date)
     ORDER BY w.window_date""")


_GROWTH = text("""
    SELECT window_date, count(*) FILTER (WHERE change = 'appeared') - count(*) FILTER (WHERE change = 'vanished')
      FROM report_changes GROUP BY window_date""")


def lock_rows(connection: Connection, account: Account) -> None:
    """Let nobody else load or resolve rows of this account until the transaction ends: two at once could deadlock.

    Raises:
        LockTakenError: another job has been at work on them for too long.
    """
    lock_until_commit(connection, f"rows {account.account_id} {account.country_code}")


def tally_windows(
    connection: Connection, scope: Scope, days: Sequence[date], *, compared: bool
) -> list[WindowTally]:
    """Count, for each of the given windows, what the report has and what the table holds.

    What it holds is not counted but known: it is what the report has, less what appeared, and what vanished.

    Args:
        connection: the load's transaction.
        scope: the account, dataset and request.
        days: the windows.
        compared: what `compare_windows` gave.
    """
    values = {"days": list(days), "currency": scope.account.currency_code}
    tallies = [
        WindowTally(**row)
        for row in connection.execute(_tallies("report_fresh", "sum(read_rows)"), values).mappings()
    ]
    if not compared:
        return tallies
    growth: dict[date, int] = {row[0]: row[1] for row in connection.execute(_GROWTH)}
    return [replace(tally, old_rows=tally.new_rows - growth.get(tally.window_date, 0)) for tally in tallies]


def tally_loaded_windows(
    connection: Connection, table: PerformanceTable, scope: Scope, days: Sequence[date]
) -> list[WindowTally]:
    """Count the same of windows at their first load, after the report's rows have been written into the table."""
    values = scope.values | {"days": list(days), "currency": scope.account.currency_code}
    # The planner knows nothing of the new rows and takes them for one: it would fetch a million one by one, in any index's order, and sort them.
    connection.execute(text("SET LOCAL enable_indexscan = off; SET LOCAL enable_sort = off"))
    rows = (
        connection.execute(_tallies(f"{table.name} WHERE {_OF_SCOPE}", "count(*)"), values).mappings().all()
    )
    connection.execute(text("SET LOCAL enable_indexscan TO DEFAULT; SET LOCAL enable_sort TO DEFAULT"))
    return [WindowTally(**row) for row in rows]


# A reason names each field at fault, what was expected and what came: its first fault without the value is the cause.
_BAD_CAUSES = text("""
    SELECT window_date, cause, rows, CAST(sum(rows) OVER (PARTITION BY window_date) AS bigint) AS all_rows
      FROM (SELECT window_date, split_part(split_part(reason, '; ', 1), ', got: ', 1) AS cause, count(*) AS rows
              FROM report_bad GROUP BY 1, 2) causes
     ORDER BY window_date, rows DESC, cause""")


def list_bad_causes(connection: Connection) -> list[tuple[date | None, str, int, int]]:
    """Return what is wrong with bad rows, by day (None where none can be read): day, cause, rows, all bad rows of the day.

    The most frequent cause of a day comes first.
    """
    return [tuple(row) for row in connection.execute(_BAD_CAUSES)]


def digest_window(connection: Connection, table: PerformanceTable, day: date) -> str:
    """Give a digest of the fresh rows of a window: equal digests mean the same keys and metrics, whatever the names are by now."""
    # An instant as text depends on the connection's time zone, as a count of seconds it doesn't.
    key = listed(table.key[1:]).replace("hour_at", "extract(epoch FROM hour_at)")
    statement = text(f"""
        SELECT md5(coalesce(string_agg(ROW({key}, {listed(METRICS)})::text, E'\\n' ORDER BY {listed(table.key[1:])}), ''))
          FROM report_fresh f WHERE window_date = :day""")
    return str(connection.execute(statement, {"day": day}).scalar_one())


def _as_json(prefix: str, absent: str) -> str:
    pairs = ", ".join(f"'{metric}', c.{prefix}{metric}" for metric in METRICS)
    return f"CASE WHEN c.change <> '{absent}' THEN jsonb_build_object({pairs}) END"


# A window that was never loaded has no `data_as_of`, so its first load restates nothing.
@cache
def _restate(table: PerformanceTable) -> TextClause:
    return text(f"""
        INSERT INTO restatements (account_id, country_code, dataset, {listed(table.key)}, change,
                                  old_values, new_values, old_data_as_of, new_data_as_of, request_id)
        SELECT :account_id, :country_code, :dataset, {listed(table.key, "c")}, c.change,
               {_as_json("old_", "appeared")}, {_as_json("", "vanished")}, w.data_as_of, :data_as_of, :request_id
          FROM report_changes c
          JOIN report_windows w ON w.window_date = c.window_date
           AND w.account_id = :account_id AND w.country_code = :country_code AND w.dataset = :dataset
         WHERE w.window_date = ANY(:days) AND w.data_as_of IS NOT NULL AND c.change <> 'renamed'""")


@cache
def _vanish(table: PerformanceTable) -> TextClause:
    return text(f"""
        DELETE FROM {table.name} o USING report_changes c
         WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset
           AND c.window_date = ANY(:days) AND c.change = 'vanished' AND {table.same_key("o", "c")}""")


def _insert(table: PerformanceTable, source: str) -> str:
    return f"""
        INSERT INTO {table.name} AS p ({listed(table.primary_key)}, {listed(FACTS)}, request_id, loaded_at)
        SELECT :account_id, :country_code, :dataset, {listed(table.key)}, {listed(FACTS)}, :request_id, now()
          FROM {source} AND window_date = ANY(:days)"""


# `report_ordered` is in the order of the key: an index that grows at its end costs half of one that grows everywhere.
@cache
def _insert_all(table: PerformanceTable) -> TextClause:
    return text(_insert(table, "report_ordered WHERE true"))


@cache
def _merge(table: PerformanceTable) -> TextClause:
    return text(f"""
        {_insert(table, "report_changes WHERE change <> 'vanished'")} ORDER BY {listed(table.key)}
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
    connection: Connection, table: PerformanceTable, scope: Scope, days: Sequence[date], *, compared: bool
) -> MergeCounts:
    """Make the table say of these windows what the report says: restatements recorded, vanished rows removed, changed ones written.

    Args:
        connection: the load's transaction.
        table: where they are.
        scope: the account, dataset and request.
        days: the windows.
        compared: what `compare_windows` gave of these windows, or of these and others.
    """
    values = scope.values | {"days": list(days)}
    if not compared:
        return MergeCounts(connection.execute(_insert_all(table), values).rowcount, 0, 0)
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
              FROM report_bad) bad
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
    return int(connection.execute(text("SELECT count(*) FROM report_bad")).scalar_one())


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
     WHERE request_id = :request_id AND country_code = :country_code AND window_date = :day""")
_END_KEPT = text("""
    UPDATE report_windows
       SET status = :status, request_id = NULL, next_refresh_at = :next, failure_reason = :reason,
           held_digest = :digest, held_rows = :held, wanted_by = NULL,
           held_count = CASE WHEN CAST(:digest AS text) IS NULL THEN 0 ELSE held_count + 1 END
     WHERE request_id = :request_id AND country_code = :country_code AND window_date = :day""")


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
