"""What is wrong with a command, a setting or the machine is one line and an exit code, whatever it is."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.database.address import store_mode
from bidbeacon_pipelines.settings import PROJECT_ROOT, Mode, get_settings
from tests.support.commands import run_command

COMMAND = (sys.executable, "-m", "bidbeacon_pipelines")
NOBODY = "00000000-0000-0000-0000-000000000000"
WITH_ACCOUNT = ("--account", "US.x")
LOAD = ("load", *WITH_ACCOUNT)
REAL = {
    "BIDBEACON_ADS_API_CLIENT_ID": "amzn1.x",
    "BIDBEACON_ADS_API_CLIENT_SECRET": "x",
    "BIDBEACON_ADS_API_REFRESH_TOKEN": "x",
}
DAY = "window: expected a day like 2026-11-23"
NO_DATASET = "expected a dataset (daily_campaigns,"
DAY_OR_DAYS = "last-week, this-month, last-month), got: "
NO_ACCOUNT = "No account 'nope': `bidbeacon accounts list` shows all accounts"

FAILED, USAGE = 1, 2

WRONG = [
    (("accounts", "resume", "nope"), NO_ACCOUNT, USAGE),
    (("accounts", "pause", ""), "No account ''", USAGE),
    (("accounts", "cadence", "US.x", "--every", "-5m"), "expected a duration like 6h", USAGE),
    (("accounts", "cadence", "US.x", "--cron", "@daily"), "expected five fields", USAGE),
    ((*LOAD, "--window", "2026-11-20.."), f"{DAY_OR_DAYS}'2026-11-20..'", USAGE),
    ((*LOAD, "--window", "..2026-11-20"), f"{DAY_OR_DAYS}'..2026-11-20'", USAGE),
    ((*LOAD, "--window", "0001-01-01"), f"{DAY_OR_DAYS}'0001-01-01'", USAGE),
    ((*LOAD, "--window", "9999-12-31"), f"{DAY_OR_DAYS}'9999-12-31'", USAGE),
    ((*LOAD, "--window", "2026-11-20", "--dataset", "weather"), NO_DATASET, USAGE),
    (("explain", *WITH_ACCOUNT, "--window", ""), f"{DAY}, today or yesterday, got: ''", USAGE),
    (("restatements", "--account", "nope", "--window", "2026-11-23"), NO_ACCOUNT, USAGE),
    (("quarantine", "list", "--account", "nope"), NO_ACCOUNT, USAGE),
    (("quarantine", "list", "--dataset", "nope"), NO_DATASET, USAGE),
    (("quarantine", "list", "--window", "today"), "window: today needs --account,", USAGE),
    (("quarantine", "replay", "--account", "nope"), NO_ACCOUNT, USAGE),
    (("entities", "sync", "--country", "ZA"), "There is no account in ZA", USAGE),
    (("entities", "list", "--country", "za"), "There is no account in ZA", USAGE),
    (("sessions", "list", "account:nope"), NO_ACCOUNT, USAGE),
    (("sessions", "list", "window:x"), f"{DAY}, got: 'x'", USAGE),
    (("sessions", "list", "dataset:x"), NO_DATASET, USAGE),
    (
        ("sessions", "list", "type:x"),
        "type: expected an action of docs/reference/actions.md",
        USAGE,
    ),
    (("sessions", "list", "status:fine"), "status: expected 'running',", USAGE),
    (("sessions", "list", "since:soon"), "since: expected 2h, 3d,", USAGE),
    (("sessions", "list", "jobs:x"), "Expected one of job:…, account:…,", USAGE),
    (("sessions", "list", "status:faild"), "got: 'faild'. Did you mean failed?", USAGE),
    (("sessions", "list", "type:report-faild"), "Did you mean report-failed?", USAGE),
    (("sessions", "list", "acount:x"), "got: 'acount:x'. Did you mean account:?", USAGE),
    (("quarantine", "list", "--dataset", "daily_target"), "Did you mean daily_targets?", USAGE),
    (("sessions", "show", NOBODY), f"No session {NOBODY}", FAILED),
]
"""What is run, what its line says, and how it ends."""

OUT_OF_RANGE = [
    ("stream", "--port", "99999"),
    ("stream", "--port", "-1"),
    ("quarantine", "list", "--limit", "-1"),
    ("sessions", "list", "--limit", "9" * 30),
    ("sessions", "tail", "--last", "-1"),
    ("sessions", "show", "nonsense"),
]
"""What is refused before the command begins."""


def call(
    *arguments: str | bytes, after: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command as a shell does, with what stands behind it."""
    script = f'"$@" {after}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, *arguments],
        env=os.environ | environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=60,
        check=False,
    )


