"""The commands `bidbeacon load` and `refresh` and their companions on a real database, against the sandbox over HTTP."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import func

from bidbeacon_pipelines.cli.loading import recorded
from bidbeacon_pipelines.cli.signals import StoppedBySignal, resend_lost_signals
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.dagster.runs import SERVED_DAYS, hold_reports
from tests.support.commands import json_of, run_command, unwrapped
from tests.support.rows import as_loaded, change_windows, remove_requests
from tests.support.waiting import wait_until
from tests.support.world import World


def load_day(world: World, ago: int = 3) -> tuple[str, ...]:
    """Return the words of a command that loads the day of some days ago of the US account."""
    key = world.account().account_key
    return ("load", "--account", key, "--window", str(world.day(ago)))


def test_load_prints_its_timeline_and_ends_with_0(stocked: World) -> None:
    """The sentences of queued, requested and loaded appear in their order, then the session's status."""
    account, day = stocked.account(), stocked.day()
    printed = run_command(*load_day(stocked)).stdout
    order = ["Requested a load", "Queued", "Requested report", "Loaded", "succeeded"]
    assert order == re.findall("|".join(order), printed)
    assert f"│ {account.label} " not in printed, "the session's own account"
    assert stocked.true_sums(account, day) == stocked.stored_sums(account, day)
    assert stocked.one_session("load-windows")["input"]["via"] == "command line"


def test_load_as_json_is_one_document(stocked: World) -> None:
    """`--json` prints the session with its actions, and nothing else."""
    *command, _ = load_day(stocked)
    told = json_of(*command, "yesterday")
    assert told["status"] == "succeeded"
    assert told["input"]["windows"] == [str(stocked.yesterday_of(stocked.account()))]
    assert "report-processed" in [action["type"] for action in told["actions"]]


def test_refresh_has_on_its_way_what_is_due_and_ends_with_0(stocked: World) -> None:
    """It plans and creates reports as far as the gate allows, and waits for nothing."""
    hold_reports(stocked)
    run_command("refresh", "--account", stocked.account("JP").account_key)
    assert len(stocked.accepted()) == 2
    assert stocked.one_session("refresh-account")["status"] == "succeeded"


def test_refresh_ends_with_1_where_something_due_is_not_on_its_way(stocked: World) -> None:
    """Such as a day whose report failed and that is asked for again later."""
    refresh = ("refresh", "--account", stocked.account("JP").account_key)
    hold_reports(stocked)
    run_command(*refresh)
    loaded = as_loaded(func.now()) | {"request_id": None, "next_refresh_at": None}
    change_windows(stocked.engine, **loaded)
    remove_requests(stocked.engine)
    is_one = ReportWindow.dataset == "daily_targets", ReportWindow.window_date == stocked.day()
    change_windows(stocked.engine, *is_one, status="failed")
    said = unwrapped(run_command(*refresh, code=1).stderr)
    assert "1 window is due or failed, without an open request" in said


def test_refresh_of_a_country_says_nothing_of_another_one(stocked: World) -> None:
    """A failed day of the US is no reason to end with 1 for Canada, whose windows `accounts list` shows as fresh."""
    canada = ("refresh", "--account", "Acme Merch", "--country", "CA")
    hold_reports(stocked)
    run_command(*canada)
    loaded = as_loaded(func.now()) | {"request_id": None, "next_refresh_at": None}
    change_windows(stocked.engine, **loaded)
    remove_requests(stocked.engine)
    is_one = ReportWindow.country_code == "US", ReportWindow.window_date == stocked.day()
    change_windows(
        stocked.engine, *is_one, ReportWindow.dataset == "daily_targets", status="failed"
    )
    run_command(*canada)
    run_command("refresh", "--account", "Acme Merch", "--country", "US", code=1)


def test_an_account_without_windows_says_what_makes_them(stocked: World) -> None:
    """The list calls no account refreshed before its first refresh; a stopped one waits for nothing."""
    run_command("accounts", "pause", stocked.account("JP").account_key)
    said = unwrapped(run_command("accounts", "list").stdout)
    assert "no windows yet: the first refresh makes them. Dagster starts it" in said
    assert "USD, America/Los_Angeles, cadence: as soon as due no windows yet:" in said
    assert "JPY, Asia/Tokyo no windows ✔" in said


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("2019-01-01", "got: 2019-01-01."),
        ("2019-01-01..2019-12-31", "got: 365 days, 2019-01-01 to 2019-12-31."),
        ("2030-01-01", "in the account's time zone, America/Los_Angeles), got: 2030-01-01."),
        pytest.param("{served}", "got: {served}.", id="past the history that Amazon serves"),
    ],
)
def test_what_cannot_be_asked_is_one_line(stocked: World, window: str, said: str) -> None:
    """The command requests nothing from Amazon and begins no session, so Home does not show a failed one."""
    past = stocked.day(SERVED_DAYS + 10)
    key = stocked.account().account_key
    result = run_command("load", "--account", key, "--window", window.format(served=past), code=2)
    assert said.format(served=past) in unwrapped(result.stderr)
    assert "Traceback" not in result.output
    assert stocked.accepted() == []
    assert stocked.sessions_of("load-windows") == []


