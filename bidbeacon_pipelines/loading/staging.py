"""The stage: a report's checked rows, in temporary tables that are dropped at commit.

`report_rows` has the valid rows, with the columns of the dataset's table. Rows with the same key
are summed. `report_bad` has the invalid rows with their cause and raw text; `account` is null if
the country is unreadable.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from bidbeacon_pipelines.datasets.dataset_tables import columns_of
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.loading.acceptance import BadRows, ProductTally, WindowTally
from bidbeacon_pipelines.loading.rows import ESCAPES, BadRow, IgnoredAs, OtherRow, RowCheck
from bidbeacon_sessions.writes import json_text

WINDOWS: Final = (
    "unnest(CAST(:accounts AS int[]), CAST(:days AS date[])) AS w(account, window_date)"
)
_SETTINGS: Final = {"work_mem": "64MB", "default_statistics_target": "1"}
"""Settings of a load's transaction: memory to sort 100,000 rows, a small ANALYZE sample."""
_MOST_BAD_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 16
_DIALECT: Final = postgresql.dialect()


def listed(columns: Sequence[str], of: str = "") -> str:
    """Return columns as an SQL list, each with the table alias `of` if given."""
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{column}" for column in columns)


@cache
def key_of(dataset: Dataset) -> list[str]:
    """Return the columns of the primary key of a dataset's table."""
    return [column.name for column in columns_of(dataset) if column.primary_key]


def same_key(dataset: Dataset, left: str, right: str) -> str:
    """Return the SQL condition that rows of two table aliases have the same key."""
    return " AND ".join(f"{left}.{column} = {right}.{column}" for column in key_of(dataset))


def staged_columns(dataset: Dataset) -> list[str]:
    """Return the columns of a dataset's table that come from a report."""
    return [column.name for column in columns_of(dataset) if column.name != "request_id"]


@dataclass
class RowCounter:
    """Counts the rows of a report while they are read.

    Attributes:
        total: The number of all rows.
        bad: Invalid rows by account, day and fault. The account is None if the country is
            unreadable; the day is None if it is unreadable or has no requested window.
        others: Rows that are only counted and not stored, by reason.
    """

    total: int = 0
    bad: Counter[tuple[int | None, date | None, str]] = field(default_factory=Counter)
    others: Counter[OtherRow] = field(default_factory=Counter)

    def bad_rows(self, account: int | None) -> dict[date | None, BadRows]:
        """Return the numbers of an account's invalid rows by day and fault.

        If `account` is None, count the rows whose country is unreadable.
        """
        by_day: defaultdict[date | None, BadRows] = defaultdict(BadRows)
        for (of, day, fault), rows in sorted(self.bad.items(), key=lambda item: item[0][2]):
            if of == account:
                by_day[day][fault] += rows
        return dict(by_day)

    def other_products(self, account: int) -> dict[str, int]:
        """Return the number of an account's rows of each ad product that was not requested."""
        return {
            str(other.ad_product): rows
            for other, rows in self.others.items()
            if other.kind is IgnoredAs.AD_PRODUCT and other.account == account
        }

    def foreign(self, account: int) -> int:
        """Return the number of rows of other countries, and of days without a requested window."""
        kinds = OtherRow(IgnoredAs.COUNTRY), OtherRow(IgnoredAs.DAY, account)
        return sum(self.others[kind] for kind in kinds)


@dataclass(frozen=True)
class StageWriter:
    """Writes valid rows into the stage with `write`, and collects invalid rows in `file`."""

    write: Callable[[bytes], object]
    file: IO[bytes]

    def good(self, lines: Sequence[bytes]) -> None:
        """Stage valid rows, which are lines in the text format of COPY."""
        if lines:
            self.write(b"\n".join(lines) + b"\n")

    def bad(self, number: int, row: BadRow, raw: str) -> None:
        """Stage the invalid row with this number in the report; `raw` is its text in the file."""
        cells = (row.account, row.window_date, number, json_text(row.cause), raw)
        line = "\t".join("\\N" if cell is None else str(cell).translate(ESCAPES) for cell in cells)
        self.file.write(f"{line}\n".encode())


def stage_report(
    connection: Connection, dataset: Dataset, check: RowCheck, parts: Sequence[Path]
) -> RowCounter:
    """Read, check and stage all rows of a report.

    Raises:
        BrokenPartError: A downloaded file can't be read to its end.
    """
    counter = RowCounter()
    with open_stage(connection, dataset) as stage:
        for part in parts:
            _stage_part(part, check, stage, counter)
    gather_rows(connection, dataset)
    return counter


def _stage_part(part: Path, check: RowCheck, stage: StageWriter, counter: RowCounter) -> None:
    for batch in check.decoder.batches(part):
        checked = check.check_batch(batch.rows)
        good = [line for line in checked if isinstance(line, bytes)]
        stage.good(good)
        for place, row in enumerate(checked if len(good) < len(checked) else ()):
            if isinstance(row, BadRow):
                stage.bad(counter.total + place, row, batch.text_of(place))
                counter.bad[row.account, row.window_date, row.fault] += 1
            elif isinstance(row, OtherRow):
                counter.others[row] += 1
        counter.total += len(checked)


