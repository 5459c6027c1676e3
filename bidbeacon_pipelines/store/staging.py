"""SQL of the stage: a report's rows come by COPY into temporary tables that end with the transaction.

`report_rows` has the good rows, as they will stand in the dataset's table; `report_bad` the others, with their reason and their text as it
came, `account` null where their country can't be read. Rows of one key are summed there. The statements follow from the dataset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.store.dataset_tables import columns_of
from bidbeacon_sessions.progress import note_progress

MOST: Final = {"count": Decimal(2**63 - 1), "amount": Decimal("99999999999999.999999")}
"""What bigint and numeric(20, 6) hold."""
WINDOWS: Final = "unnest(CAST(:accounts AS int[]), CAST(:days AS date[])) AS w(account, window_date)"
_WORK_MEMORY: Final = "64MB"
"""Of the load's transaction: 100,000 rows are sorted and compared in it."""
_NULL: Final = "\\N"
_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def listed(columns: Sequence[str], of: str = "") -> str:
    """Return columns as SQL lists them, each of an alias where one is given."""
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{column}" for column in columns)


def key_of(dataset: Dataset) -> list[str]:
    """Return the primary key of a dataset's table."""
    return [column.name for column in columns_of(dataset) if column.primary_key]


def same_key(dataset: Dataset, one: str, other: str) -> str:
    """Return the condition that two rows of a dataset have the same key."""
    return " AND ".join(f"{one}.{column} = {other}.{column}" for column in key_of(dataset))


def staged_columns(dataset: Dataset) -> list[str]:
    """Return the columns that a stage has in common with the dataset's table: all that a report tells."""
    derived = {"target_id", "request_id"}
    return [column.name for column in columns_of(dataset) if column.name not in derived]


class StageWriter:
    """Writes rows into the stage.

    Args:
        write: Takes lines of COPY.
        columns: How many columns the lines of good rows have.
    """

    def __init__(self, write: Callable[[bytes], object], columns: int) -> None:
        self._write = write
        self._nothing = "\t".join([_NULL] * (columns - 2))

    def good(self, lines: Sequence[str]) -> None:
        """Stage good rows: the lines of their columns, with the row's number behind."""
        self._write("".join([f"{line}\t{_NULL}\t{_NULL}\n" for line in lines]).encode())

    def bad(self, number: int, account: int | None, day: date | None, reason: str, raw: str) -> None:
        """Stage a row that can't be understood; `raw` is its text as it came."""
        told = [_text(account), _text(day), self._nothing, str(number), _text(reason), _text(raw)]
        self._write(("\t".join(told) + "\n").encode())


def _text(value: object) -> str:
    return _NULL if value is None else str(value).translate(_ESCAPES)


@contextmanager
def open_stage(connection: Connection, dataset: Dataset, columns: Sequence[str]) -> Iterator[StageWriter]:
    """Make the stage of a report and yield what fills it; its rows are there when the block ends.

    Args:
        connection: the load's transaction.
        dataset: what its rows are.
        columns: the columns of the lines of good rows: account and day first.
    """
    connection.execute(text(f"SET LOCAL work_mem = '{_WORK_MEMORY}'"))
    connection.execute(text("DROP TABLE IF EXISTS report_rows, report_bad"))
    connection.execute(text(_stage_table(dataset, columns)))
    driver = connection.connection.driver_connection
    assert driver is not None, "an open SQLAlchemy connection has a driver's"  # noqa: S101 - for the type checker
    statement = f"COPY report_rows ({listed([*columns, 'row_number', 'reason', 'raw'])}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:

        def write(lines: bytes) -> None:
            copy.write(lines)
            note_progress()

        yield StageWriter(write, len(columns))
    connection.execute(_BAD)


