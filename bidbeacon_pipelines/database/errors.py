"""Why the database can't be used; each message is one line that says what to do."""


class DatabaseUnavailableError(RuntimeError):
    """No database can be used."""
