"""SQL of the stage: a report's rows come by COPY into temporary tables that end with the transaction.

`report_rows` has the valid rows, with the columns of the dataset's table; `report_bad` the invalid
ones, with their cause and raw text, `account` null if their country can't be read. Rows of one key
are summed there. The statements follow from the dataset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from functools import cache
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from bidbeacon_pipelines.causes import Cause, invalid_fields
from bidbeacon_pipelines.datasets.dataset_tables import columns_of
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.loading.acceptance import LOST_ROWS_DIVISOR, LostProduct
from bidbeacon_sessions.progress import note_progress
from bidbeacon_sessions.writes import json_text

MOST: Final = {"count": Decimal(2**63 - 1), "amount": Decimal("99999999999999.999999")}
"""The largest values of bigint and numeric(20, 6)."""
WINDOWS: Final = (
    "unnest(CAST(:accounts AS int[]), CAST(:days AS date[])) AS w(account, window_date)"
)
_SETTINGS: Final = {"work_mem": "64MB", "default_statistics_target": "10"}
"""Of the load's transaction: 100,000 rows are sorted and compared in this memory, and few of them are enough to know how many there are."""
_MOST_BAD_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 16
_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]


def listed(columns: Sequence[str], of: str = "") -> str:
    """Return columns as SQL lists them, each of an alias where one is given."""
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{column}" for column in columns)


@cache
def key_of(dataset: Dataset) -> list[str]:
    """Return the primary key of a dataset's table."""
    return [column.name for column in columns_of(dataset) if column.primary_key]


def same_key(dataset: Dataset, left: str, right: str) -> str:
    """Return the condition that two rows of a dataset have the same key."""
    return " AND ".join(f"{left}.{column} = {right}.{column}" for column in key_of(dataset))


def staged_columns(dataset: Dataset) -> list[str]:
    """Return the columns that a stage shares with the dataset's table: all that come from a report."""
    derived = {"target_id", "request_id"}
    return [column.name for column in columns_of(dataset) if column.name not in derived]


class StageWriter:
    """Writes rows into the stage: valid ones as they come, invalid ones at the end.

    Args:
        write: Takes lines of COPY.
        bad: Keeps lines of bad rows.
    """

    def __init__(self, write: Callable[[bytes], object], bad: IO[bytes]) -> None:
        self._write = write
        self._bad = bad

    def good(self, lines: Sequence[bytes]) -> None:
        """Stage good rows: the lines of their columns."""
        if lines:
            self._write(b"\n".join(lines) + b"\n")

    def bad(
        self, number: int, account: int | None, day: date | None, cause: Cause, raw: str
    ) -> None:
        """Stage an invalid row; `raw` is its text as it came."""
        cells = (account, day, number, json_text(cause), raw)
        self._bad.write(("\t".join(map(_text, cells)) + "\n").encode())


def _text(value: object) -> str:
    """Return a value as COPY reads it in a line."""
    if value is None:
        return "\\N"
    text = str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@contextmanager
def open_stage(connection: Connection, dataset: Dataset) -> Iterator[StageWriter]:
    """Create the stage of a report and yield its writer; the rows are stored when the block ends.

    Args:
        connection: the load's transaction.
        dataset: what its rows are; lines of good rows have its `staged_columns`.
    """
    for setting, value in _SETTINGS.items():
        connection.execute(text(f"SET LOCAL {setting} = '{value}'"))
    connection.execute(text("DROP TABLE IF EXISTS report_rows, report_bad, report_changes"))
    connection.execute(text(_stage_table(dataset)))
    connection.execute(_BAD_TABLE)
    with SpooledTemporaryFile(max_size=_MOST_BAD_BYTES) as bad:
        with _copy_into(connection, f"report_rows ({listed(staged_columns(dataset))})") as write:
            yield StageWriter(write, bad)
        bad.seek(0)
        with _copy_into(connection, "report_bad") as write:
            while chunk := bad.read(_CHUNK_BYTES):
                write(chunk)


@contextmanager
def _copy_into(connection: Connection, target: str) -> Iterator[Callable[[bytes], object]]:
    """Yield the function that copies lines into a table; they are stored when the block ends."""
    driver = connection.connection.driver_connection
    assert driver is not None, "an open SQLAlchemy connection has a driver's"  # noqa: S101 - for the type checker
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:

        def write(lines: bytes) -> None:
            copy.write(lines)
            note_progress()

        yield write


