"""The floor: prepared rows that are copied into the table, without any checks.

They are on disk in the format of PostgreSQL's binary COPY, so that the time is the server's alone,
and in the report's order, day by day and target by target, not in that of the table's key.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.ingest_place import TABLE, Contender
from benchmarks.ingest_reports import DAYS, Report

_CHUNK = 1 << 18


class Floor(Contender):
    """Copies reports; `pack` makes a report ready for it, once."""

    name = "floor"

    def pack(self, report: Report) -> None:
        """Write the rows of a report in the binary format, from the table that holds them."""
        statement = f"""
            COPY (SELECT *
                    FROM {TABLE}
                   ORDER BY window_date, hashtext(campaign_id || target_value),
                         hashtext(hour_at::text))
              TO STDOUT (FORMAT BINARY)"""
        with (
            self.place.engine.begin() as connection,
            _cursor(connection).copy(statement) as copy,
            _packed(report).open("wb") as file,
        ):
            file.writelines(copy)

    def load(self, report: Report) -> None:
        """Copy a report into the empty table."""
        with self.place.engine.begin() as connection:
            _copy_in(connection, report)

    def refresh(self, report: Report) -> None:
        """Replace the rows of the report's windows, in one transaction."""
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
