"""SQL of a load into windows that hold nothing: rows go straight into the dataset's table, in runs that are in an order its indexes like.

Nothing has to be compared, so nothing has to be staged but bad rows. All rows are of one account, which is locked and so can't go before they are
committed: its foreign key is checked once for all of them, where the role may do that. What the key would refuse, two rows of one key, is not for this
way: the caller takes it back and goes by the stage, where they are summed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.performance import Scope
from bidbeacon_pipelines.store.performance_tables import METRICS, PerformanceTable, listed
from bidbeacon_pipelines.store.staging import Subject, bad_line, copy_into, field_text, subject_text

RUN_BYTES: Final = 2 << 20
"""Of lines that are put in order together, some 10,000 rows; then the run goes on to the end of its day."""
FIRST_RUN_BYTES: Final = 1 << 19
"""The first run is small and each next one twice as long, so that the server doesn't wait for the first."""
MOST_RUN_BYTES: Final = 4 << 20
"""A run ends here, whatever its day: it is kept in memory."""
MOST_BAD_BYTES: Final = 4 << 20
_AT_ONCE: Final = 1_000
_DAY: Final = len("2026-01-31")
# A report has the rows of an ad and a target side by side, and so has any index but the key's, which has an hour's. Where somebody has
# added such indexes, putting rows in the key's order costs more there than it saves.
_OTHER_INDEXES = text("""
    SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = CAST(:table AS regclass) AND NOT indisprimary AND indpred IS NULL)""")

_MAY_CHECK_ONCE = text("SELECT has_parameter_privilege('session_replication_role', 'SET')")
_MAY_CHECK_ONCE_14 = text("SELECT current_setting('is_superuser') = 'on'")
"""PostgreSQL 14 has no privileges for parameters."""
_OTHER_TRIGGERS = text("""
    SELECT EXISTS (SELECT FROM pg_trigger t LEFT JOIN pg_constraint c ON c.oid = t.tgconstraint
                    WHERE t.tgrelid = CAST(:table AS regclass) AND c.conname IS DISTINCT FROM :key)""")
_KEEP_ACCOUNT = text("""
    SELECT EXISTS (SELECT FROM advertiser_accounts
                    WHERE account_id = :account_id AND country_code = :country_code FOR KEY SHARE)""")


class TooManyBadRowsError(Exception):
    """A report has more bad rows than are kept in memory; it belongs on the stage."""


