"""The embedded server: its data made once, never in the way of another one, and clear about what is wrong."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from bidbeacon_pipelines.dev.postgres import find_binaries
from tests.temporary_postgres import TemporaryPostgres

KEPT = "CREATE TABLE kept AS SELECT 42 AS answer"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporaryPostgres]:
    """Yield a running server below a folder that only its owner can enter, which is deleted at the end."""
    tmp_path.chmod(0o700)
    server = TemporaryPostgres(tmp_path / "home", durable=False)
    server.start()
    yield server
    server.remove()


def ask(url: str, statement: str) -> tuple[object, ...]:
    """Return the one row of a query."""
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row


def run(url: str, statement: str) -> None:
    """Run and commit a statement."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def pid_of(server: TemporaryPostgres) -> int:
    """Return the number of the server's main process."""
    return int((server.data / "postmaster.pid").read_text().split()[0])


def test_server_keeps_to_itself(server: TemporaryPostgres) -> None:
    """It is in UTF-8 with a collation of its own, listens on loopback only, asks for a password, and is never root's."""
    encoding = "SELECT pg_encoding_to_char(encoding), datlocprovider::text, datlocale FROM pg_database WHERE datname = current_database()"
    assert ("UTF8", "b", "C.UTF-8") == ask(server.url(), encoding)
    addresses = {each.laddr.ip for each in psutil.Process(pid_of(server)).net_connections()}
    assert {"127.0.0.1"} == addresses
    assert ("",) == ask(server.url(), "SHOW unix_socket_directories")
    assert psutil.Process(pid_of(server)).uids().real != 0
    password = psycopg.conninfo.conninfo_to_dict(server.url())["password"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url().replace(str(password), "wrong"))
    assert 0o600 == (server.folder / "connection.json").stat().st_mode & 0o777
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not any(password in " ".join(command or ()) for command in commands)


def test_data_and_address_survive_restarts_and_kills(server: TemporaryPostgres) -> None:
    """Also a kill of the main process while a client is connected."""
    url = server.url()
    run(url, KEPT)
    server.stop()
    assert url == server.start()
    with psycopg.connect(url):
        server.end_by(signal.SIGKILL)
        assert url == restarted(server)
    assert (42,) == ask(url, "SELECT answer FROM kept")


def restarted(server: TemporaryPostgres) -> str:
    """Start the server as `bidbeacon dev` does: again while processes of the killed one are still ending."""
    while True:
        try:
            return server.start(seconds=2)
        except AssertionError as error:
            assert "pre-existing shared memory block" in str(error)  # noqa: PT017 - any other is a failure


def test_server_that_a_killed_start_left_is_stopped(server: TemporaryPostgres) -> None:
    """The new server takes over the data on the same port."""
    left = psutil.Process(pid_of(server))
    url = server.url()
    assert url == TemporaryPostgres(server.folder.parent).start()
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
    assert (1,) == ask(url, "SELECT 1")


def test_number_that_another_program_has_by_now_is_no_obstacle(server: TemporaryPostgres) -> None:
    """As after a restart of the machine; that program goes on."""
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    owner = server.data.stat()
    server.stop()
    account = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], cwd="/", **account) as other:  # type: ignore[call-overload]
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))
        server.start()
        assert other.poll() is None
        other.kill()


def test_taken_port_is_replaced_and_the_new_one_kept(server: TemporaryPostgres) -> None:
    """A program that took the port in between keeps it."""
    url = server.url()
    server.stop()
    with socket.create_server(
        ("127.0.0.1", int(str(psycopg.conninfo.conninfo_to_dict(url)["port"])))
    ):
        moved = server.start()
    assert moved != url
    server.stop()
    assert moved == server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server by another account")
def test_folders_that_only_root_can_enter_are_no_obstacle(tmp_path: Path) -> None:
    """Neither for the programs nor for the data, as in a checkout below `/root`."""
    package = find_binaries().parents[1]
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, tmp_path / "closed" / name, symlinks=True)
    (tmp_path / "closed").chmod(0o700)
    server = TemporaryPostgres(tmp_path / "closed" / "home", durable=False)
    server.binaries = tmp_path / "closed" / package.name / "pginstall18" / "bin"
    try:
        assert (1,) == ask(server.start(), "SELECT 1")
        assert 0 != psutil.Process(pid_of(server)).uids().real
    finally:
        server.remove()
