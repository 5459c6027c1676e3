"""What can go wrong while things are started; each message is one line that says what to do.

LocalError
├── UnusableHomeError          the home folder can't be read or written
├── EmbeddedPostgresError      the embedded server can't be made or started; a DatabaseUnavailableError
├── PortInUseError             another program listens where a service of ours has to
└── ServiceFailedError         a service ended while it was started, or again and again
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from bidbeacon_pipelines.database.errors import DatabaseUnavailableError


class LocalError(RuntimeError):
    """Something on this machine keeps BidBeacon from running; the message says what to do."""


class UnusableHomeError(LocalError):
    """The home folder, or something in it, can't be read or written."""

    def __init__(self, error: OSError) -> None:
        self.path = error.filename
        super().__init__(
            f"Expected BIDBEACON_HOME to be a folder that you can write, got: {error.filename} ({_reason(error)}). "
            "Repair it, or set BIDBEACON_HOME to a folder of your own."
        )


def _reason(error: OSError) -> str:
    """Return why the system refused a path; for a lack of rights, what it is that lacks them."""
    path = Path(error.filename or "/")
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return "not a folder"
    if error.errno == errno.EACCES:
        for step in (path, *path.parents):
            with suppress(OSError):
                status = step.stat()
                if status.st_uid != os.geteuid():
                    return f"{step} belongs to another user"
                return f"the mode of {step} is {stat.S_IMODE(status.st_mode):03o}"
    return error.strerror or str(error)


class EmbeddedPostgresError(LocalError, DatabaseUnavailableError):
    """The embedded PostgreSQL server can't be made or started."""


class PortInUseError(LocalError):
    """A port that a service needs is taken."""

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message)
        self.port = port


class ServiceFailedError(LocalError):
    """A service ended while it was started, or again and again."""
