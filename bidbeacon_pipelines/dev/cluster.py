"""The embedded server's files: where the data lies, how it is made once, and how it is connected to.

`<home>/postgres/` holds `connection.json` (port and password, readable by its owner alone), two
lock files, and `cluster`: the folder of the server's account with `data` and `server.log`. Where
root runs things and that account can't reach the project, `cluster` is a link to a folder below
`/var/lib/bidbeacon`.
"""

import json
import os
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from bidbeacon_pipelines.dev.binaries import SYSTEM_HOME, make_system_home, run_program
from bidbeacon_pipelines.dev.errors import EmbeddedPostgresError
from bidbeacon_pipelines.dev.server_user import ServerUser

ROLE: Final = "bidbeacon"
DATABASE: Final = "bidbeacon"
_PASSWORD_FILE: Final = ".password-"  # noqa: S105 - how its name begins


@dataclass(frozen=True)
class Connection:
    """What a client needs beside the address, which is always 127.0.0.1."""

    port: int
    password: str

    @property
    def url(self) -> str:
        """The address of the database, with its password."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database of the same server."""
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"

    def with_port(self, port: int) -> "Connection":
        """Return the same connection on another port."""
        return replace(self, port=port)


class ClusterFiles:
    """The paths below one folder, and what is read from and written to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.link = folder / "cluster"
        self.connection_file = folder / "connection.json"

    @property
    def cluster(self) -> Path:
        """The folder that belongs to the server's account, where it really is."""
        return self.link.resolve()

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.cluster / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.cluster / "server.log"

    def find_connection(self) -> Connection | None:
        """Read how to connect; `None` before the server was first made."""
        try:
            return Connection(**json.loads(self.connection_file.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise EmbeddedPostgresError(
                f"{self.connection_file} can't be read ({error}): restore it, or move {self.folder} away to start "
                "with an empty database."
            ) from error

    def write_connection(self, connection: Connection) -> None:
        """Store how to connect, for the owner of the folder alone."""
        draft = self.connection_file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(connection)))
        owner = self.folder.stat()
        os.chown(draft, owner.st_uid, owner.st_gid)
        draft.replace(self.connection_file)

    def make_cluster_folder(self, user: ServerUser | None, *, durable: bool) -> None:
        """Make the folder of the server's account inside the project, or where it can reach it.

        Args:
            user: The server's account; absent: the current user.
            durable: `False` takes the system's temporary folder, which is cleared by itself, for
                `/var/lib`.

        Raises:
            EmbeddedPostgresError: The folder was made before and is gone.
        """
        if self.link.is_symlink() and not self.link.exists():
            raise EmbeddedPostgresError(
                f"{self.link} points to {self.cluster}, which is gone: restore it, or delete {self.folder} to start "
                "with an empty database."
            )
        if self.link.exists():
            return
        if user is None or user.can_enter(self.folder):
            self.link.mkdir(mode=0o700)
        else:
            make_system_home()
            temporary = Path(tempfile.gettempdir())
            place = SYSTEM_HOME if durable or not user.can_enter(temporary) else temporary
            self.link.symlink_to(tempfile.mkdtemp(prefix="bidbeacon-cluster-", dir=place))
        if user is not None:
            os.chown(self.link, user.uid, user.gid)

    def remove(self) -> None:
        """Delete the data and everything else of this cluster."""
        shutil.rmtree(self.cluster, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def make_data(
    files: ClusterFiles, binaries: Path, user: ServerUser | None, *, port: int, durable: bool
) -> None:
    """Make the data directory, complete or not at all, with a new password.

    The collation is PostgreSQL's own C.UTF-8: the same on every system, and never changed by an
    update of the system's library.
    """
    draft = files.cluster / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    for leftover in files.cluster.glob(f"{_PASSWORD_FILE}*"):
        leftover.unlink()
    connection = Connection(port, secrets.token_urlsafe(24))
    password_file = _password_file(files.cluster, connection.password, user)
    try:
        result = run_program(
            binaries / "initdb",
            f"--pgdata={draft}",
            f"--username={ROLE}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if durable else ["--no-sync"]),
            user=user,
        )
    finally:
        password_file.unlink()
    if result.returncode != 0:
        raise EmbeddedPostgresError(
            f"PostgreSQL could not make its data directory {files.data} ({_last_line(result.stdout)}): "
            "is the disk full, or not writable?"
        )
    files.write_connection(connection)
    draft.rename(files.data)


def check_data(files: ClusterFiles, server_major: int) -> None:
    """Refuse a data directory that this server can't open.

    Raises:
        EmbeddedPostgresError: It isn't one, is of another major version, or its password is lost.
    """
    advice = "restore it, or move it away to start with an empty database."
    try:
        data_major = int((files.data / "PG_VERSION").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise EmbeddedPostgresError(
            f"{files.data} is not a PostgreSQL data directory (no version in PG_VERSION): {advice}"
        ) from None
    if data_major != server_major:
        raise EmbeddedPostgresError(
            f"{files.data} was made by PostgreSQL {data_major}, and this is {server_major}: move it away to start with "
            f"an empty database, or run a PostgreSQL {data_major} on it and set BIDBEACON_DATABASE_URL."
        )
    if files.find_connection() is None:
        raise EmbeddedPostgresError(
            f"The password of {files.data} is lost ({files.connection_file} is gone): {advice}"
        )


def _password_file(folder: Path, password: str, user: ServerUser | None) -> Path:
    """Write the password where only the server's account (and root) can read it, for the moment of initdb."""
    descriptor, name = tempfile.mkstemp(prefix=_PASSWORD_FILE, dir=folder)
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
    if user is not None:
        os.chown(name, user.uid, user.gid)
    return Path(name)


def _last_line(output: str) -> str:
    return output.strip().rpartition("\n")[2] or "no message"
