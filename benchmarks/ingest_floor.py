"""The floor: rows that need no reading, checking or typing any more, copied straight into the table.

They are on disk the way PostgreSQL's binary COPY wants them, so that the time is the server's
alone: day by day and target by target, as in the report, which is in no order of the table's key.
Nothing checks that the rows belong to an account: our load's lock of the account does.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.ingest_place import TABLE, Contender
from benchmarks.ingest_reports import DAYS, Report

_ORDER = "window_date, hashtext(campaign_id || target_value), hashtext(hour_at::text)"
_CHUNK = 1 << 18


class Floor(Contender):
    """Copies reports; `pack` makes a report ready for it, once."""

    name = "floor"

    def pack(self, report: Report) -> None:
        """Write the rows of a report in the binary form, from the table that holds them."""
        rows = f"SELECT * FROM {TABLE} ORDER BY {_ORDER}"
        with (
            self.place.engine.begin() as connection,
            _cursor(connection).copy(f"COPY ({rows}) TO STDOUT (FORMAT BINARY)") as copy,
            _packed(report).open("wb") as file,
        ):
            file.writelines(copy)

    def load(self, report: Report) -> None:
        """Copy a report into the empty table."""
        with self.place.engine.begin() as connection:
            _copy_in(connection, report)

    def refresh(self, report: Report) -> None:
        """Delete the report's windows, and copy it again, in one transaction."""
        with self.place.engine.begin() as connection:
            connection.execute(
                text(f"DELETE FROM {TABLE} WHERE account = :id AND window_date = ANY(:days)"),
                {"id": self.place.account.id, "days": list(DAYS)},
            )
            _copy_in(connection, report)


def _packed(report: Report) -> Path:
    return report.parts[0].with_suffix(".binary")


def _cursor(connection: Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return driver.cursor()


def _copy_in(connection: Connection, report: Report) -> None:
    statement = f"COPY {TABLE} FROM STDIN (FORMAT BINARY)"
    with _cursor(connection).copy(statement) as copy, _packed(report).open("rb") as file:
        while block := file.read(_CHUNK):
            copy.write(block)