def _stage_table(dataset: Dataset) -> str:
    types = {column.name: column.type.compile(_DIALECT) for column in columns_of(dataset)}
    columns = ", ".join(f"{column} {types[column]}" for column in staged_columns(dataset))
    return f"CREATE TEMP TABLE report_rows ({columns}, read_rows bigint DEFAULT 1) ON COMMIT DROP"


_BAD_TABLE = text("""
    CREATE TEMP TABLE report_bad (account int, window_date date, row_number bigint, cause jsonb, raw text) ON COMMIT DROP""")


@dataclass(frozen=True)
class OverfullKey:
    """A key whose sum exceeds a column's range; `cause` names the metrics.

    Attributes:
        head: What the lines of its rows begin with.
        account: Its account.
        window_date: Its day.
    """

    head: bytes
    account: int
    window_date: date
    cause: Cause


def head_of(dataset: Dataset, line: bytes) -> bytes:
    """Return the part of a line that identifies its row."""
    columns = len(key_of(dataset))
    return b"\t".join(line.split(b"\t", columns)[:columns])


def gather_rows(connection: Connection, dataset: Dataset) -> list[OverfullKey]:
    """Sum the rows of one key; null means "no value" and adds nothing.

    Returns:
        The keys whose sum exceeds a column's range; their rows are removed from the stage.
    """
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


def _take_overfull_rows(connection: Connection, dataset: Dataset) -> list[OverfullKey]:
    sums = ", ".join(f"sum({metric.column}) AS {metric.column}" for metric in dataset.metrics)
    too_much = " OR ".join(
        f"sum({metric.column}) > {MOST[metric.kind]}" for metric in dataset.metrics
    )
    key = listed(key_of(dataset))
    rows = connection.execute(
        text(f"""
            WITH overfull AS (
                SELECT {key}, {sums} FROM report_rows JOIN report_twins USING ({key}) GROUP BY {key} HAVING {too_much}),
            taken AS (DELETE FROM report_rows r USING overfull o WHERE {same_key(dataset, "r", "o")} AND r.read_rows > 0)
            SELECT * FROM overfull""")
    )
    return [
        OverfullKey(
            _head(dataset, row), row["account"], row["window_date"], _too_much(dataset, row)
        )
        for row in rows.mappings()
    ]


def _head(dataset: Dataset, row: Mapping[Any, Any]) -> bytes:
    """Return what the lines of a key's rows begin with."""
    hour = [row["hour_at"].astimezone(UTC).isoformat()] if dataset.is_hourly else []
    key = f"\\\\x{row['row_key'].hex()}"
    return "\t".join([str(row["account"]), str(row["window_date"]), *hour, key]).encode()


def _too_much(dataset: Dataset, sums: Mapping[Any, Any]) -> Cause:
    return invalid_fields(
        [
            {
                "field": metric.field,
                "expected": f"rows of one key to add up to {MOST[metric.kind]} at most",
                "got": str(sums[metric.column]),
            }
            for metric in dataset.metrics
            if (sums[metric.column] or 0) > MOST[metric.kind]
        ]
    )


def _sum(dataset: Dataset) -> str:
    """Return the statement that replaces the rows of a key by one."""
    key, metrics = key_of(dataset), [metric.column for metric in dataset.metrics]
    others = [column for column in staged_columns(dataset) if column not in {*key, *metrics}]
    # All others are of the key, or names of it; bytea has no min() before PostgreSQL 18.
    names = ", ".join(f"(array_agg({column} ORDER BY {column}))[1]" for column in others)
    kinds = {
        metric.column: "bigint" if metric.kind == "count" else "numeric(20, 6)"
        for metric in dataset.metrics
    }
    sums = ", ".join(f"CAST(sum({column}) AS {kind})" for column, kind in kinds.items())
    return f"""
        WITH gone AS (DELETE FROM report_rows r USING report_twins t WHERE {same_key(dataset, "r", "t")} RETURNING r.*)
        INSERT INTO report_rows ({listed(key)}, {listed(others)}, {listed(metrics)}, read_rows)
        SELECT {listed(key)}, {names}, {sums}, sum(read_rows) FROM gone GROUP BY {listed(key)}"""


