"""Which services `bidbeacon dev` runs, and what they and other terminals get."""

import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.dev import services
from bidbeacon_pipelines.dev.environment import (
    make_dagster_home,
    service_environment,
    shared_environment,
    shared_with_other_terminals,
)
from bidbeacon_pipelines.dev.services import LocalError, Service, dagster_problem, list_services
from bidbeacon_pipelines.reports.gates import LARGEST_LIMIT
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_sessions.settings import read_settings

DATABASE_URL = "postgresql://someone:hidden-word@127.0.0.1:5432/db?options=-c%20geqo%3Don"
REAL = Settings(ads_api_client_id="amzn1.x")


def test_sandbox_runs_unless_credentials_are_set() -> None:
    """Stream and Dagster's processes run in both cases."""
    others = ["stream", "code-server", "daemon", "dagster"]
    assert ["sandbox", *others] == [one.name for one in list_services(Settings(), 4000)]
    assert others == [one.name for one in list_services(REAL, 4000)]
    sandbox = list_services(Settings(), 4000)[0]
    assert f"max_reports_in_flight={LARGEST_LIMIT:g}" in sandbox.command


def test_each_service_gets_its_port() -> None:
    """Ports of the settings reach commands and addresses; one that listens everywhere is asked on loopback."""
    everywhere: dict[str, Any] = {"bind_host": "0.0.0.0", "allow_other_machines": True}
    ports = {"sandbox": 5040, "stream": 5030, "code-server": 4000, "dagster": 5000}
    settings = Settings(dagster_port=5000, stream_port=5030, sandbox_port=5040, **everywhere)
    found = {one.name: one for one in list_services(settings, 4000)}
    assert ports == {name: one.port for name, one in found.items() if one.port}
    for name, port in ports.items():
        assert str(port) in found[name].command
        assert f"http://127.0.0.1:{port}" == found[name].url


def test_more_reports_are_in_flight_at_first_with_the_sandbox() -> None:
    """The setting wins, and with credentials nothing else counts."""
    name = "BIDBEACON_FIRST_REPORTS_IN_FLIGHT"
    assert "8" == shared_environment(Settings(), DATABASE_URL)[name]
    assert "3" == shared_environment(Settings(first_reports_in_flight=3), DATABASE_URL)[name]
    assert "2" == shared_environment(REAL, DATABASE_URL)[name]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), "true"),
        (Settings(stream_changes_without_token=False), "false"),
        (Settings(stream_token=SecretStr("a-long-random-token")), "false"),
        (Settings(stream_public_url="https://stream.example.com"), "false"),
    ],
)
def test_changes_need_no_token_where_nobody_else_can_ask(settings: Settings, expected: str) -> None:
    """Neither beside a token or a public address, nor where the setting forbids it; other terminals don't inherit it."""
    name = "BIDBEACON_STREAM_CHANGES_WITHOUT_TOKEN"
    assert expected == service_environment(settings, {})[name]
    assert name not in shared_environment(settings, DATABASE_URL)


def test_database_address_is_in_no_command() -> None:
    """The password travels by environment only."""
    commands = [one.command for one in list_services(Settings(), 4000)]
    assert not any("postgresql" in argument for command in commands for argument in command)


def test_dagster_home_has_the_projects_configuration_and_our_code_server(tmp_path: Path) -> None:
    """It is an absolute folder of the local state, also at a second start."""
    settings = Settings(home=tmp_path / "state")
    for port in (4000, 4001):
        make_dagster_home(settings, port)
    home = Path(shared_environment(settings, DATABASE_URL)["DAGSTER_HOME"])
    assert home.is_absolute()
    assert (home / "dagster.yaml").samefile(PROJECT_ROOT / "dagster.yaml")
    assert '"port": 4001, "location_name": "bidbeacon"' in (home / "workspace.yaml").read_text()


def test_other_terminals_get_the_settings_of_this_start(tmp_path: Path) -> None:
    """Shells and our settings read the same from the file, which is private and goes at the end."""
    settings = Settings(home=tmp_path / "a home; ü", stream_port=4030)
    settings.home.mkdir()
    file, shared = settings.home / "env", shared_environment(settings, DATABASE_URL)
    dot_env = tmp_path / ".env"
    dot_env.write_text(f"BIDBEACON_HOME='{settings.home}'\nBIDBEACON_SANDBOX_PORT=4040\n")
    with shared_with_other_terminals(settings, shared), pytest.MonkeyPatch.context() as patch:
        patch.delenv("BIDBEACON_HOME")
        assert 0o600 == file.stat().st_mode & 0o777
        script = f"set -a; . '{file}'; exec env"
        printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        assert (
            shared.items()
            <= dict(
                line.split("=", 1) for line in printed.stdout.splitlines() if "=" in line
            ).items()
        )
        read = read_settings(Settings, dot_env)
        assert read.database_url == SecretStr(DATABASE_URL)
        assert (read.stream_port, read.sandbox_port) == (4030, 4040)
        patch.setenv("BIDBEACON_STREAM_PORT", "4031")
        assert 4031 == read_settings(Settings, dot_env).stream_port
        assert read_settings(Settings, dot_env, running=False).database_url is None
    assert not file.exists()


def test_home_that_no_shell_reads_in_the_same_way_is_refused(tmp_path: Path) -> None:
    """The error names the variable."""
    with (
        pytest.raises(LocalError, match=r"^BIDBEACON_HOME: expected no quotes"),
        shared_with_other_terminals(Settings(home=tmp_path), {"BIDBEACON_HOME": "/it's mine"}),
    ):
        pass


LOADED = {"__typename": "RepositoryLocation"}
STARTING = {"__typename": "PythonError", "className": services.STARTING, "message": "refused"}


@pytest.mark.parametrize(
    ("location", "healthy", "problem"),
    [
        (LOADED, True, None),
        (LOADED, False, "no heartbeat of SENSOR"),
        (STARTING, True, "the code location has not loaded"),
        (None, True, "the code location has not loaded"),
    ],
)
def test_dagster_is_ready_when_location_and_daemons_are(
    monkeypatch: pytest.MonkeyPatch, location: object, healthy: object, problem: str | None
) -> None:
    """The message names the missing part: the location, or the daemon."""
    dagster = answering(monkeypatch, location, healthy=healthy)
    assert problem == dagster_problem(dagster)


def test_definitions_that_cannot_be_loaded_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting would not help."""
    broken = {"__typename": "PythonError", "className": "NameError", "message": "no such name"}
    with pytest.raises(LocalError, match="can't load the definitions: no such name"):
        dagster_problem(answering(monkeypatch, broken, healthy=True))


def answering(monkeypatch: pytest.MonkeyPatch, location: object, *, healthy: object) -> Service:
    """Return a webserver that says this of its code location and a daemon."""
    daemons = [{"daemonType": "SENSOR", "required": True, "healthy": healthy}]
    data = {
        "workspaceOrError": {"locationEntries": [{"locationOrLoadError": location}]},
        "instance": {"daemonHealth": {"allDaemonStatuses": daemons}},
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": data}))
    monkeypatch.setattr(services, "_web", lambda: httpx.Client(transport=transport))
    return list_services(Settings(), 4000)[-1]