class TableRows:
    """The sink that writes into a dataset's table.

    Rows are gathered into a run, of whole days where these are small and the report has one after the other, as Amazon's have: then all rows come
    in the order of the key, whose index grows at its end. While a run is gathered, the one before is written, as many rows as come in. So the server always has
    something to do, the rows that come next are read meanwhile, and both together take the room of one.

    Attributes:
        bad_lines: Bad rows, as they are staged.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        table: PerformanceTable,
        scope: Scope,
        *,
        as_they_come: bool = False,
    ) -> None:
        self.bad_lines = bytearray()
        self._write = write
        self._hourly = "hour_at" in table.key
        self._as_they_come = as_they_come
        account = scope.account
        told = [account.account_id, account.country_code, scope.dataset, str(scope.request_id)]
        self._end = b"\t" + b"\t".join(map(field_text, told)) + b"\n"
        self._gathered: list[bytes] = []
        self._bytes = 0
        self._enough = min(FIRST_RUN_BYTES, RUN_BYTES)
        self._run: list[bytes] = []

    def subject(self, subject: Subject) -> bytes:
        """Give its columns."""
        return subject_text(subject)

    def time(self, day: date, hour_at: datetime | None) -> bytes:
        """Give the day, and the instant where rows have one."""
        return b"%b\t%b" % (field_text(day), field_text(hour_at)) if self._hourly else field_text(day)

    def rows(self, lines: list[bytes]) -> None:
        """Take rows, and write as many of the run before."""
        if self._as_they_come and self._bytes >= FIRST_RUN_BYTES:
            self._next_run()
        elif self._bytes >= self._enough and self._gathered:
            lines = self._end_of_day(lines)
        self._gathered += lines
        self._bytes += sum(map(len, lines))
        self._write_some(len(lines))
        if self._bytes >= MOST_RUN_BYTES:
            self._next_run()

    def _end_of_day(self, lines: list[bytes]) -> list[bytes]:
        """Give the lines of another day than the run's last row, which begin a new run; those before end it."""
        day = self._gathered[-1][:_DAY]
        if not lines or lines[-1].startswith(day):
            return lines
        end = next(place for place, line in enumerate(lines) if not line.startswith(day))
        self._gathered += lines[:end]
        self._write_some(end)
        self._next_run()
        self._enough = min(2 * self._enough, RUN_BYTES)
        return lines[end:]

    def bad(self, row_number: int, day: date | None, reason: str, raw: str) -> None:
        """Keep one.

        Raises:
            TooManyBadRowsError: It is one too many.
        """
        self.bad_lines += bad_line(row_number, day, reason, raw)
        if len(self.bad_lines) > MOST_BAD_BYTES:
            raise TooManyBadRowsError

    def flush(self) -> None:
        """Write all that is still here."""
        self._next_run()
        self._next_run()

    def _next_run(self) -> None:
        """Write the rest of the run, and put the rows that were gathered in the order of their time, ad and entity, as the key has it."""
        while self._run:
            self._write_some(_AT_ONCE)
        self._run, self._gathered = self._gathered, []
        if self._as_they_come:
            self._run.reverse()
        else:
            self._run.sort(reverse=True)
        self._bytes = 0

    def _write_some(self, rows: int) -> None:
        """Write rows from the end of the list, where they are in order backwards: what is written is not kept."""
        kept = max(len(self._run) - rows, 0)
        some = self._run[kept:]
        del self._run[kept:]
        if some:
            self._write(b"".join([line + self._end for line in reversed(some)]))


@contextmanager
def open_table(connection: Connection, table: PerformanceTable, scope: Scope) -> Iterator[TableRows]:
    """Give the sink of a dataset's table; its rows are there when the block ends.

    Raises:
        psycopg.errors.UniqueViolation: Two rows have one key.
    """
    time = [column for column in table.key if column in {"window_date", "hour_at"}]
    columns = listed(
        (*time, *Subject._fields, *METRICS, "account_id", "country_code", "dataset", "request_id")
    )
    as_they_come = connection.execute(_OTHER_INDEXES, {"table": table.name}).scalar_one()
    with (
        _account_checked_once(connection, table, scope.account),
        copy_into(connection, f"{table.name} ({columns})") as write,
    ):
        rows = TableRows(write, table, scope, as_they_come=as_they_come)
        yield rows
        rows.flush()


@contextmanager
def _account_checked_once(
    connection: Connection, table: PerformanceTable, account: Account
) -> Iterator[None]:
    """Look the account up and lock it as the foreign key does for each row, and spare the rows that look: a fifth of a load's time.

    Where the role may not do that, or the table has a trigger or a key of its users, which must see the rows, each row is checked as ever.
    """
    if not _may_check_once(connection, table, account):
        yield
        return
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    yield
    connection.execute(text("SET LOCAL session_replication_role TO DEFAULT"))


def _may_check_once(connection: Connection, table: PerformanceTable, account: Account) -> bool:
    has_privileges = (connection.dialect.server_version_info or ()) >= (15,)
    if not connection.execute(_MAY_CHECK_ONCE if has_privileges else _MAY_CHECK_ONCE_14).scalar_one():
        return False
    own = {"table": table.name, "key": f"fk_{table.name}_account_id_country_code"}
    if connection.execute(_OTHER_TRIGGERS, own).scalar_one():
        return False
    return bool(connection.execute(_KEEP_ACCOUNT, account.identity).scalar_one())
