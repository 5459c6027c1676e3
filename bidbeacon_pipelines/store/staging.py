"""SQL and lines of text that bring a report's rows into the database: COPY into `report_staged`, a temporary table.

It has lines of three kinds. A subject says under a number what rows are of, beside their time: ad, entity, currency and names; a
report repeats these in every row, and they are sent once. A row names its subject and has day, hour and metrics. A bad row has its
place in the report, its reason and its text as it came. `gather_rows` makes the tables of it that a load works with, which end with
the transaction as well.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple, Protocol

from sqlalchemy import Connection, TextClause, text

from bidbeacon_pipelines.store.performance_tables import (
    METRICS,
    NAMES,
    PerformanceTable,
    listed,
)
from bidbeacon_sessions.progress import note_progress

NULL: Final = b"\\N"
_SETTINGS: Final = {"work_mem": "64MB", "enable_mergejoin": "off", "jit": "off"}
"""Of the load's transaction. 100,000 rows are sorted and compared in this memory. And a merge join would sort rows that are hashed in a
tenth of the time, or that are in order already: without statistics of new tables the planner takes to it where rows are many.
"""


class Subject(NamedTuple):
    """What rows are of, beside their time."""

    ad_id: str
    entity_id: str
    entity_detail: str
    currency_code: str
    campaign_id: str
    campaign_name: str | None
    ad_group_id: str
    ad_group_name: str | None
    target_value: str | None
    match_type: str | None
    resolved: bool


class RowKey(NamedTuple):
    """What tells the rows of one dataset of one account apart; `hour_at` is None where they are of whole days."""

    window_date: date
    hour_at: datetime | None
    ad_id: str
    entity_id: str
    entity_detail: str
    currency_code: str


class OverfullKeysError(Exception):
    """Rows of one key add up to more than their columns hold; such rows belong aside, and the others are to be staged without them.

    Attributes:
        keys: All keys of the report of which this is true, each with the metrics that are too much, and their sums.
    """

    def __init__(self, keys: Mapping[RowKey, Mapping[str, Decimal]]) -> None:
        super().__init__(f"{len(keys)} keys have rows that add up to more than a column holds")
        self.keys = keys


_STAGED = text("""
    CREATE TEMP TABLE report_staged (
        window_date date, hour_at timestamptz, subject bigint, impressions bigint, clicks bigint, orders bigint,
        sales numeric(20, 6), spend numeric(20, 6), row_number bigint, reason text, raw text,
        ad_id text COLLATE "C", entity_id text COLLATE "C", entity_detail text COLLATE "C", currency_code text,
        campaign_id text COLLATE "C", campaign_name text, ad_group_id text COLLATE "C", ad_group_name text,
        target_value text, match_type text, resolved boolean
    ) ON COMMIT DROP""")
_OF_BAD: Final = 3
_NULLS_OF_SUBJECT: Final = [NULL] * len(Subject._fields)
_ROW_END: Final = b"\t".join([b"", *[NULL] * _OF_BAD, *_NULLS_OF_SUBJECT]) + b"\n"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED: Final = re.compile(r"[\\\t\n\r]")


def field_text(value: str | Decimal | date | int | None) -> bytes:
    """Give a value as COPY takes it."""
    if value is None:
        return NULL
    return (value.translate(_ESCAPES) if isinstance(value, str) else str(value)).encode()


def subject_text(subject: Subject) -> bytes:
    """Give the columns of a subject as COPY takes them; nearly all texts are taken as they are, so they are looked through at once."""
    *texts, resolved = subject
    if _ESCAPED.search("".join(filter(None, texts))):
        return b"\t".join(map(field_text, subject))
    return "\t".join(["\\N" if text is None else text for text in [*texts, str(resolved)]]).encode()


class RowSink(Protocol):
    """Takes a report's rows on their way to the database."""

    def subject(self, subject: Subject) -> bytes:
        """Give the text by which lines of rows name their subject; asked once for each, as a rule."""

    def time(self, day: date, hour_at: datetime | None) -> bytes:
        """Give the text by which they tell when they are of."""

    def rows(self, lines: list[bytes]) -> None:
        """Take rows: time, subject and the metrics in the order of `METRICS`, with tabs between them."""

    def bad(self, row_number: int, day: date | None, reason: str, raw: str) -> None:
        """Take a row that can't be understood; `raw` is its text as it came."""


