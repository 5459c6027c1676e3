"""The mode of a database: it has data of the sandbox or of the real Amazon, never of both."""

from typing import Final

from sqlalchemy import Connection, text

from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
from bidbeacon_pipelines.settings import Mode

_TABLE: Final = text("SELECT to_regclass('public.installation')")
_MODE: Final = text("SELECT mode FROM public.installation")
_STORE: Final = text("UPDATE public.installation SET mode = :mode WHERE mode IS NULL")
_REFUSALS: Final = {
    "sandbox": "The database holds the sandbox's data, but Amazon credentials are set "
    "(BIDBEACON_ADS_API_CLIENT_ID or BIDBEACON_CREDENTIALS_FILE): restart `bidbeacon dev` or "
    "`bidbeacon db start`, or set BIDBEACON_DATABASE_URL to another database.",
    "real": "The database holds data of the real Amazon, but neither BIDBEACON_ADS_API_CLIENT_ID "
    "nor BIDBEACON_CREDENTIALS_FILE is set: set the Amazon credentials, or set "
    "BIDBEACON_DATABASE_URL to another database for the sandbox.",
}


class WrongModeError(DatabaseUnavailableError):
    """The database holds the data of the other mode."""


def check_mode(connection: Connection, mode: Mode) -> None:
    """Compare the database's mode with `mode`; a database without a mode fits both.

    Raises:
        WrongModeError: They differ; the message has advice.
    """
    if connection.execute(_TABLE).scalar() is None:
        return
    stored = connection.execute(_MODE).scalar()
    if stored not in {None, mode}:
        raise WrongModeError(_REFUSALS[stored])


def store_mode(connection: Connection, mode: Mode) -> None:
    """Store the mode in a database that has none.

    Raises:
        WrongModeError: It has the other mode.
    """
    connection.execute(_STORE, {"mode": mode})
    check_mode(connection, mode)
