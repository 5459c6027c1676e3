"""The commands `bidbeacon load` and `refresh` and their companions on a real database, against the sandbox over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta

import pytest
from sqlalchemy import func
from typer.testing import CliRunner, Result

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.dagster.runs import hold_reports
from tests.support.rows import change_windows, remove_requests
from tests.support.waiting import wait_until
from tests.support.world import World


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments))


def test_load_prints_its_timeline_and_ends_with_0(stocked: World) -> None:
    """The sentences of queued, requested and loaded appear in their order, then the session's status."""
    account, day = stocked.account(), stocked.day()
    result = run("load", "--account", account.account_key, "--window", str(day))
    assert result.exit_code == 0, result.output
    places = [result.stdout.index(word) for word in ("Queued", "Requested", "Loaded", "succeeded")]
    assert sorted(places) == places
    assert [] == [line for line in result.stdout.splitlines() if f"│ {account.label} " in line], (
        "the session's own account"
    )
    assert stocked.true_sums(account, day) == stocked.stored_sums(account, day)
    assert stocked.one_session("load-windows")["input"]["via"] == "command line"


def test_load_as_json_is_one_document(stocked: World) -> None:
    """`--json` prints the session with its actions, and nothing else."""
    account, day = stocked.account(), stocked.day()
    result = run("load", "--account", account.account_key, "--window", f"{day}..{day}", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["status"] == "succeeded"
    assert "report-processed" in [action["type"] for action in told["actions"]]


def test_refresh_has_on_its_way_what_is_due_and_ends_with_0(stocked: World) -> None:
    """It plans and creates reports as far as the gate allows, and waits for nothing."""
    hold_reports(stocked)
    result = run("refresh", "--account", stocked.account("JP").account_key)
    assert result.exit_code == 0, result.output
    assert len(stocked.accepted()) == 2
    assert stocked.one_session("refresh-account")["status"] == "succeeded"


def test_refresh_ends_with_1_where_something_due_is_not_on_its_way(stocked: World) -> None:
    """Such as a day whose report failed and that is asked for again later."""
    account = stocked.account("JP")
    hold_reports(stocked)
    assert run("refresh", "--account", account.account_key).exit_code == 0
    change_windows(
        stocked.engine,
        status="loaded",
        request_id=None,
        next_refresh_at=None,
        last_loaded_at=func.now(),
        data_as_of=func.now(),
    )
    remove_requests(stocked.engine)
    change_windows(
        stocked.engine,
        ReportWindow.dataset == "daily_targets",
        ReportWindow.window_date == stocked.day(),
        status="failed",
    )
    result = run("refresh", "--account", account.account_key)
    assert result.exit_code == 1
    assert "1 window is due or failed and not on the way" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--account", "{key}", "--window", "2019-01-01"), "got: 2019-01-01."),
        (
            ("--account", "{key}", "--window", "2019-01-01..2019-12-31"),
            "got: 365 days, 2019-01-01 to 2019-12-31.",
        ),
        (
            ("--account", "{key}", "--window", "2030-01-01"),
            "over in the account's time zone (America/Los_Angeles), got: 2030-01-01.",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    stocked: World, arguments: Sequence[str], said: str
) -> None:
    """The command requests nothing from Amazon and begins no session, so Home does not show a failed one."""
    key = stocked.account().account_key
    result = run("load", *(argument.format(key=key) for argument in arguments))
    assert result.exit_code == 2
    assert said in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output
    assert stocked.accepted() == []
    assert stocked.sessions_of("load-windows") == []


def test_a_day_past_a_shorter_history_cannot_be_asked(stocked: World) -> None:
    """Amazon serves fewer days of the reports than the registry says: that is known before anything is requested."""
    stocked.shorten_history(30)
    key = stocked.account().account_key
    result = run("load", "--account", key, "--window", str(stocked.day(40)))
    assert result.exit_code == 2
    assert f"got: {stocked.day(40)}." in result.stderr.replace("\n", " ")
    assert stocked.sessions_of("load-windows") == []


def test_nothing_is_asked_for_a_stopped_account(stocked: World) -> None:
    """The reason is one line; no session begins."""
    key = stocked.account().account_key
    assert run("accounts", "pause", key).exit_code == 0
    for command in (("refresh",), ("load", "--window", str(stocked.day()))):
        result = run(*command, "--account", key)
        assert result.exit_code == 2
        assert "The account is paused" in result.stderr
    assert stocked.sessions_of("load-windows") == stocked.sessions_of("refresh-account") == []


def test_load_of_days_that_end_in_the_future_loads_the_others_and_fails(stocked: World) -> None:
    """The session says which days are not over; the command exits with 1, since not all are loaded.

    The dataset has several reports, so that there are as many loaded windows as days.
    """
    account = stocked.account()
    yesterday = stocked.yesterday_of(account)
    days = f"{yesterday}..{yesterday + timedelta(days=1)}"
    of = ("--account", account.account_key, "--dataset", "daily_products")
    result = run("load", *of, "--window", days)
    assert result.exit_code == 1, result.output
    session = stocked.one_session("load-windows")
    skipped = [one for one in session["actions"] if one["type"] == "window-skipped"]
    assert "the day is not over in the account's time zone" in [one["reason"] for one in skipped]
    assert session["status"] == "failed"
    assert f"{yesterday + timedelta(days=1)}: The day is not over" in result.stderr.replace(
        "\n", " "
    )
    loaded = stocked.query(
        "SELECT window_date FROM report_windows WHERE last_loaded_at IS NOT NULL"
    )
    assert [one["window_date"] for one in loaded] == [yesterday] * 2


def test_a_failed_load_is_a_failed_session(stocked: World) -> None:
    """The error that the command shows is the one that its session keeps."""
    account = stocked.account()
    stocked.break_with("rows", times=1, change="negative_metric", share=0.5)
    result = run("load", "--account", account.account_key, "--window", str(stocked.day()))
    session = stocked.one_session("load-windows")
    assert (result.exit_code, session["status"]) == (1, "failed")
    assert session["error"]["message"].split()[:3] == result.stderr.split()[:3]


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, 130, "Ctrl-C"),
        (signal.SIGTERM, 143, "SIGTERM"),
        (signal.SIGHUP, 129, "SIGHUP"),
    ],
)
def test_a_stopped_load_is_a_cancelled_session(
    stocked: World, number: signal.Signals, code: int, name: str
) -> None:
    """A signal while Amazon works: a sentence, its exit code, a session that says cancelled; the report stays for the next run."""
    account, day = stocked.account(), stocked.day()
    stocked.break_with("report_ends", status="COMPLETED", seconds=600)
    with subprocess.Popen(
        load_command(account.account_key, day),
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(
                lambda: _is_told(stocked, "report-pending"), "the load waits for Amazon", 120
            )
            process.send_signal(number)
            printed, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == code
    assert (
        f"Stopped by {name}: its session is cancelled, and the next run continues with the rest.\n"
        == said
    )
    assert "■ cancelled, with warnings  load-windows" in printed
    session = stocked.one_session("load-windows")
    assert session["status"] == "cancelled"
    assert session["error"]["message"] == f"Stopped by {name}"
    assert stocked.window(account, day).status == "requested"
    assert stocked.window(account, day).wanted_by is None


def test_a_load_in_a_terminal_says_what_it_waits_for(stocked: World) -> None:
    """Its last line counts the time, how many days are loaded, and names what is waited for; it is gone at the end."""
    account, day = stocked.account(), stocked.day()
    stocked.break_with("report_ends", status="COMPLETED", seconds=6)
    ours, its = os.openpty()
    with subprocess.Popen(
        load_command(account.account_key, day), cwd=PROJECT_ROOT, stdout=its, stderr=its
    ) as process:
        os.close(its)
        printed = b"".join(_read_to_the_end(ours))
    os.close(ours)
    assert process.returncode == 0
    assert re.search(rb"0 of 1 loaded, waiting for Amazon since \d+\.?\d* s", printed)
    assert b"waiting" not in printed.rpartition(b"succeeded")[2]


def test_accounts_are_synced_and_listed(world: World) -> None:
    """`accounts sync` stores them, `accounts list --json` gives them with their coverage."""
    assert run("accounts", "sync").exit_code == 0
    listed = json.loads(run("accounts", "list", "--json").stdout)
    stored = world.query("SELECT account_key FROM advertiser_accounts ORDER BY account_key")
    assert [row["account_key"] for row in stored] == [account["key"] for account in listed]
    assert {"DE", "JP", "US"} <= {account["country"] for account in listed}


def test_a_list_of_accounts_fits_80_columns(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each account's key stands whole at the end of its line, why one is left alone and how much is fresh stands below it, and no line is longer."""
    key = stocked.account("JP").account_key
    hold_reports(stocked)
    assert run("refresh", "--account", stocked.account().account_key).exit_code == 0
    assert run("accounts", "pause", key).exit_code == 0
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("accounts", "list").stdout.splitlines()
    keys = [
        row["account_key"]
        for row in stocked.query("SELECT account_key FROM advertiser_accounts ORDER BY 1")
    ]
    assert keys == sorted(line.split()[-1] for line in lines if line[0] in "✔■")
    assert max(map(len, lines)) <= 80
    place = next(n for n, line in enumerate(lines) if key in line)
    below = " ".join(line.strip() for line in lines[place + 1 : place + 3])
    assert below == (
        "not refreshed: The account is paused (by command line). "
        f"To refresh it again, run `bidbeacon accounts resume {key}`."
    )
    assert any(line.strip().startswith("0 of ") and line.endswith("are fresh") for line in lines)


def test_an_empty_list_of_accounts_says_what_to_do(world: World) -> None:
    """Before the first sync the list names the command that fills it."""
    assert "bidbeacon accounts sync" in run("accounts", "list").stdout


def test_sessions_are_listed_and_shown(stocked: World) -> None:
    """`sessions list --json` has the sessions, `sessions show` one with its sentences, and a clear line where there is none."""
    [listed] = json.loads(run("sessions", "list", "--json").stdout)
    assert "sync-accounts" in run("sessions", "show", listed["id"]).stdout
    missing = run("sessions", "show", "00000000-0000-0000-0000-000000000000")
    assert missing.exit_code == 1
    assert "`bidbeacon sessions list` shows the newest" in missing.stderr.replace("\n", " ")


def load_command(account_key: str, day: date) -> list[str]:
    """Return the command that loads one day in a process of its own."""
    command = [sys.executable, "-m", "bidbeacon_pipelines", "load"]
    return [*command, "--account", account_key, "--window", str(day)]


def _read_to_the_end(terminal: int) -> Iterator[bytes]:
    """Yield what a process prints into a terminal, until it ends, which Linux tells as an error."""
    with suppress(OSError):
        while chunk := os.read(terminal, 4096):
            yield chunk


def _is_told(world: World, action_type: str) -> bool:
    return bool(world.query("SELECT 1 FROM session_actions WHERE type = :type", type=action_type))
