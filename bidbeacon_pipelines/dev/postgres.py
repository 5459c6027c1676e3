"""The database of this machine: an embedded PostgreSQL that starts when it is needed, or the one of the settings."""

import re
import time
from functools import cache
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from bidbeacon_pipelines.database.address import checked_database_url
from bidbeacon_pipelines.dev.binaries import (
    checked_binaries,
    clean_environment,
    find_binaries,
    reachable_binaries,
    run_program,
)
from bidbeacon_pipelines.dev.cluster import (
    DATABASE,
    ClusterFiles,
    Connection,
    check_data,
    make_data,
)
from bidbeacon_pipelines.dev.errors import EmbeddedPostgresError, UnusableHomeError
from bidbeacon_pipelines.dev.locks import FileLock
from bidbeacon_pipelines.dev.ports import choose_port
from bidbeacon_pipelines.dev.postmaster import (
    drop_misleading_pid_file,
    find_postmaster,
    kill_orphans,
    stop_postmaster,
)
from bidbeacon_pipelines.dev.server_user import ServerUser, find_server_user
from bidbeacon_pipelines.dev.watcher import STARTING_LOCK, USERS_LOCK, start_watcher, stop_if_unused
from bidbeacon_pipelines.private_files import PASSAGE, make_private_folder
from bidbeacon_pipelines.settings import Settings

START_SECONDS: Final = 60
ORPHAN_SECONDS: Final = 10
PORT_ATTEMPTS: Final = 3
LOG_BYTES: Final = 10_000_000
OPTIONS: Final = (
    "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 "
    "-c timezone=UTC -c log_timezone=UTC -c log_checkpoints=off"
)
NOT_DURABLE: Final = " -c fsync=off -c full_page_writes=off"
"""Loses commits when the whole machine dies, and never when only the server is killed."""


class EmbeddedPostgres:
    """One PostgreSQL server for one home folder, shared by all processes of this machine that use that folder.

    It listens on 127.0.0.1 only, with a password; never runs as root; and is found again, whoever
    started it. Each process that asked for it counts as a user of it until it ends or calls
    `stop_if_unused`. When the last one is gone, a watcher stops the server, however that process
    ended.

    Args:
        home: Folder for local state, usually `.bidbeacon`; the server's files go to `postgres`
            below it.
        durable: `False` trades safety at a power cut for speed: for tests.
        binaries: Folder of `initdb`, `pg_ctl` and `postgres`; absent: the wheel's.
    """

    def __init__(self, home: Path, *, durable: bool = True, binaries: Path | None = None) -> None:
        self.files = ClusterFiles(home.absolute() / "postgres")
        self.started_here = False
        self._durable = durable
        self._binaries = binaries
        self._lock_file = self.files.folder / STARTING_LOCK
        self._use = FileLock(self.files.folder / USERS_LOCK)

    def ensure_running(self) -> str:
        """Return the database's address (`postgresql://…`, with the password), starting the server where it isn't running.

        Safe in any number of processes at once; takes no more than a few milliseconds when the
        server runs.

        Raises:
            EmbeddedPostgresError: It can't be made or started; the message says what to do.
            UnusableHomeError: The home folder can't be written.
        """
        try:
            make_private_folder(self.files.folder, PASSAGE)
            self._use.acquire(shared=True)
            return self._running_url() or self._start()
        except OSError as error:
            raise UnusableHomeError(error) from error

    def is_running(self) -> bool:
        """Return whether the server takes connections now."""
        return self._running_url() is not None

    def stop(self) -> None:
        """Stop the server, whoever uses it; nothing happens where it isn't running."""
        self._use.release()
        if self.files.folder.exists():
            with FileLock(self._lock_file):
                stop_postmaster(self.files.data)

    def stop_if_unused(self) -> bool:
        """Use the server no longer, stop it unless another process uses it, and return whether it was stopped."""
        self._use.release()
        return self.files.folder.exists() and stop_if_unused(self.files.folder, self.files.data)

    def remove(self) -> None:
        """Stop the server and delete all its data."""
        self.stop()
        self.files.remove()

    def _running_url(self) -> str | None:
        server = find_postmaster(self.files.data)
        connection = self.files.find_connection() if server is not None and server.ready else None
        if server is None or connection is None:
            return None
        return connection.with_port(server.port).url

    def _start(self) -> str:
        with FileLock(self._lock_file):
            self._wait_for_transition()
            if url := self._running_url():
                return url
            user = find_server_user(self.files.link)
            self.files.make_cluster_folder(user, durable=self._durable)
            binaries = self._programs(user)
            if not self.files.data.exists():
                make_data(self.files, binaries, user, port=choose_port(), durable=self._durable)
            check_data(self.files, _major_version(binaries, user))
            connection = self._start_on_a_free_port(binaries, user)
            start_watcher(self.files.folder, self.files.data, clean_environment())
            _create_database(connection, self.files)
        self.started_here = True
        return connection.url

    def _wait_for_transition(self) -> None:
        """Wait while another one's server is starting or stopping."""
        deadline = time.monotonic() + START_SECONDS
        while (server := find_postmaster(self.files.data)) and not server.ready:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL (process {server.pid}) has been starting or stopping for {START_SECONDS} s: see {self.files.log}."
                )
            time.sleep(0.05)

    def _start_on_a_free_port(self, binaries: Path, user: ServerUser | None) -> Connection:
        """Start on the remembered port, or on another one where a program took it, and remember that."""
        connection = self.files.find_connection()
        assert connection is not None  # noqa: S101 - check_data has seen it
        output = ""
        for _ in range(PORT_ATTEMPTS):
            connection = connection.with_port(choose_port(connection.port))
            output = self._run_server(binaries, user, connection.port)
            if not output:
                self.files.write_connection(connection)
                return connection
            if "could not create any TCP/IP sockets" not in output:
                break
        raise EmbeddedPostgresError(
            f"PostgreSQL did not start on {self.files.data} ({_reason(output)}): see {self.files.log}, or move that "
            "folder away to start with an empty database."
        )

    def _run_server(self, binaries: Path, user: ServerUser | None, port: int) -> str:
        """Start the server and wait until it is ready; return nothing, or what it said when it failed."""
        drop_misleading_pid_file(self.files.data)
        deadline = time.monotonic() + ORPHAN_SECONDS
        while output := self._run_server_once(binaries, user, port):
            if "pre-existing shared memory block" not in output:
                break
            if time.monotonic() > deadline:
                kill_orphans(self.files.data)
                return self._run_server_once(binaries, user, port)
            time.sleep(0.2)  # the processes of a killed server end by themselves
        return output

    def _run_server_once(self, binaries: Path, user: ServerUser | None, port: int) -> str:
        self._rotate_log()
        offset = self.files.log.stat().st_size if self.files.log.exists() else 0
        result = run_program(
            binaries / "pg_ctl",
            "start",
            "--silent",
            "--wait",
            f"--timeout={START_SECONDS}",
            f"--pgdata={self.files.data}",
            f"--log={self.files.log}",
            f"--options=-p {port} {OPTIONS}{'' if self._durable else NOT_DURABLE}",
            user=user,
        )
        if result.returncode == 0:
            return ""
        logged = (
            self.files.log.read_bytes()[offset:].decode(errors="replace")
            if self.files.log.exists()
            else ""
        )
        return logged or result.stdout or "no message"

    def _programs(self, user: ServerUser | None) -> Path:
        binaries = checked_binaries(self._binaries) if self._binaries else find_binaries()
        return reachable_binaries(binaries, user)

    def _rotate_log(self) -> None:
        if self.files.log.exists() and self.files.log.stat().st_size > LOG_BYTES:
            self.files.log.replace(self.files.log.with_suffix(".log.1"))


