"""SQL that gives rows of unknown targets to the targets that a later entity sync brought."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, TextClause, text

from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.performance_tables import (
    METRICS,
    NAMES,
    PERFORMANCE_TABLES,
    PerformanceTable,
    listed,
)


@dataclass(frozen=True)
class UnresolvedTarget:
    """A target that rows name and nobody knew; `entity_id` is the placeholder they are kept under."""

    entity_id: str
    ad_group_id: str
    target_value: str
    target_match_type: str


_OF_ACCOUNT = "account_id = :account_id AND country_code = :country_code"
_UNRESOLVED = text(
    " UNION ".join(
        f"""SELECT entity_id, ad_group_id, target_value, match_type AS target_match_type FROM {table.name}
             WHERE {_OF_ACCOUNT} AND NOT resolved"""
        for table in PERFORMANCE_TABLES.values()
    )
)


def list_unresolved_targets(connection: Connection, account: Account) -> list[UnresolvedTarget]:
    """Give each unknown target of an account once, whichever datasets name it."""
    rows = connection.execute(_UNRESOLVED, account.identity)
    return [UnresolvedTarget(**row) for row in rows.mappings()]


# A row of the known target may be there already, and two placeholders may turn out to be one target: all are summed.
@cache
def _move(table: PerformanceTable) -> TextClause:
    key = listed(table.primary_key)
    moved_key = key.replace("entity_id", "target_id")
    names = ", ".join(f"min({name})" for name in NAMES)
    sums = ", ".join(f"sum({metric})" for metric in METRICS)
    added = ", ".join(f"{m} = coalesce(p.{m} + excluded.{m}, p.{m}, excluded.{m})" for m in METRICS)
    return text(f"""
        WITH known AS (
            SELECT * FROM unnest(CAST(:placeholders AS text[]), CAST(:targets AS text[])) AS k(placeholder, target_id)),
        moved AS (
            DELETE FROM {table.name} p USING known
             WHERE p.account_id = :account_id AND p.country_code = :country_code AND NOT p.resolved
               AND p.entity_id = known.placeholder
            RETURNING p.*, known.target_id)
        INSERT INTO {table.name} AS p ({key}, {listed(NAMES)}, resolved, {listed(METRICS)}, request_id)
        SELECT {moved_key}, {names}, true, {sums}, max(request_id) FROM moved GROUP BY {moved_key}
        ON CONFLICT ({key}) DO UPDATE SET {added}""")


# Two rows may have become one, so both counts are taken anew, of the windows that had unresolved rows and of no others.
_COUNTED = " UNION ALL ".join(
    f"""SELECT p.resolved FROM {table.name} p
         WHERE p.account_id = old.account_id AND p.country_code = old.country_code AND p.dataset = old.dataset
           AND p.window_date = old.window_date"""
    for table in PERFORMANCE_TABLES.values()
)
_RECOUNT = text(f"""
    UPDATE report_windows w SET unresolved_count = n.unresolved, row_count = n.rows
      FROM report_windows old
     CROSS JOIN LATERAL (
           SELECT count(*) AS rows, count(*) FILTER (WHERE NOT resolved) AS unresolved FROM ({_COUNTED}) p) n
     WHERE old.account_id = :account_id AND old.country_code = :country_code AND old.unresolved_count > 0
       AND (w.account_id, w.country_code, w.dataset, w.window_date)
         = (old.account_id, old.country_code, old.dataset, old.window_date)""")


def move_resolved_rows(connection: Connection, account: Account, known: Sequence[tuple[str, str]]) -> int:
    """Give rows of all datasets to targets that are known now: pairs of placeholder and target id.

    Returns:
        How many rows of targets were written.
    """
    values = account.identity | {"placeholders": [k[0] for k in known], "targets": [k[1] for k in known]}
    moved = sum(connection.execute(_move(table), values).rowcount for table in PERFORMANCE_TABLES.values())
    connection.execute(_RECOUNT, account.identity)
    return moved
