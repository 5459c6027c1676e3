"""The floor: rows that need no reading, checking or typing any more, copied in the order of the file straight into the table.

They are on disk the way PostgreSQL's binary COPY wants them, so that the time is the server's
alone.
"""

from pathlib import Path

from psycopg import Connection
from sqlalchemy import text

from benchmarks.ingest_reports import DAYS, Report
from benchmarks.ingest_world import TABLE, Contender

_TYPED = (
    "window_date, hour_at, row_key, campaign_id, ad_group_id, target_value, match_type, target_match, target_id, "
    "impressions, clicks, orders, units, sales, spend"
)
_COLUMNS = f"account, ad_product, currency_code, request_id, {_TYPED}"
CHUNK = 1 << 18


class Floor(Contender):
    """Copies reports; `pack` makes a report ready for it, once."""

    name = "floor"

    def pack(self, report: Report) -> None:
        """Turn a report's typed rows into the binary form, in their order; the server does it."""
        staged = "CREATE TEMP TABLE typed ON COMMIT DROP AS SELECT {} FROM {} WHERE false"
        constants = (
            f"CAST({self.place.account.id} AS int), 'SPONSORED_PRODUCTS', 'USD', CAST(1 AS bigint)"
        )
        with self.place.engine.begin() as connection:
            connection.execute(text("SET LOCAL synchronize_seqscans = off"))
            connection.execute(text(staged.format(_TYPED, TABLE)))
            driver = _driver(connection)
            _copy_in(driver, f"COPY typed ({_TYPED}) FROM STDIN", report.typed)
            with (
                driver.cursor().copy(
                    f"COPY (SELECT {constants}, {_TYPED} FROM typed) TO STDOUT (FORMAT BINARY)".encode()
                ) as copy,
                _packed(report).open("wb") as file,
            ):
                for block in copy:
                    file.write(block)

    def load(self, report: Report) -> None:
        """Copy a report into the empty table."""
        with self.place.engine.begin() as connection:
            _copy_in(
                _driver(connection),
                f"COPY {TABLE} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)",
                _packed(report),
            )

    def refresh(self, report: Report) -> None:
        """Delete the report's windows, and copy it again, in one transaction."""
        with self.place.engine.begin() as connection:
            connection.execute(
                text(f"DELETE FROM {TABLE} WHERE account = :id AND window_date = ANY(:days)"),
                {"id": self.place.account.id, "days": list(DAYS)},
            )
            _copy_in(
                _driver(connection),
                f"COPY {TABLE} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)",
                _packed(report),
            )


def _packed(report: Report) -> Path:
    return report.folder / "typed.binary"


def _driver(connection: object) -> Connection:
    driver = connection.connection.driver_connection  # type: ignore[attr-defined]
    assert isinstance(driver, Connection)
    return driver


def _copy_in(driver: Connection, statement: str, path: Path) -> None:
    with driver.cursor().copy(statement.encode()) as copy, path.open("rb") as file:
        while block := file.read(CHUNK):
            copy.write(block)
