"""The embedded server: made once, found again, never in the way of another one, and clear about what is wrong."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.dev.binaries import find_binaries, reachable_binaries
from bidbeacon_pipelines.dev.dev import only_instance
from bidbeacon_pipelines.dev.errors import (
    DatabaseUnavailableError,
    EmbeddedPostgresError,
    UnusableHomeError,
)
from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres, resolve_database_url
from bidbeacon_pipelines.dev.postmaster import find_postmaster
from bidbeacon_pipelines.dev.server_user import ServerUser
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home folder inside a folder that only its owner can enter."""
    parent = tmp_path_factory.mktemp("closed")
    parent.chmod(0o700)
    return parent / "home"


@pytest.fixture(scope="module")
def shared_server(shared_home: Path) -> Iterator[EmbeddedPostgres]:
    """Yield a running server that tests only read from."""
    server = EmbeddedPostgres(shared_home, durable=False)
    server.ensure_running()
    yield server
    server.remove()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """Yield a running server of the test's own."""
    server = EmbeddedPostgres(tmp_path / "home", durable=False)
    server.ensure_running()
    yield server
    server.remove()


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def fetch(url: str, statement: str) -> tuple[object, ...]:
    """Return the one row that a statement returns."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row


def run(url: str, statement: str) -> None:
    """Run and commit a statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def postmaster_pid(server: EmbeddedPostgres) -> int:
    """Return the number of the server's main process."""
    found = find_postmaster(server.files.data)
    assert found is not None
    return found.pid


def test_the_database_is_utf8_with_a_collation_that_no_system_update_changes(
    shared_server: EmbeddedPostgres,
) -> None:
    """The database has encoding UTF8 and PostgreSQL's own C.UTF-8."""
    statement = (
        "SELECT pg_encoding_to_char(encoding), datlocprovider::text, datlocale, current_database() "
        "FROM pg_database WHERE datname = current_database()"
    )
    assert fetch(shared_server.ensure_running(), statement) == ("UTF8", "b", "C.UTF-8", "bidbeacon")


def test_the_server_listens_on_loopback_only(shared_server: EmbeddedPostgres) -> None:
    """The server has one TCP address, 127.0.0.1, and no socket file."""
    url = shared_server.ensure_running()
    assert fetch(
        url,
        "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')",
    ) == (
        "127.0.0.1",
        "",
    )


def test_the_server_never_runs_as_root(shared_server: EmbeddedPostgres) -> None:
    """The server's process belongs to an unprivileged account, also below a folder that only root can enter."""
    assert psutil.Process(postmaster_pid(shared_server)).uids().real != 0


def test_the_password_is_needed_and_readable_by_its_owner_alone(
    shared_server: EmbeddedPostgres,
) -> None:
    """A wrong password is refused, and the right one lies in a file of mode 0600."""
    url = shared_server.ensure_running()
    connection = shared_server.files.find_connection()
    assert connection is not None
    assert shared_server.files.connection_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(connection.password, "wrong"))


def test_no_process_shows_the_password(shared_server: EmbeddedPostgres) -> None:
    """The password stands on no command line."""
    connection = shared_server.files.find_connection()
    assert connection is not None
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert connection.password not in " ".join(process.cmdline())


def test_a_running_server_is_adopted_within_20_milliseconds(
    shared_server: EmbeddedPostgres, shared_home: Path
) -> None:
    """Another handle on the same home gives the same address without starting anything, in the time of a file or two."""
    other = EmbeddedPostgres(shared_home)
    durations = []
    for _ in range(5):
        started = time.perf_counter()
        url = other.ensure_running()
        durations.append(time.perf_counter() - started)
    assert url == shared_server.ensure_running()
    assert not other.started_here
    assert min(durations) < 0.02