@pytest.fixture
def database(shared_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let commands work on a database that none of them changes."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", shared_database_url)
    get_settings.cache_clear()
    return shared_database_url


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("arguments", "line", "code"), WRONG, ids=str)
def test_what_is_wrong_is_one_line(arguments: Sequence[str], line: str, code: int) -> None:
    """It says what was expected and what came; 1 if the command failed, 2 if what was asked for cannot be done."""
    result = run_command(*arguments, code=code)
    assert line in result.stderr
    assert (1, "") == (len(result.stderr.splitlines()), result.stdout)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("arguments", OUT_OF_RANGE, ids=str)
def test_what_no_option_takes_is_wrong_usage(arguments: Sequence[str]) -> None:
    """The message names the option or the argument."""
    assert "Invalid value for" in run_command(*arguments, code=USAGE).stderr


@pytest.mark.parametrize(
    ("home", "refused", "reason"),
    [
        ("/proc/x", "/proc/x", "No such file or directory"),
        ("/dev/null/x", "/dev/null", "File exists"),
        (f"/tmp/{'x' * 300}", f"/tmp/{'x' * 300}", "File name too long"),
    ],
    ids=["no disk", "below a file", "long"],
)
def test_a_home_that_can_not_be_made_is_one_line(
    home: str, refused: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the setting, the path, and why the system refuses it."""
    monkeypatch.setenv("BIDBEACON_HOME", home)
    [said] = run_command("dev", code=FAILED).output.splitlines()
    expected = "Expected BIDBEACON_HOME to be a folder that you can write, got: "
    assert said.startswith(f"{expected}{refused}")
    assert f"({reason})" in said


def test_doctor_tells_that_no_database_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside all else that it looks at, whatever the home folder is."""
    monkeypatch.setenv("BIDBEACON_HOME", f"/tmp/{'x' * 300}")
    get_settings.cache_clear()
    result = run_command("doctor", code=FAILED)
    assert isinstance(result.exception, SystemExit)
    assert "No database is running: start" in " ".join(result.stdout.split())


@pytest.mark.parametrize("command", [("refresh",), ("load", "--window", "2026-11-23")], ids=str)
def test_without_a_database_nothing_can_be_asked(
    command: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line without the password says what starts one, and the command exits as for anything else that can't be asked."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", "postgresql://ann:secret@127.0.0.1:1/nothing")
    get_settings.cache_clear()
    result = run_command(*command, *WITH_ACCOUNT, code=USAGE)
    assert result.stderr.startswith("The database at postgresql://ann:•••@127.0.0.1:1/nothing does")
    assert "start it (`bidbeacon dev` and `bidbeacon db start` start the embe" in result.stderr
    assert 1 == len(result.stderr.splitlines())


@pytest.mark.parametrize(
    ("mode", "variables", "said"),
    [
        ("sandbox", REAL, "holds the sandbox's data, but Amazon credentials are set"),
        ("real", {}, "holds data of the real Amazon, but neither BIDBEACON_ADS_API_CLIENT_ID nor"),
    ],
)
def test_data_of_sandbox_and_amazon_never_mix(
    database_url: str,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    variables: dict[str, str],
    said: str,
) -> None:
    """A database of the one is refused by what works with the other, and is not upgraded either."""
    with engine.begin() as connection:
        store_mode(connection, mode)
    for name, value in {"BIDBEACON_DATABASE_URL": database_url, **variables}.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    for command in (("accounts", "list"), ("db", "upgrade")):
        assert said in run_command(*command, code=USAGE).stderr


def test_bytes_that_are_not_utf_8_are_refused(database: str) -> None:
    """In any argument, before anything is done with it."""
    result = call("accounts", "resume", b"caf\xe9", BIDBEACON_DATABASE_URL=database)
    said = "Expected arguments in UTF-8, got: 'caf\\udce9'.\n"
    assert (USAGE, said) == (result.returncode, result.stderr)


def test_an_interrupt_while_modules_are_imported_is_one_line(tmp_path: Path) -> None:
    """As at any other time."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    result = call("accounts", "list", PYTHONPATH=str(tmp_path))
    assert (130, "Interrupted.\n") == (result.returncode, result.stderr)


NO_SPACE = "The operating system refused: [Errno 28] No space left on device.\n"


@pytest.mark.parametrize(
    ("after", "codes", "said", "encoding"),
    [
        pytest.param(">&-", {0}, "", "", id="closed"),
        pytest.param(">/dev/full", {1}, NO_SPACE, "", id="a full disk"),
        pytest.param("2>&-", {0}, "", "", id="errors closed"),
        pytest.param("| true", {0, 1}, "", "", id="nobody reads"),
        pytest.param("", {0}, "", "ascii", id="ASCII only"),
    ],
)
def test_output_goes_where_it_can(
    database: str, after: str, codes: set[int], said: str, encoding: str, tmp_path: Path
) -> None:
    """Without a traceback, wherever that is."""
    own = {"BIDBEACON_DATABASE_URL": database, "BIDBEACON_HOME": str(tmp_path)}
    result = call("accounts", "list", after=after, PYTHONIOENCODING=encoding, **own)
    assert said == result.stderr
    assert result.returncode in codes