class StagedRows:
    """The sink that writes into `report_staged`; each subject goes there once, under a number."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._subjects = 0

    def subject(self, subject: Subject) -> bytes:
        """Stage it, and give its number."""
        self._subjects += 1
        number = b"%d" % self._subjects
        nothing = [NULL] * (len(METRICS) + _OF_BAD)
        self._write(b"\t".join([NULL, NULL, number, *nothing, subject_text(subject)]) + b"\n")
        return number

    def time(self, day: date, hour_at: datetime | None) -> bytes:
        """Give day and instant."""
        return b"%b\t%b" % (field_text(day), field_text(hour_at))

    def rows(self, lines: list[bytes]) -> None:
        """Stage rows."""
        self._write(b"".join([line + _ROW_END for line in lines]))

    def bad(self, row_number: int, day: date | None, reason: str, raw: str) -> None:
        """Stage one."""
        self._write(bad_line(row_number, day, reason, raw))


def bad_line(row_number: int, day: date | None, reason: str, raw: str) -> bytes:
    """Give the line of a row that can't be understood."""
    told = [field_text(row_number), field_text(reason), field_text(raw)]
    nothing = [NULL] * (2 + len(METRICS))
    return b"\t".join([field_text(day), *nothing, *told, *_NULLS_OF_SUBJECT]) + b"\n"


@contextmanager
def copy_into(connection: Connection, target: str) -> Iterator[Callable[[bytes], object]]:
    """Give the function that copies lines into a table, named with its columns; they are there when the block ends."""
    driver = connection.connection.driver_connection
    assert driver is not None, "an open SQLAlchemy connection has a driver's"  # noqa: S101 - for the type checker
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:

        def write(lines: bytes) -> None:
            copy.write(lines)
            note_progress()

        yield write


@contextmanager
def open_stage(connection: Connection) -> Iterator[StagedRows]:
    """Make `report_staged`, and give the sink that fills it."""
    for setting, value in _SETTINGS.items():
        connection.execute(text(f"SET LOCAL {setting} = '{value}'"))
    connection.execute(_STAGED)
    with copy_into(connection, "report_staged") as write:
        yield StagedRows(write)


def stage_bad_rows(connection: Connection, lines: bytes) -> None:
    """Make `report_bad` of lines of `bad_line`, and nothing else."""
    connection.execute(_STAGED)
    with copy_into(connection, "report_staged") as write:
        write(lines)
    connection.execute(_BAD)


_BAD = text("""
    CREATE TEMP TABLE report_bad ON COMMIT DROP AS
    SELECT row_number, window_date, reason, raw FROM report_staged WHERE reason IS NOT NULL""")
_GATHER = (
    # Two subjects may have one key: a target named in two ways, a campaign with two names. `place` is the key's.
    f"""CREATE TEMP TABLE report_subjects ON COMMIT DROP AS
        SELECT subject, {listed(Subject._fields)},
               dense_rank() OVER (ORDER BY ad_id, entity_id, entity_detail, currency_code) AS place
          FROM report_staged WHERE ad_id IS NOT NULL""",
    "ANALYZE report_subjects (subject, place)",
)
# Lines of subjects have no day, and bad rows no subject. (A planner without statistics takes nearly nothing to be null.)
_ROWS = "report_staged r JOIN report_subjects s ON s.subject = r.subject WHERE r.window_date IS NOT NULL"
# Where each subject has a key of its own, nothing has to be known of subjects to find two rows with one key.
_SHARED_KEYS = text("SELECT EXISTS (SELECT FROM report_subjects GROUP BY place HAVING count(*) > 1)")
_TWINS = text("""
    SELECT EXISTS (SELECT FROM report_staged WHERE window_date IS NOT NULL AND subject IS NOT NULL
                    GROUP BY window_date, hour_at, subject HAVING count(*) > 1)""")
_TWINS_BY_KEY = text(
    f"SELECT EXISTS (SELECT FROM {_ROWS} GROUP BY r.window_date, r.hour_at, s.place HAVING count(*) > 1)"
)


def _fresh_key(table: PerformanceTable) -> str:
    return ", ".join(f"{'r' if column in _TIME else 's'}.{column}" for column in table.key)


