"""The services of `bidbeacon dev`, and the environment that they and other terminals get."""

import subprocess
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.dev import services
from bidbeacon_pipelines.dev.environment import (
    LOGIN_VARIABLE,
    shared_environment,
    shared_with_other_terminals,
)
from bidbeacon_pipelines.dev.services import LocalError, dagster_problem, list_services
from bidbeacon_pipelines.requests.gate_rules import LARGEST_LIMIT
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.settings_files import read_settings

DATABASE_URL = "postgresql://someone:hidden-word@127.0.0.1:5432/db?options=-c%20geqo%3Don"
REAL = Settings(ads_api_client_id="amzn1.x")


def test_each_service_gets_its_port() -> None:
    """Services that listen everywhere are asked on loopback; no command has the database's password."""
    given = {"dagster_port": 5000, "stream_port": 5030, "sandbox_port": 5040}
    everywhere = {"bind_host": "0.0.0.0", "allow_other_machines": True}
    settings = Settings.model_validate(given | everywhere | {"database_url": DATABASE_URL})
    found = {one.name: one for one in list_services(settings, 4000)}
    assert list(found) == ["sandbox", "stream", "code-server", "daemon", "dagster"]
    ports = {"sandbox": 5040, "stream": 5030, "code-server": 4000, "dagster": 5000}
    for name, port in ports.items():
        assert str(port) in found[name].command
        assert f"http://127.0.0.1:{port}" == found[name].url
    assert "http://127.0.0.1:5030" in found["sandbox"].command
    assert "hidden-word" not in str([one.command for one in found.values()])


def test_sandbox_runs_unless_credentials_are_set() -> None:
    """It makes as many reports at a time as the gate ever allows, and more of them at first."""
    assert f"{LARGEST_LIMIT:g}" == list_services(Settings(), 4000)[0].command[-1]
    assert "stream" == list_services(REAL, 4000)[0].name
    given = (Settings(), Settings(first_reports_in_flight=3), REAL)
    environments = [shared_environment(settings, DATABASE_URL) for settings in given]
    name = "BIDBEACON_FIRST_REPORTS_IN_FLIGHT"
    assert ["8", "3", "2"] == [environment[name] for environment in environments]


def test_each_start_makes_a_token_for_changes() -> None:
    """Unless a token is set, which guards everything or changes."""
    starts = [shared_environment(Settings(), DATABASE_URL) for _ in range(2)]
    first, second = (Settings(stream_changes_token=start[LOGIN_VARIABLE]) for start in starts)
    assert first.stream_changes_token != second.stream_changes_token
    for name in ("stream_token", "stream_changes_token"):
        given = Settings.model_validate({name: "a-long-random-token"})
        assert LOGIN_VARIABLE not in shared_environment(given, DATABASE_URL)


def test_other_terminals_get_the_settings_of_this_start(tmp_path: Path) -> None:
    """Shells and our settings read the same from a private file, which is removed at the end."""
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
        lines = printed.stdout.splitlines()
        assert {f"{name}={value}" for name, value in shared.items()}.issubset(lines)
        read = read_settings(Settings, dot_env)
        assert read.database_url == SecretStr(DATABASE_URL)
        assert (read.stream_port, read.sandbox_port) == (4030, 4040)
        patch.setenv("BIDBEACON_STREAM_PORT", "4031")
        assert 4031 == read_settings(Settings, dot_env).stream_port
        assert read_settings(Settings, dot_env, running=False).database_url is None
    assert not file.exists()


def test_home_with_a_quote_in_its_name_is_refused(tmp_path: Path) -> None:
    """Shells and our settings would read it differently."""
    with (
        pytest.raises(LocalError, match=r"^BIDBEACON_HOME: expected a value without single quotes"),
        shared_with_other_terminals(Settings(home=tmp_path), {"BIDBEACON_HOME": "/it's mine"}),
    ):
        pass


def test_part_of_dagster_that_is_not_ready_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions that can't be loaded are an error, since waiting would not help."""

    def problem(error: str | None = None, *, healthy: bool = True) -> str | None:
        kind = "PythonError" if error else "RepositoryLocation"
        found = {"__typename": kind, "className": error, "message": "no such name"}
        daemons = [{"daemonType": "SENSOR", "required": True, "healthy": healthy}]
        data = {
            "workspaceOrError": {"locationEntries": [{"locationOrLoadError": found}]},
            "instance": {"daemonHealth": {"allDaemonStatuses": daemons}},
        }
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": data}))
        monkeypatch.setattr(services, "_web", lambda: httpx.Client(transport=transport))
        return dagster_problem(list_services(REAL, 4000)[-1])

    assert problem() is None
    assert "no heartbeat from daemon SENSOR" == problem(healthy=False)
    assert "the code location has not loaded" == problem(services.STARTING)
    with pytest.raises(LocalError, match="can't load the definitions: no such name"):
        problem("NameError")