def set_aside(connection: Connection, key: OverfullKey, row_number: int, raw: str) -> None:
    """Add a row of an overfull key to the invalid rows; `raw` is its text as it came."""
    connection.execute(
        text(
            "INSERT INTO report_bad VALUES (:account, :day, :number, CAST(:cause AS jsonb), :raw)"
        ),
        {
            "account": key.account,
            "day": key.window_date,
            "number": row_number,
            "cause": json_text(key.cause),
            "raw": raw,
        },
    )


# A row counts for its first field at fault.
_FAULTS = text("""
    SELECT account, window_date, count(*) AS rows,
           (cause ->> 'field') || coalesce(': expected ' || (cause #>> '{detail, faults, 0, expected}'), ': missing') AS fault
      FROM report_bad GROUP BY account, window_date, fault""")


@dataclass(frozen=True)
class FaultyRows:
    """The number of bad rows with one fault on one day of an account.

    `account` is None for rows whose country can't be read, `window_date` for those whose day can't.
    """

    account: int | None
    window_date: date | None
    fault: str
    rows: int


def list_faults(connection: Connection) -> list[FaultyRows]:
    """Return what is wrong with bad rows, with how many rows each fault has."""
    return [FaultyRows(**row) for row in connection.execute(_FAULTS).mappings()]


@dataclass
class WindowTally:
    """The row counts of a report for a window: `read_rows` before rows of one key are summed, `new_rows` afterwards, in place of `old_rows`.

    `lost` are the ad products of which nearly all rows are gone.
    """

    old_rows: int = 0
    new_rows: int = 0
    read_rows: int = 0
    lost: list[LostProduct] = field(default_factory=list)


def tally_windows(
    connection: Connection, dataset: Dataset, values: Mapping[str, Any]
) -> dict[tuple[int, date], WindowTally]:
    """Count, for each of some windows, what the stage has and what the table holds of the report's ad products.

    Args:
        connection: the load's transaction.
        dataset: what is staged.
        values: bound values: `accounts` and `days` of the windows, and the `ad_products` of the
            report.
    """
    counts = connection.execute(
        text(f"""
            SELECT account, window_date, ad_product, coalesce(o.rows, 0), coalesce(r.rows, 0), coalesce(r.read_rows, 0)
              FROM (SELECT o.account, o.window_date, o.ad_product, count(*) AS rows
                      FROM {dataset.table} o JOIN {WINDOWS} USING (account, window_date)
                     WHERE o.ad_product = ANY(:ad_products) GROUP BY 1, 2, 3) o
              FULL JOIN (SELECT account, window_date, ad_product, count(*) AS rows, CAST(sum(read_rows) AS bigint) AS read_rows
                           FROM report_rows GROUP BY 1, 2, 3) r USING (account, window_date, ad_product)
             ORDER BY ad_product"""),
        values,
    )
    tallies = {
        window: WindowTally() for window in zip(values["accounts"], values["days"], strict=True)
    }
    for account, day, product, old_rows, new_rows, read_rows in counts:
        tally = tallies[account, day]
        tally.old_rows += old_rows
        tally.new_rows += new_rows
        tally.read_rows += read_rows
        if new_rows * LOST_ROWS_DIVISOR < old_rows:
            tally.lost.append(LostProduct(product, old_rows, new_rows))
    return tallies


def digest_window(
    connection: Connection, dataset: Dataset, account: int, day: date, ad_products: Sequence[str]
) -> str:
    """Return a digest of the staged rows of some ad products of a window: equal digests mean the same keys and metrics, whatever the names are by now."""
    # An instant as text depends on the connection's time zone, as a count of seconds it doesn't.
    key = [column for column in key_of(dataset) if column not in {"account", "window_date"}]
    compared = listed([*key, *(metric.column for metric in dataset.metrics)]).replace(
        "hour_at", "extract(epoch FROM hour_at)"
    )
    statement = text(f"""
        SELECT md5(coalesce(string_agg(ROW({compared})::text, E'\\n' ORDER BY {listed(key)}), ''))
          FROM report_rows WHERE account = :account AND window_date = :day AND ad_product = ANY(:ad_products)""")
    values = {"account": account, "day": day, "ad_products": list(ad_products)}
    return str(connection.execute(statement, values).scalar_one())