def _stage_table(dataset: Dataset, columns: Sequence[str]) -> str:
    types = {column.name: column.type.compile(_DIALECT) for column in columns_of(dataset)}
    told = ", ".join(f"{column} {types[column]}" for column in columns)
    return f"""CREATE TEMP TABLE report_rows ({told}, row_number bigint, reason text, raw text, read_rows bigint DEFAULT 1)
               ON COMMIT DROP"""


_BAD = text("""
    CREATE TEMP TABLE report_bad ON COMMIT DROP AS
    SELECT account, window_date, row_number, reason, raw FROM report_rows WHERE reason IS NOT NULL""")


@dataclass(frozen=True)
class OverfullRow:
    """A row of a key whose rows add up to more than a column holds: `reason` names the metrics."""

    row_number: int
    account: int
    window_date: date
    reason: str


def gather_rows(connection: Connection, dataset: Dataset) -> list[OverfullRow]:
    """Take the bad rows from among the good ones, and sum the rows of one key; null means "no value" and adds nothing.

    Returns:
        The rows whose sum is more than a column holds, none of which is on the stage any more.
    """
    connection.execute(text("DELETE FROM report_rows WHERE reason IS NOT NULL"))
    connection.execute(text("ANALYZE report_rows (account, window_date)"))
    connection.execute(text("DROP TABLE IF EXISTS report_twins"))
    key = listed(key_of(dataset))
    connection.execute(
        text(f"""CREATE TEMP TABLE report_twins ON COMMIT DROP AS
                 SELECT {key} FROM report_rows GROUP BY {key} HAVING count(*) > 1""")
    )
    if not connection.execute(text("SELECT EXISTS (SELECT FROM report_twins)")).scalar_one():
        return []
    overfull = _take_overfull_rows(connection, dataset)
    connection.execute(text(_sum(dataset)))
    return overfull


def _take_overfull_rows(connection: Connection, dataset: Dataset) -> list[OverfullRow]:
    sums = ", ".join(f"sum({one.column}) AS {one.column}" for one in dataset.metrics)
    too_much = " OR ".join(f"sum({one.column}) > {MOST[one.kind]}" for one in dataset.metrics)
    key = listed(key_of(dataset))
    rows = connection.execute(
        text(f"""
            WITH overfull AS (
                SELECT {key}, {sums} FROM report_rows JOIN report_twins USING ({key}) GROUP BY {key} HAVING {too_much})
            DELETE FROM report_rows r USING overfull o WHERE {same_key(dataset, "r", "o")} AND r.row_number IS NOT NULL
            RETURNING r.row_number, r.account, r.window_date, {listed([one.column for one in dataset.metrics], "o")}""")
    )
    return [
        OverfullRow(row["row_number"], row["account"], row["window_date"], _reason(dataset, row))
        for row in rows.mappings()
    ]


def _reason(dataset: Dataset, sums: Mapping[Any, Any]) -> str:
    return "; ".join(
        f"{one.field}: expected rows of one key to add up to {MOST[one.kind]} at most, got: {sums[one.column]}"
        for one in dataset.metrics
        if (sums[one.column] or 0) > MOST[one.kind]
    )


def _sum(dataset: Dataset) -> str:
    """Return the statement that puts one row in the place of those of a key."""
    key, metrics = key_of(dataset), [one.column for one in dataset.metrics]
    others = [column for column in staged_columns(dataset) if column not in {*key, *metrics}]
    # All others are of the key, or names of it; bytea has no min() before PostgreSQL 18.
    names = ", ".join(f"(array_agg({column} ORDER BY {column}))[1]" for column in others)
    kinds = {one.column: "bigint" if one.kind == "count" else "numeric(20, 6)" for one in dataset.metrics}
    sums = ", ".join(f"CAST(sum({column}) AS {kind})" for column, kind in kinds.items())
    return f"""
        WITH gone AS (DELETE FROM report_rows r USING report_twins t WHERE {same_key(dataset, "r", "t")} RETURNING r.*)
        INSERT INTO report_rows ({listed(key)}, {listed(others)}, {listed(metrics)}, read_rows)
        SELECT {listed(key)}, {names}, {sums}, sum(read_rows) FROM gone GROUP BY {listed(key)}"""


