"""The time that decisions use: the database's time, because a host's clock may be wrong.

Irreversible decisions (expiring windows, deleting old records) must not depend on the clock of one
host. If the sandbox is used, simulations can store an offset that is added to this time.
"""

from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.settings import Settings

CLOCKS_DIFFER_BY: Final = timedelta(minutes=1)
"""The largest difference between two clocks that both count as correct."""
_READ_AGAIN_AFTER: Final = 60.0

_NOW = text("SELECT clock_timestamp()")
_SIMULATED_NOW = text("""
    SELECT clock_timestamp() + coalesce((SELECT ahead_by FROM simulated_time), interval '0')""")


class DatabaseClock:
    """A clock that returns the database's time when it is called.

    The time is read from the database once a minute, on a separate connection. In between, this
    host's monotonic clock advances it. The stored offset is added only if the sandbox is used.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._reading: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        """Return the current instant, UTC."""
        reading = self._reading
        if reading is None or monotonic() - reading[1] > _READ_AGAIN_AFTER:
            reading = self._reading = self._read()
        read, at = reading
        return read + timedelta(seconds=monotonic() - at)

    def _read(self) -> tuple[datetime, float]:
        with self._engine.begin() as connection:
            return read_now(connection, self._settings), monotonic()


def read_now(connection: Connection, settings: Settings) -> datetime:
    """Return the database's time, UTC; with the sandbox, add the simulation's offset."""
    now: datetime = connection.execute(
        _SIMULATED_NOW if settings.uses_sandbox else _NOW
    ).scalar_one()
    return now


def read_real_now(connection: Connection) -> datetime:
    """Return the database's time, UTC, without a simulation's offset, as for Dagster's runs."""
    now: datetime = connection.execute(_NOW).scalar_one()
    return now