def test_a_restart_keeps_data_and_address(server: EmbeddedPostgres) -> None:
    """After a stop and a start the same address leads to the same rows."""
    url = server.ensure_running()
    run(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert not server.is_running()
    assert server.ensure_running() == url
    assert fetch(url, "SELECT answer FROM kept") == (42,)


def test_another_port_is_taken_where_a_program_holds_the_remembered_one(
    server: EmbeddedPostgres,
) -> None:
    """A server whose port is taken starts on another one, and keeps that."""
    url = server.ensure_running()
    connection = server.files.find_connection()
    assert connection is not None
    server.stop()
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", connection.port))
        holder.listen()
        moved = server.ensure_running()
        assert moved != url
    assert EmbeddedPostgres(server.files.folder.parent).ensure_running() == moved
    assert fetch(moved, "SELECT 1") == (1,)


def test_a_killed_server_starts_again_with_its_data(server: EmbeddedPostgres) -> None:
    """After SIGKILL of the main process, with a client connected, the committed rows are there again."""
    url = server.ensure_running()
    run(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with psycopg.connect(url):
        os.kill(postmaster_pid(server), signal.SIGKILL)
        wait_until(lambda: not server.is_running())
        assert server.ensure_running() == url
    assert fetch(url, "SELECT answer FROM kept") == (42,)


def test_a_pid_file_from_before_a_restart_of_the_host_is_no_obstacle(
    server: EmbeddedPostgres,
) -> None:
    """A `postmaster.pid` with the number of some other living program doesn't keep the server from starting."""
    pid_file = server.files.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    owner = server.files.data.stat()
    server.stop()
    account = (
        {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        if os.geteuid() == 0
        else {}
    )
    with subprocess.Popen(["sleep", "600"], cwd="/", **account) as bystander:  # type: ignore[call-overload]  # a mapping of options
        try:
            pid_file.write_text("\n".join([str(bystander.pid), *lines[1:6], "", "ready", ""]))
            assert not server.is_running()
            assert fetch(server.ensure_running(), "SELECT 1") == (1,)
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_processes_that_start_at_once_get_one_server(tmp_path: Path) -> None:
    """Four processes on a new home at the same moment all get the same address, and one of them has started it."""
    home = tmp_path / "home"
    program = (
        "import sys; from pathlib import Path; from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres; "
        "server = EmbeddedPostgres(Path(sys.argv[1]), durable=False); print(server.ensure_running(), server.started_here)"
    )
    command = [sys.executable, "-c", program, str(home)]
    processes = [
        subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        answers = [process.communicate(timeout=60)[0].split() for process in processes]
        assert len({url for url, _ in answers}) == 1
        assert sorted(started for _, started in answers) == ["False", "False", "False", "True"]
    finally:
        EmbeddedPostgres(home).remove()


def test_the_last_user_turns_off_the_light(server: EmbeddedPostgres) -> None:
    """The server goes on while another process uses it, and is stopped by the last one."""
    program = (
        "import sys; from pathlib import Path; from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres; "
        "EmbeddedPostgres(Path(sys.argv[1])).ensure_running(); print('using', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(server.files.folder.parent)]
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "using\n"
        assert not server.stop_if_unused()
        assert server.is_running()
        other.communicate("")
    server.ensure_running()
    assert server.stop_if_unused()
    assert not server.is_running()


def test_an_interrupted_first_start_is_made_good(tmp_path: Path) -> None:
    """Half a data directory, left by a killed first start, is replaced."""
    server = EmbeddedPostgres(tmp_path / "home", durable=False)
    try:
        server.files.folder.mkdir(parents=True)
        server.ensure_running()
        server.stop()
        server.files.data.rename(server.files.cluster / "data.new")
        (server.files.cluster / "data.new" / "PG_VERSION").unlink()
        assert fetch(server.ensure_running(), "SELECT 1") == (1,)
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda files: (files.data / "PG_VERSION").unlink(),
            r"is not a PostgreSQL data directory .* restore it, or move",
        ),
        (
            lambda files: (files.data / "PG_VERSION").write_text("16\n"),
            r"made by PostgreSQL 16, and this is \d+: move it",
        ),
        (
            lambda files: shutil.rmtree(files.data / "global"),
            r"did not start on .* see .*server.log, or move that folder",
        ),
        (
            lambda files: files.connection_file.unlink(),
            r"The password of .* is lost .*: restore it, or move it",
        ),
        (
            lambda files: files.connection_file.write_text("{"),
            r"connection.json can't be read .*: restore it, or move",
        ),
        (lambda files: shutil.rmtree(files.cluster), r"is gone: restore it, or delete|^$"),
    ],
    ids=[
        "no version",
        "other version",
        "files missing",
        "no password",
        "bad password file",
        "folder gone",
    ],
)
def test_a_broken_data_directory_is_told_in_one_line(
    server: EmbeddedPostgres, break_it: Callable[[object], object], message: str
) -> None:
    """What is broken is said in one line that says what to do, and nothing is deleted or overwritten."""
    server.stop()
    linked = server.files.link.is_symlink()
    break_it(server.files)
    if (
        message.endswith("^$") and not linked
    ):  # inside the project the folder itself is gone: an empty start
        assert fetch(server.ensure_running(), "SELECT 1") == (1,)
        return
    with pytest.raises(EmbeddedPostgresError, match=message) as caught:
        server.ensure_running()
    assert len(str(caught.value).splitlines()) == 1


def test_binaries_below_a_closed_folder_are_run_too(tmp_path: Path) -> None:
    """A virtual environment that only its owner can enter is no obstacle, whoever runs the server."""
    installed = find_binaries().parent
    package = installed.parent
    closed = tmp_path / "closed"
    shutil.copytree(installed, closed / package.name / installed.name)
    if (libraries := package.with_name(f"{package.name}.libs")).exists():
        shutil.copytree(libraries, closed / libraries.name)
    closed.chmod(0o700)
    binaries = closed / package.name / installed.name / "bin"
    server = EmbeddedPostgres(tmp_path / "home", durable=False, binaries=binaries)
    try:
        assert fetch(server.ensure_running(), "SELECT 1") == (1,)
    finally:
        server.remove()


def test_missing_binaries_are_told_in_one_line(tmp_path: Path) -> None:
    """A folder without PostgreSQL's programs gives an error that names the way out."""
    server = EmbeddedPostgres(tmp_path / "home", binaries=tmp_path)
    try:
        with pytest.raises(EmbeddedPostgresError, match="BIDBEACON_DATABASE_URL"):
            server.ensure_running()
    finally:
        server.remove()


def test_an_ordinary_user_can_run_it_too() -> None:
    """Without root the server runs as the user itself, with its data inside the home folder."""
    nobody = pwd.getpwnam("nobody")
    user = ServerUser(nobody.pw_uid, nobody.pw_gid)
    is_root = os.geteuid() == 0
    home = Path(tempfile.mkdtemp())
    binaries = find_binaries()
    if is_root:
        os.chown(home, user.uid, user.gid)
        binaries = reachable_binaries(binaries, user)

    def use_it() -> dict[str, object]:
        server = EmbeddedPostgres(home, durable=False, binaries=binaries)
        url = server.ensure_running()
        owner = psutil.Process(postmaster_pid(server)).uids().real
        answer = fetch(url, "SELECT 1")
        server.stop()
        return {"owner": owner, "answer": answer, "inside": not server.files.link.is_symlink()}

    try:
        expected = {"owner": user.uid if is_root else os.geteuid(), "answer": [1], "inside": True}
        assert in_child_process(use_it, user if is_root else None) == expected
    finally:
        shutil.rmtree(home)


def test_a_folder_without_rights_is_told_by_what_lacks_them() -> None:
    """One's own is told with its mode, another's as that; neither as the other."""
    nobody = pwd.getpwnam("nobody")
    is_root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    own, closed = folder / "own", Path("/root") if is_root else Path("/")
    own.mkdir(mode=0o000)
    if is_root:
        os.chown(own, nobody.pw_uid, nobody.pw_gid)

    def use_them() -> dict[str, object]:
        return {str(home): refusal_of(home) for home in (own, closed)}

    user = ServerUser(nobody.pw_uid, nobody.pw_gid) if is_root else None
    try:
        told = in_child_process(use_them, user)
    finally:
        own.chmod(0o700)  # without rights to it, only root could remove it
        shutil.rmtree(folder)
    expected = "Expected BIDBEACON_HOME to be a folder that you can write, got: "
    advice = "Repair it, or set BIDBEACON_HOME to a folder of your own."
    assert told == {
        str(own): f"{expected}{own}/postgres (the mode of {own} is 000). {advice}",
        str(
            closed
        ): f"{expected}{closed / 'postgres'} ({closed} belongs to another user). {advice}",
    }


def refusal_of(home: Path) -> str:
    """Return what is said of a home folder that can't be used, by the server and by `bidbeacon dev` alike."""
    with pytest.raises(UnusableHomeError) as caught:
        EmbeddedPostgres(home).ensure_running()
    with pytest.raises(UnusableHomeError, match="Expected BIDBEACON_HOME"), only_instance(home):
        pass
    return str(caught.value)


def in_child_process(action: Callable[[], dict[str, object]], user: ServerUser | None) -> object:
    """Run `action` in a forked child, as `user`, and return its answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if user is not None:
                os.setgroups([])
                os.setgid(user.gid)
                os.setuid(user.uid)
            answer: object = action()
        except BaseException as error:  # noqa: BLE001 - the parent shows it
            answer = repr(error)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    return answer


def settings_with(url: str) -> Settings:
    """Return settings that name a database."""
    return Settings(database_url=SecretStr(url))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_url_of_another_cluster_is_used_instead(server: EmbeddedPostgres, scheme: str) -> None:
    """BIDBEACON_DATABASE_URL leads to a second cluster, in each of its usual forms."""
    url = server.ensure_running()
    given = url.replace("postgresql", scheme, 1)
    assert resolve_database_url(settings_with(given)) == url


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    """The message names host and variable, and hides the password."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://someone:hidden-word@127.0.0.1:{unused.getsockname()[1]}/nowhere"
        with pytest.raises(
            DatabaseUnavailableError, match=r"BIDBEACON_DATABASE_URL .*doesn't answer"
        ) as caught:
            resolve_database_url(settings_with(url))
    assert "hidden-word" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_server_older_than_16_is_refused() -> None:
    """PostgreSQL 15 is named in the refusal, with what is needed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeter = threading.Thread(target=greet_as_postgres_15, args=(listener,))
        greeter.start()
        url = f"postgresql://someone@127.0.0.1:{listener.getsockname()[1]}/db?sslmode=disable&gssencmode=disable"
        with pytest.raises(
            DatabaseUnavailableError, match="is PostgreSQL 15: 16 or newer is needed"
        ):
            resolve_database_url(settings_with(url))
        greeter.join(timeout=10)


def greet_as_postgres_15(listener: socket.socket) -> None:
    """Speak the first words of PostgreSQL's protocol, version 3, as an old server would."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    client, _ = listener.accept()
    with client:
        client.recv(1024)
        client.sendall(
            message(b"R", struct.pack("!i", 0))
            + message(b"S", b"server_version\x0015.4\x00")
            + message(b"S", b"client_encoding\x00UTF8\x00")
            + message(b"Z", b"I")
        )
        client.recv(1024)
