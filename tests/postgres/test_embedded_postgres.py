"""The embedded server: private, durable, and beside other programs."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bidbeacon_pipelines.dev.dev import only_start
from bidbeacon_pipelines.dev.postgres import find_binaries
from tests.support.processes import is_alive
from tools.temporary_postgres import TemporaryPostgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporaryPostgres]:
    """Yield a running server below a folder that only its owner can enter, and delete it at the end."""
    tmp_path.chmod(0o700)
    server = TemporaryPostgres(tmp_path / "home", durable=False)
    server.start()
    yield server
    server.remove()


def main_process(server: TemporaryPostgres) -> psutil.Process:
    """Return the server's main process."""
    return psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))


def test_server_is_private(server: TemporaryPostgres) -> None:
    """It listens on loopback only, demands a password that no command line has, and is never root's."""
    statement = """
        SELECT pg_encoding_to_char(encoding), datlocale, current_setting('unix_socket_directories')
        FROM pg_database WHERE datname = current_database()"""
    with psycopg.connect(server.url()) as connection:
        assert ("UTF8", "C.UTF-8", "") == connection.execute(statement).fetchone()
    process = main_process(server)
    assert {"127.0.0.1"} == {each.laddr.ip for each in process.net_connections()}
    assert 0 != process.uids().real
    password = str(conninfo_to_dict(server.url())["password"])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url().replace(password, "wrong"))
    assert 0o600 == (server.folder / "connection.json").stat().st_mode & 0o777
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not any(password in " ".join(command or ()) for command in commands)


def test_server_that_a_killed_start_left_is_replaced(server: TemporaryPostgres) -> None:
    """The new server has the same address."""
    url, left = server.url(), main_process(server)
    assert url == TemporaryPostgres(server.folder.parent).start()
    assert not is_alive(left)


def test_two_homes_have_a_server_each(server: TemporaryPostgres, tmp_path: Path) -> None:
    """Each start holds its own home alone, and both databases answer at the same time."""
    other = TemporaryPostgres(tmp_path / "other", durable=False)
    with only_start(server.folder.parent), only_start(other.folder.parent):
        try:
            other.start()
            for one in (server, other):
                with psycopg.connect(one.url()) as connection:
                    assert (str(one.data),) == connection.execute("SHOW data_directory").fetchone()
        finally:
            other.remove()


def test_programs_that_took_its_number_and_port_go_on(server: TemporaryPostgres) -> None:
    """After a restart of the machine the server moves to another port, and stays there."""
    url, owner = server.url(), server.data.stat()
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    account = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with (
        socket.create_server(("127.0.0.1", int(str(conninfo_to_dict(url)["port"])))),
        subprocess.Popen(["sleep", "600"], cwd="/", **account) as other,  # type: ignore[call-overload] # user and group by name
    ):
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))
        moved = server.start()
        assert moved != url
        assert other.poll() is None
        other.kill()
    server.stop()
    assert moved == server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server by another account")
def test_root_starts_it_in_folders_that_only_root_can_enter(tmp_path: Path) -> None:
    """Programs and data may be in a checkout below `/root`; another account runs the server."""
    package, closed = find_binaries().parents[1], tmp_path / "closed"
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, closed / name, symlinks=True)
    closed.chmod(0o700)
    server = TemporaryPostgres(closed / "home", durable=False)
    server.binaries = closed / package.name / "pginstall18" / "bin"
    try:
        server.start()
        assert 0 != main_process(server).uids().real
    finally:
        server.remove()