def test_nothing_is_asked_for_a_stopped_account(stocked: World) -> None:
    """The reason is one line; no session begins."""
    key = stocked.account().account_key
    run_command("accounts", "pause", key)
    for command in (("refresh", "--account", key), load_day(stocked)):
        assert "The account is paused" in run_command(*command, code=2).stderr
    assert stocked.sessions_of("load-windows") == stocked.sessions_of("refresh-account") == []


def test_a_failed_load_is_a_failed_session(stocked: World) -> None:
    """The error that the command shows is the one that its session keeps."""
    stocked.break_with("rows", times=1, change="negative_metric", share=0.5)
    result = run_command(*load_day(stocked), code=1)
    session = stocked.one_session("load-windows")
    assert session["status"] == "failed"
    assert session["error"]["message"].split()[:3] == result.stderr.split()[:3]


def process_of_load(world: World, **streams: Any) -> subprocess.Popen[Any]:
    """Start a process that loads a day."""
    command = [sys.executable, "-m", "bidbeacon_pipelines", *load_day(world)]
    return subprocess.Popen(command, cwd=PROJECT_ROOT, **streams)


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
    pending = "SELECT FROM session_actions WHERE type = 'report-pending'"
    with process_of_load(
        stocked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_until(lambda: bool(stocked.query(pending)), "the load waits for Amazon", 120)
            process.send_signal(number)
            printed, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == code
    told = "the session is cancelled, and the next run continues the work."
    assert f"Stopped by {name}: {told}\n" == said
    assert "■ cancelled, with warnings  load-windows" in printed
    session = stocked.one_session("load-windows")
    assert ("cancelled", f"Stopped by {name}") == (session["status"], session["error"]["message"])
    window = stocked.window(account, day)
    assert ("requested", None) == (window.status, window.wanted_by)


def test_a_signal_while_an_object_is_freed_is_not_lost(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python ignores what is raised in a destructor: the signal comes again, and the session is cancelled."""

    class Freed:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # restored at the end
    resend_lost_signals()
    ignored = list[dict[str, Any]]()
    command = recorded(
        stocked.sessions, "replay-quarantine", as_json=True, take_json=ignored.append
    )
    with pytest.raises(StoppedBySignal), command:
        Freed()
        time.sleep(30)
    session = stocked.one_session("replay-quarantine")
    assert ("cancelled", "Stopped by SIGTERM") == (session["status"], session["error"]["message"])


def test_a_load_in_a_terminal_says_what_it_waits_for(stocked: World) -> None:
    """Its last line counts the time, how many days are loaded, and names what is waited for; it is gone at the end."""
    stocked.break_with("report_ends", status="COMPLETED", seconds=6)
    ours, its = os.openpty()
    printed = b""
    with process_of_load(stocked, stdout=its, stderr=its) as process:
        os.close(its)
        with suppress(OSError):  # that is how Linux tells the end
            while chunk := os.read(ours, 4096):
                printed += chunk
    os.close(ours)
    assert process.returncode == 0
    assert re.search(rb"0 of 1 windows loaded; waited \d+\.?\d* s for Amazon so far", printed)
    assert b"waiting" not in printed.rpartition(b"succeeded")[2]


def test_accounts_are_synced_and_listed(world: World) -> None:
    """`accounts sync` stores them, `accounts list --json` gives them with their coverage."""
    run_command("accounts", "sync")
    listed = json_of("accounts", "list")
    assert stored_keys(world) == [account["key"] for account in listed]
    assert {"DE", "JP", "US"} <= {account["country"] for account in listed}


def stored_keys(world: World) -> list[str]:
    """Return the keys of all accounts, in order."""
    rows = world.query("SELECT account_key FROM advertiser_accounts ORDER BY account_key")
    return [row["account_key"] for row in rows]


def test_a_list_of_accounts_fits_80_columns(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each account's key stands whole at the end of its line, why one is left alone and how much is fresh stands below it, and no line is longer."""
    key = stocked.account("JP").account_key
    hold_reports(stocked)
    run_command("refresh", "--account", stocked.account().account_key)
    run_command("accounts", "pause", key)
    monkeypatch.setenv("COLUMNS", "80")
    lines = run_command("accounts", "list").stdout.splitlines()
    assert stored_keys(stocked) == sorted(line.split()[-1] for line in lines if line[0] in "✔■")
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
    assert "bidbeacon accounts sync" in run_command("accounts", "list").stdout
