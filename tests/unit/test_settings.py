"""Settings that are invalid are said in a line each, and every process reads the same `.env`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings, get_settings
from bidbeacon_pipelines.settings_files import read_settings
from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.presentation import session_url

SHARE_LINE = (
    "BIDBEACON_BAD_ROW_SHARE: expected less than or equal to 1; got '2', set in the environment.\n"
)
A_VALUE = "a value; remove the variable to use the default"
AN_ADDRESS = "an address such as http://127.0.0.1:3030 or https://stream.example.com"
LOOPBACK = "a loopback address such as 127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("STREAM_PORT", "", A_VALUE),
        ("HOME", "", A_VALUE),
        ("HOME", "caf\udce9", "text in UTF-8"),
        ("ADS_API_CLIENT_ID", " ", A_VALUE),
        ("STREAM_PORT", "0", "greater than or equal to 1"),
        ("SANDBOX_PORT", "99999", "less than or equal to 65535"),
        ("DAGSTER_PORT", "abc", "a valid integer, unable to parse string as an integer"),
        ("BAD_ROW_SHARE", "2", "less than or equal to 1"),
        ("BAD_ROW_SHARE", "nan", "a finite number"),
        ("HEARTBEAT_SECONDS", "inf", "a finite number"),
        ("BY_HAND_WAIT_MINUTES", "9" * 30, "less than or equal to 1440"),
        ("ADS_API_CREDENTIAL_REGION", "US", "'NA', 'EU' or 'FE'"),
        ("PARTITION_MONTHS", "61", "less than or equal to 60"),
        ("BIND_HOST", "http://a", "an IP address or a host name, such as 127.0.0.1"),
        ("BIND_HOST", "0.0.0.0", f"{LOOPBACK}, unless BIDBEACON_ALLOW_OTHER_MACHINES=true is set"),
        ("STREAM_PUBLIC_URL", "http://[", AN_ADDRESS),
        ("DAGSTER_PUBLIC_URL", "stream.example.com\x1b[1m", AN_ADDRESS),
    ],
)
def test_an_invalid_setting_is_said_in_one_line(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable, what was expected, what came, and where it was set."""
    monkeypatch.setenv(f"BIDBEACON_{name}", value)
    with pytest.raises(SettingsError) as refused:
        get_settings()
    said = f"BIDBEACON_{name}: expected {expected}; got {value!r}, set in the environment."
    assert said == str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://bob:SE@CRET@db/ads"),
        ("DATABASE_URL", "mysql://bob:SECRET@db/ads"),
        ("STREAM_TOKEN", ""),
        ("STREAM_TOKEN", "SECRET-letters-"),
        ("STREAM_TOKEN", "SECRET with blanks in it"),
        ("STREAM_TOKEN", "SECRET-ä-not-ascii"),
        ("STREAM_TOKEN", "SECRET-\udce9-not-utf-8"),
        ("STREAM_TOKEN", "SECRET\nof two lines"),
    ],
)
def test_a_secret_that_is_invalid_is_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty token does not mean that there is none, which would open the stream."""
    monkeypatch.setenv(f"BIDBEACON_{name}", value)
    line = f"^BIDBEACON_{name}: expected .* its value is not shown, set"
    with pytest.raises(SettingsError, match=line) as refused:
        get_settings()
    assert "CRET" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_all_problems_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of sessions and of the pipelines, a line each; what depends on an invalid one is not a problem of its own."""
    for name in ("STREAM_PORT", "DAGSTER_PORT", "BAD_ROW_SHARE"):
        monkeypatch.setenv(f"BIDBEACON_{name}", "x")
    with pytest.raises(SettingsError) as refused:
        get_settings()
    assert 3 == len(refused.value.problems) == len(str(refused.value).splitlines())