@contextmanager
def open_stage(connection: Connection, dataset: Dataset) -> Iterator[StageWriter]:
    """Create the stage's tables and yield a writer; all rows are stored when the block ends.

    Lines of valid rows have the columns that `staged_columns` returns.
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
    driver = connection.connection.driver_connection
    assert driver is not None, "an open connection has a driver connection"  # noqa: S101 - for mypy
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        yield copy.write


def _stage_table(dataset: Dataset) -> str:
    types = {column.name: column.type.compile(_DIALECT) for column in columns_of(dataset)}
    columns = ", ".join(f"{column} {types[column]}" for column in staged_columns(dataset))
    return f"CREATE TEMP TABLE report_rows ({columns}, read_rows bigint DEFAULT 1) ON COMMIT DROP"


_BAD_TABLE = text("""
    CREATE TEMP TABLE report_bad (
           account int, window_date date, row_number bigint, cause jsonb, raw text)
        ON COMMIT DROP""")


def gather_rows(connection: Connection, dataset: Dataset) -> None:
    """Replace staged rows that have the same key by their sum; null values add nothing."""
    connection.execute(text("ANALYZE report_rows (account, window_date)"))
    connection.execute(text("DROP TABLE IF EXISTS report_twins"))
    key = listed(key_of(dataset))
    twins = connection.execute(
        text(f"""CREATE TEMP TABLE report_twins ON COMMIT DROP AS
                 SELECT {key} FROM report_rows GROUP BY {key} HAVING count(*) > 1""")
    )
    if twins.rowcount:
        connection.execute(text(_sum(dataset)))


def _sum(dataset: Dataset) -> str:
    key, metrics = key_of(dataset), [metric.column for metric in dataset.metrics]
    others = [column for column in staged_columns(dataset) if column not in {*key, *metrics}]
    # The other columns are functions of the key, or names; bytea has no min() before PostgreSQL 18.
    names = ", ".join(f"(array_agg({column} ORDER BY {column}))[1]" for column in others)
    sums = ", ".join(f"sum({metric})" for metric in metrics)
    return f"""
        WITH gone AS (
            DELETE FROM report_rows r USING report_twins t
             WHERE {same_key(dataset, "r", "t")} RETURNING r.*)
        INSERT INTO report_rows ({listed(key)}, {listed(others)}, {listed(metrics)}, read_rows)
        SELECT {listed(key)}, {names}, {sums}, sum(read_rows)
          FROM gone
         GROUP BY {listed(key)}"""


def tally_windows(
    connection: Connection, dataset: Dataset, values: Mapping[str, Any]
) -> dict[tuple[int, date], WindowTally]:
    """Count and sum the staged rows of windows; return the results by account id and day.

    `values` has the bound parameters `accounts`, `days` and `ad_products`.
    """
    products: dict[tuple[int, date], dict[str, ProductTally]] = {
        window: {} for window in zip(values["accounts"], values["days"], strict=True)
    }
    rows = connection.execute(text(_tally(dataset)), values)
    for account, day, ad_product, *figures in rows:
        products[account, day][ad_product] = ProductTally(*figures)
    return {window: WindowTally(some) for window, some in products.items()}


def _tally(dataset: Dataset) -> str:
    unresolved, names = "0", ""
    if dataset.names_targets:
        unresolved = "count(r.target_match) - count(n.target_id)"
        names = """LEFT JOIN target_names n ON n.account = r.account
                         AND n.ad_group_id = r.ad_group_id AND n.match_digest = r.target_match"""
    spend, sales = (
        f"sum({name}) FILTER (WHERE r.currency_code = a.currency_code)"
        if name in dataset.columns
        else "CAST(0 AS numeric)"
        for name in ("spend", "sales")
    )
    return f"""
        SELECT w.account, w.window_date, p.ad_product, coalesce(o.rows, 0), coalesce(r.rows, 0),
               coalesce(r.read_rows, 0), coalesce(r.unresolved, 0), coalesce(r.spend, 0),
               coalesce(r.sales, 0)
          FROM {WINDOWS}
         CROSS JOIN unnest(CAST(:ad_products AS text[])) AS p(ad_product)
          LEFT JOIN (SELECT o.account, o.window_date, o.ad_product, count(*) AS rows
                       FROM {dataset.name} o JOIN {WINDOWS} USING (account, window_date)
                      GROUP BY 1, 2, 3) o USING (account, window_date, ad_product)
          LEFT JOIN (SELECT r.account, r.window_date, r.ad_product, count(*) AS rows,
                            CAST(sum(r.read_rows) AS bigint) AS read_rows,
                            {unresolved} AS unresolved, {spend} AS spend, {sales} AS sales
                       FROM report_rows r JOIN advertiser_accounts a ON a.id = r.account {names}
                      GROUP BY 1, 2, 3) r USING (account, window_date, ad_product)
         ORDER BY 1, 2, 3"""


def digest_window(
    connection: Connection, dataset: Dataset, account: int, day: date, ad_products: Sequence[str]
) -> str:
    """Return a digest of a window's staged rows of the given ad products (keys and metrics)."""
    # An instant as text depends on the connection's time zone; seconds since the epoch do not.
    key = [column for column in key_of(dataset) if column not in {"account", "window_date"}]
    compared = listed([*key, *(metric.column for metric in dataset.metrics)]).replace(
        "hour_at", "extract(epoch FROM hour_at)"
    )
    statement = text(f"""
        SELECT md5(coalesce(string_agg(ROW({compared})::text, E'\\n' ORDER BY {listed(key)}), ''))
          FROM report_rows
         WHERE account = :account AND window_date = :day AND ad_product = ANY(:ad_products)""")
    values = {"account": account, "day": day, "ad_products": list(ad_products)}
    return str(connection.execute(statement, values).scalar_one())


def delete_rows_of_other_windows(connection: Connection, values: Mapping[str, Any]) -> None:
    """Delete the staged rows of windows that are not in `accounts` and `days` of `values`."""
    connection.execute(
        text(f"""
            DELETE FROM report_rows r
             WHERE NOT EXISTS (
                   SELECT FROM {WINDOWS}
                    WHERE w.account = r.account AND w.window_date = r.window_date)"""),
        values,
    )