def set_aside(connection: Connection, rows: Sequence[OverfullRow], raw: Mapping[int, str]) -> None:
    """Add rows to the bad ones, with their text as it came by their number."""
    for row in rows:
        connection.execute(
            text("INSERT INTO report_bad VALUES (:account, :day, :number, :reason, :raw)"),
            {
                "account": row.account,
                "day": row.window_date,
                "number": row.row_number,
                "reason": row.reason,
                "raw": raw[row.row_number],
            },
        )


# A reason names each field at fault, what was expected and what came: its first fault without the value is the cause.
_BAD_CAUSES = text("""
    SELECT account, window_date, cause, rows, CAST(sum(rows) OVER (PARTITION BY account, window_date) AS bigint) AS all_rows
      FROM (SELECT account, window_date, split_part(split_part(reason, '; ', 1), ', got: ', 1) AS cause, count(*) AS rows
              FROM report_bad GROUP BY 1, 2, 3) causes
     ORDER BY account, window_date, rows DESC, cause""")


@dataclass(frozen=True)
class BadCause:
    """How many bad rows of a day of an account have a cause; `all_rows` are all bad rows of it.

    `account` is None for rows whose country can't be read, `window_date` for those whose day can't.
    """

    account: int | None
    window_date: date | None
    cause: str
    rows: int
    all_rows: int


def list_bad_causes(connection: Connection) -> list[BadCause]:
    """Return what is wrong with bad rows; the most frequent cause of a day comes first."""
    return [BadCause(**row) for row in connection.execute(_BAD_CAUSES).mappings()]


@dataclass(frozen=True)
class WindowTally:
    """How many rows a report has for a window: `read_rows` before those of one key are summed, `new_rows` afterwards, in place of `old_rows`."""

    old_rows: int
    new_rows: int
    read_rows: int


def tally_windows(
    connection: Connection, dataset: Dataset, values: Mapping[str, Any]
) -> dict[tuple[int, date], WindowTally]:
    """Count, for each of some windows, what the stage has and what the table holds of the report's ad products.

    Args:
        connection: the load's transaction.
        dataset: what is staged.
        values: bound values: `accounts` and `days` of the windows, and the `ad_products` of the report.
    """
    rows = connection.execute(
        text(f"""
            SELECT w.account, w.window_date, coalesce(o.rows, 0), coalesce(r.rows, 0), coalesce(r.read_rows, 0)
              FROM {WINDOWS}
              LEFT JOIN (SELECT o.account, o.window_date, count(*) AS rows FROM {dataset.table} o JOIN {WINDOWS} USING (account, window_date)
                          WHERE o.ad_product = ANY(:ad_products) GROUP BY 1, 2) o USING (account, window_date)
              LEFT JOIN (SELECT account, window_date, count(*) AS rows, CAST(sum(read_rows) AS bigint) AS read_rows
                           FROM report_rows GROUP BY 1, 2) r USING (account, window_date)"""),
        values,
    )
    return {(account, day): WindowTally(*counts) for account, day, *counts in rows}


def digest_window(connection: Connection, dataset: Dataset, account: int, day: date) -> str:
    """Return a digest of the staged rows of a window: equal digests mean the same keys and metrics, whatever the names are by now."""
    # An instant as text depends on the connection's time zone, as a count of seconds it doesn't.
    key = [column for column in key_of(dataset) if column not in {"account", "window_date"}]
    told = listed([*key, *(one.column for one in dataset.metrics)]).replace(
        "hour_at", "extract(epoch FROM hour_at)"
    )
    statement = text(f"""
        SELECT md5(coalesce(string_agg(ROW({told})::text, E'\\n' ORDER BY {listed(key)}), ''))
          FROM report_rows WHERE account = :account AND window_date = :day""")
    return str(connection.execute(statement, {"account": account, "day": day}).scalar_one())