_MOST_COUNT, _MOST_AMOUNT = Decimal(2**63 - 1), Decimal("99999999999999.999999")
MOST: Final = dict.fromkeys(METRICS[:3], _MOST_COUNT) | dict.fromkeys(METRICS[3:], _MOST_AMOUNT)
"""What bigint and numeric(20, 6) hold."""
_OVERFULL: Final = " OR ".join(f"sum(r.{name}) > {most}" for name, most in MOST.items())


@cache
def _overfull_keys(table: PerformanceTable) -> TextClause:
    key = [
        column if column in table.key else f"CAST(NULL AS timestamptz) AS {column}"
        for column in RowKey._fields
    ]
    sums = ", ".join(f"sum(r.{name}) AS {name}" for name in METRICS)
    return text(f"""
        SELECT {listed([*key, *METRICS])}
          FROM (SELECT {_fresh_key(table)}, {sums} FROM {_ROWS} GROUP BY {_fresh_key(table)} HAVING {_OVERFULL}) k""")


def _find_overfull_keys(connection: Connection, table: PerformanceTable) -> dict[RowKey, dict[str, Decimal]]:
    found = {}
    for row in connection.execute(_overfull_keys(table)).mappings():
        key = RowKey(*(row[column] for column in RowKey._fields))
        found[key] = {name: row[name] for name, most in MOST.items() if (row[name] or 0) > most}
    return found


_TIME = frozenset({"window_date", "hour_at"})


def _facts(table: PerformanceTable) -> str:
    return f"{_fresh_key(table)}, {listed(NAMES, 's')}, s.resolved, {listed(METRICS, 'r')}"


@cache
def _fresh(table: PerformanceTable) -> TextClause:
    return text(f"CREATE TEMP VIEW report_fresh AS SELECT {_facts(table)}, 1 AS read_rows FROM {_ROWS}")


# Rows are put in order before they get their subjects' texts: a million of them take a third of the room so.
@cache
def _ordered(table: PerformanceTable) -> TextClause:
    return text(f"""
        CREATE TEMP VIEW report_ordered AS
        SELECT {_facts(table)}
          FROM (SELECT r.* FROM (SELECT r.subject, r.window_date, r.hour_at, {listed(METRICS, "r")}, s.place FROM {_ROWS}) r
                 ORDER BY window_date, hour_at, place OFFSET 0) r
          JOIN report_subjects s ON s.subject = r.subject""")


@cache
def _summed(table: PerformanceTable) -> TextClause:
    names = ", ".join(f"min(s.{name}) AS {name}" for name in NAMES)
    counts = ", ".join(f"CAST(sum(r.{name}) AS bigint) AS {name}" for name in METRICS[:3])
    amounts = ", ".join(f"CAST(sum(r.{name}) AS numeric(20, 6)) AS {name}" for name in METRICS[3:])
    return text(f"""
        CREATE TEMP TABLE report_fresh ON COMMIT DROP AS
        SELECT {_fresh_key(table)}, {names}, bool_and(s.resolved) AS resolved, {counts}, {amounts},
               count(*) AS read_rows
          FROM {_ROWS} GROUP BY {_fresh_key(table)}""")


@cache
def _summed_ordered(table: PerformanceTable) -> TextClause:
    return text(f"CREATE TEMP VIEW report_ordered AS SELECT * FROM report_fresh ORDER BY {listed(table.key)}")


def gather_rows(connection: Connection, table: PerformanceTable) -> None:
    """Make `report_fresh` of the staged rows, as they will stand in the table, `report_ordered`, the same by key, and `report_bad`.

    Rows with the same key are summed; null means "no value" and adds nothing. Nearly always no two have, and nothing is summed.

    Raises:
        OverfullKeysError: Some add up to more than a column holds; take back what has been staged.
    """
    connection.execute(_BAD)
    for statement in _GATHER:
        connection.execute(text(statement))
    shared = connection.execute(_SHARED_KEYS).scalar_one()
    twins = connection.execute(_TWINS_BY_KEY if shared else _TWINS).scalar_one()
    if twins and (overfull := _find_overfull_keys(connection, table)):
        raise OverfullKeysError(overfull)
    for made in (_summed, _summed_ordered) if twins else (_fresh, _ordered):
        connection.execute(made(table))
