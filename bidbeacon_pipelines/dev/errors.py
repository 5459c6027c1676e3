"""What can go wrong while things are started; each message is one line that says what to do.

LocalError
├── DatabaseUnavailableError   the database of BIDBEACON_DATABASE_URL doesn't answer, or is too old
│   └── EmbeddedPostgresError  the embedded server can't be made or started
├── PortInUseError             another program listens where a service of ours has to
└── ServiceFailedError         a service ended while it was started, or again and again
"""


class LocalError(RuntimeError):
    """Something on this machine keeps BidBeacon from running; the message says what to do."""


class DatabaseUnavailableError(LocalError):
    """No database can be used."""


class EmbeddedPostgresError(DatabaseUnavailableError):
    """The embedded PostgreSQL server can't be made or started."""


class PortInUseError(LocalError):
    """A port that a service needs is taken."""

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message)
        self.port = port


class ServiceFailedError(LocalError):
    """A service ended while it was started, or again and again."""