@cache
def embedded_postgres(home: Path) -> EmbeddedPostgres:
    """Return this process's one handle on the embedded server of `home`."""
    return EmbeddedPostgres(home)


def resolve_database_url(settings: Settings) -> str:
    """Return the address of the database to use: the one of the settings, checked, or the embedded one, running.

    The embedded server ends with the last process that uses it.

    Raises:
        DatabaseUnavailableError: The database can't be used; the message says what to do.
        UnusableHomeError: The home folder of the embedded one can't be written.
    """
    if settings.database_url is not None:
        return checked_database_url(settings.database_url.get_secret_value())
    return embedded_postgres(settings.home).ensure_running()


def _create_database(connection: Connection, files: ClusterFiles) -> None:
    """Make our database where it is missing, which also proves that the password is right."""
    try:
        with psycopg.connect(
            connection.url_of("postgres"), autocommit=True, connect_timeout=10
        ) as server:
            found = server.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if found is None:
                server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.OperationalError as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL refused our connection ({str(error).strip().splitlines()[-1]}): see {files.log}; "
            f"does {files.connection_file} belong to {files.data}?"
        ) from error


def _major_version(binaries: Path, user: ServerUser | None) -> int:
    """Read the server's major version from `postgres (PostgreSQL) 18.1`."""
    output = run_program(binaries / "postgres", "--version", user=user).stdout
    found = re.search(r"\) (\d+)", output)
    if found is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL's binaries in {binaries} don't run here ({output.strip()}): set BIDBEACON_DATABASE_URL."
        )
    return int(found[1])


def _reason(output: str) -> str:
    """Pick the line of the server's log that says why it ended."""
    lines = output.strip().splitlines()
    fatal = [line for line in lines if re.search(r"FATAL|PANIC|postgres: ", line)]
    return re.sub(r"^.*?(FATAL|PANIC): +", "", (fatal or lines)[-1]).strip()
