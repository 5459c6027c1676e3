"""The error of a database that can't be used; each message is one line with advice."""

from bidbeacon_sessions.errors import UsageError


class DatabaseUnavailableError(UsageError):
    """No database can be used."""


def first_line(error: Exception) -> str:
    """Return PostgreSQL's message, without the statement and values that SQLAlchemy adds."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]
