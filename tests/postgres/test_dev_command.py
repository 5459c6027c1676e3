"""`bidbeacon dev` and `bidbeacon db start` as processes of their own."""

import signal

import httpx
import psutil
import psycopg
import pytest

from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.processes import Terminal, family_of, is_alive, kill_family, terminal

__all__ = ["terminal"]

REAL = {"BIDBEACON_ADS_API_CLIENT_ID": "amzn1.x"}


def command_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process; nothing if it has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def log_in(address: str) -> dict[str, str]:
    """Open the address of the login; return the headers that a browser sends from then on."""
    answer = httpx.get(address)
    assert (303, "/") == (answer.status_code, answer.headers["location"])
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_everything_runs_until_one_service_ends(terminal: Terminal) -> None:
    """All files are private, the failed service is named, and the others are stopped."""
    terminal.start("dev")
    for port in terminal.ports.values():
        assert f"http://127.0.0.1:{port}" in terminal.text()
    login = terminal.call("login")[1].strip()
    assert f"\n{login}\n" in terminal.text()
    address = f"http://127.0.0.1:{terminal.ports['BIDBEACON_STREAM_PORT']}"
    for headers, allowed in ({}, False), (log_in(login), True):
        answer = httpx.get(f"{address}/api/changes", headers=headers)
        assert allowed == answer.json()["allowed"]
    token = login.partition("token=")[2]
    assert not any(token in path.read_text() for path in (terminal.home / "logs").iterdir())
    modes = {path.name: path.stat().st_mode & 0o777 for path in terminal.home.iterdir()}
    private = {"logs": 0o700, "dagster": 0o700, "env": 0o600, "dev.lock": 0o600}
    assert private | {"postgres": 0o711} == modes
    assert (terminal.home / "dagster/dagster.yaml").samefile(PROJECT_ROOT / "dagster.yaml")
    logs = (terminal.home / "logs").iterdir()
    assert {0o600} == {path.stat().st_mode & 0o777 for path in logs}
    assert 0o711 == terminal.home.stat().st_mode & 0o777
    processes = family_of(terminal.process)
    [stream] = [each for each in processes if "stream" in command_of(each)]
    stream.kill()
    assert 1 == terminal.process.wait(60)
    assert "stream: the service ended (exit code -9). The end of" in terminal.text()
    assert not any(map(is_alive, processes))


@pytest.mark.timeout(600)
def test_database_serves_other_terminals(terminal: Terminal) -> None:
    """Sandbox and Amazon have a database each; data survive a kill of everything, and Ctrl-C ends it in an orderly way."""
    terminal.start("db", "start")
    url = terminal.call("db", "url")[1].strip()
    assert EmbeddedPostgres(terminal.home, "sandbox").url() == url
    assert url not in terminal.text()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    code, refusal = terminal.call("db", "start")
    assert (1, True) == (code, "is already running for" in refusal)

    kill_family(terminal.process)
    terminal.start("db", "start")
    with psycopg.connect(EmbeddedPostgres(terminal.home, "sandbox").url()) as connection:
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()
    assert 0 == terminal.call("accounts", "list")[0]
    processes = family_of(terminal.process)
    terminal.process.send_signal(signal.SIGINT)
    assert 0 == terminal.process.wait(60)
    assert not any(map(is_alive, processes))
    assert "Traceback" not in terminal.text()
    assert not (terminal.home / "env").exists()  # with it, commands know no database

    terminal.start("db", "start", **REAL)
    assert "data of the real Amazon" in terminal.call("accounts", "list")[1]
