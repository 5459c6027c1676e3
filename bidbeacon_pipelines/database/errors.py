"""Why the database can't be used; each message is one line that says what to do."""

from bidbeacon_sessions.errors import UsageError


class DatabaseUnavailableError(UsageError):
    """No database can be used."""


def first_line(error: Exception) -> str:
    """Return PostgreSQL's message, without the statement and values that SQLAlchemy adds."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]