def test_the_file_is_named_where_a_setting_is_from_there(tmp_path: Path) -> None:
    """The line ends with the path of the `.env`."""
    env_file = tmp_path / ".env"
    env_file.write_text("\ufeffBIDBEACON_STREAM_PORT=x\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="BIDBEACON_STREAM_PORT: ") as refused:
        read_settings(Settings, env_file)
    assert str(refused.value).endswith(f"set in {env_file}.")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("BIDBEACON_STREM_PORT", "BIDBEACON_STREAM_PORT"),
        ("bidbeacon_partition_month", "BIDBEACON_PARTITION_MONTHS"),
        ("BIDBEACON_XY", "the name of a setting"),
    ],
)
def test_misspelt_setting_in_the_file_is_refused(given: str, expected: str, tmp_path: Path) -> None:
    """The line names the nearest setting, and variables of other programs may stand beside ours."""
    env_file = tmp_path / ".env"
    env_file.write_text("AWS_REGION=eu-west-1\nSTREAM_PORT=x\n")
    assert 3030 == read_settings(Settings, env_file, running=False).stream_port
    env_file.write_text(f"AWS_REGION=eu-west-1\n{given}=1\n")
    with pytest.raises(SettingsError) as refused:
        read_settings(Settings, env_file)
    assert f"{given.upper()}: unknown name; expected {expected}, set in {env_file}." == str(
        refused.value
    )


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The line says which byte it is, and shows none."""
    env_file = tmp_path / ".env"
    env_file.write_bytes("BIDBEACON_STREAM_TOKEN=geheim-für-immer\n".encode("latin-1"))
    with pytest.raises(SettingsError) as refused:
        read_settings(Settings, env_file)
    assert f"{env_file}: expected UTF-8, but byte 32 is not: save the file as UTF-8." == str(
        refused.value
    )
    assert refused.value.__cause__ is None


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """It is not taken for one that isn't there: that would open what it closes."""
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingsError, match=r"\.env can't be read: Is a directory\.$"):
        read_settings(Settings, tmp_path / ".env")


@pytest.mark.parametrize(
    "command", [["accounts", "list"], ["dev"], ["db", "url"], ["doctor"], ["stream"]]
)
def test_a_command_ends_with_2(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the command, an invalid setting is one line and exit code 2."""
    monkeypatch.setenv("BIDBEACON_BAD_ROW_SHARE", "2")
    result = CliRunner().invoke(app, command)
    assert 2 == result.exit_code
    assert SHARE_LINE == result.stderr


def test_the_definitions_say_it_too() -> None:
    """As the last line of what is printed, and no secret above it: Dagster shows all of that where it loads them."""
    environment = {**os.environ, "BIDBEACON_STREAM_TOKEN": "SECRET", "BIDBEACON_BAD_ROW_SHARE": "2"}
    result = subprocess.run(
        [sys.executable, "-c", "import bidbeacon_pipelines.definitions"],
        env=environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == result.returncode
    assert result.stderr.endswith(SHARE_LINE)
    assert "SECRET" not in result.stderr


def test_a_port_alone_is_in_every_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links lead to the port that the stream listens on, without another setting for them."""
    monkeypatch.setenv("BIDBEACON_STREAM_PORT", "4030")
    monkeypatch.setenv("BIDBEACON_DAGSTER_PORT", "4000")
    assert "http://127.0.0.1:4030/sessions/1" == session_url("1")
    assert "http://127.0.0.1:4030" == get_settings().stream_public_url
    assert "http://127.0.0.1:4000" == get_settings().dagster_public_url


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"BIND_HOST": "127.0.0.2"}, "http://127.0.0.2:4040"),
        ({"BIND_HOST": "::1"}, "http://[::1]:4040"),
        ({"BIND_HOST": "0.0.0.0"}, "http://127.0.0.1:4040"),
        ({"SANDBOX_URL": "http://sandbox.internal:3040"}, "http://sandbox.internal:3040"),
    ],
)
def test_clients_find_the_sandbox_where_it_listens(
    more: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Host and port move its clients along; another machine's is a setting."""
    given = {"SANDBOX_PORT": "4040", "ALLOW_OTHER_MACHINES": "true", **more}
    for name, value in given.items():
        monkeypatch.setenv(f"BIDBEACON_{name}", value)
    assert expected == read_settings(Settings).sandbox_url


def test_a_relative_home_is_the_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processes of different working directories share one database."""
    monkeypatch.setenv("BIDBEACON_HOME", "state")
    monkeypatch.chdir(tmp_path)
    assert PROJECT_ROOT / "state" == get_settings().home
    assert PROJECT_ROOT / "state" / "downloads" == get_settings().scratch_folder


def test_every_process_reads_the_projects_file(tmp_path: Path) -> None:
    """Sessions and pipelines see the `.env` beside `workspace.yaml`, and not one of the working directory."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for package in ("bidbeacon_pipelines", "bidbeacon_sessions"):
        shutil.copytree(
            PROJECT_ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(PROJECT_ROOT / "workspace.yaml", project)
    for folder, port in ((project, 4040), (elsewhere, 5050)):
        token = f"BIDBEACON_STREAM_TOKEN=token-of-{folder.name}"
        (folder / ".env").write_text(f"{token}\nBIDBEACON_SANDBOX_PORT={port}\n")
    program = """
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.server.auth import Access
print(get_settings().sandbox_port, Access.for_host("127.0.0.1").token)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(project)},
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "4040 token-of-project\n" == result.stdout
