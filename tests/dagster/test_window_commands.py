"""The commands `explain`, `restatements` and `quarantine` on a real database, filled from the sandbox over HTTP."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.commands import json_of, run_command, unwrapped
from tests.support.rows import change_accounts, change_requests, change_windows
from tests.support.world import World

SECTIONS = (
    *("✔ fresh", "It has", "actions of the window", "Loaded"),
    *("Requested report", "Queued", "Requested a load"),
)
"""The parts that `explain` prints of a loaded window, in its order; the newest action comes first."""


def of_window(world: World, account: Account, ago: int = 3) -> tuple[str, ...]:
    """Return the options that name the window of some days ago."""
    return ("--account", account.account_key, "--window", str(world.day(ago)))


def break_rows(world: World, share: float) -> None:
    """Make a share of the next report's rows unreadable."""
    world.break_with("rows", times=1, change="negative_metric", share=share)


def test_explain_prints_verdict_and_timeline_in_80_columns(stocked: World) -> None:
    """The verdict comes first, then what refers to the window, each session with its address on one line."""
    account = stocked.account()
    run_command("load", *of_window(stocked, account))
    printed = run_command("explain", *of_window(stocked, account)).stdout
    lines = printed.splitlines()
    assert f"Acme Merch · US daily_targets {stocked.day()}" == unwrapped(lines[0])
    assert [*SECTIONS] == re.findall("|".join(SECTIONS), printed)
    session = stocked.one_session("load-windows")
    assert any(line.strip().endswith(f"/sessions/{session['id']}") for line in lines)
    assert [] == [line for line in lines if len(line) > 80]


def test_explain_as_json_is_one_document(stocked: World) -> None:
    """Verdict, facts and timeline, with the session that proves it."""
    account = stocked.account()
    run_command("load", *of_window(stocked, account))
    told = json_of("explain", *of_window(stocked, account))
    assert ("fresh", "fine") == (told["verdict"]["state"], told["verdict"]["severity"])
    session = stocked.one_session("load-windows")
    assert str(session["id"]) == told["verdict"]["session"]["id"]
    effects = [one["effect"] for one in told["timeline"]]
    assert ["wanted", "queued", "requested", "loaded"] == effects


def test_a_report_that_a_day_does_not_have_names_the_nearest(stocked: World) -> None:
    """After those that there are."""
    asked = ("explain", *of_window(stocked, stocked.account()), "--report", "SP+SB+SB")
    said = run_command(*asked, code=2).stderr
    assert "got: 'SP+SB+SB'. Did you mean SP+SB+SD?" in said


def test_today_is_a_day_of_the_accounts_own_calendar(stocked: World) -> None:
    """At any instant Kiritimati and Pago Pago, 25 hours apart, have different days."""
    zones = {"US": "Pacific/Kiritimati", "JP": "Pacific/Pago_Pago"}
    for country, zone in zones.items():
        change_accounts(stocked.engine, Account.country_code == country, time_zone=zone)
    now = datetime.now(UTC)
    for country, zone in zones.items():
        of = ("--account", stocked.account(country).account_key, "--window", "today")
        today = str(local_date(now, zone))
        assert today == json_of("explain", *of)["window"] == json_of("restatements", *of)["window"]


def load_twice(world: World, account: Account) -> None:
    """Load a day as of a week ago, when it was three days old and half of its rows had not come, and as of now."""
    week, load = timedelta(days=7), ("load", *of_window(world, account, 10))
    world.sandbox.state.clock.advance(-week.total_seconds())
    world.break_with("rows", times=1, change="vanish", share=0.5)
    run_command(*load)
    world.sandbox.state.clock.advance(week.total_seconds())
    change_requests(world.engine, sent_at=ReportRequest.sent_at - week)
    change_windows(
        world.engine,
        data_as_of=ReportWindow.data_as_of - week,
        first_data_as_of=ReportWindow.first_data_as_of - week,
    )
    run_command(*load)


def test_restatements_has_a_line_a_load_and_the_change(stocked: World) -> None:
    """Two loads, told as T+n with their totals, and what changed between them."""
    account, day = stocked.account(), stocked.day(10)
    load_twice(stocked, account)
    asked = ("restatements", *of_window(stocked, account, 10))
    told = json_of(*asked)
    assert {"SPONSORED_BRANDS", "SPONSORED_DISPLAY", "SPONSORED_PRODUCTS"} == told["change"].keys()
    first, last = [load for load in told["loads"] if load["ad_product"] == "SPONSORED_PRODUCTS"]
    assert 7 == last["age_days"] - first["age_days"]
    newest = {load["ad_product"]: Decimal(load["sales"]) for load in told["loads"]}
    assert sum(newest.values()) == stocked.stored_sums(account, day).sales
    changed = Decimal(told["change"]["SPONSORED_PRODUCTS"]["USD"]["sales"])
    assert changed == Decimal(last["sales"]) - Decimal(first["sales"]) != 0
    printed = run_command(*asked).stdout
    shown = unwrapped(printed)
    assert f"Sponsored Products, USD, confirmed at T+{last['age_days']};" in shown
    assert f"2: T+{last['age_days']} {Decimal(last['spend']):,.2f} " in shown
    assert f" {changed:+,.2f} " in shown
    assert [] == [line for line in printed.splitlines() if len(line) > 80]


def test_quarantine_is_listed_with_cause_and_row(stocked: World) -> None:
    """Of a refused report each row says so; `--json` gives them as they are stored."""
    break_rows(stocked, 0.5)
    run_command("load", *of_window(stocked, stocked.account()), code=1)
    listed = json_of("quarantine", "list", "--reason", "METRIC")
    assert len(listed) > 0
    assert {False} == {row["is_loaded"] for row in listed}
    shown = unwrapped(run_command("quarantine", "list", "--limit", "1").stdout)
    field = f"{listed[0]['cause']['field']}: expected"
    for said in ("Acme Merch · US", "the report was refused", field, '"campaign.id":'):
        assert said in shown
    nothing = run_command("quarantine", "list", "--reason", "nonsense").stdout
    assert "No row in quarantine matches." in nothing


def test_replay_is_a_session_that_tells_what_was_done(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a fix nothing is understood; the rows stay, and the session says how many."""
    account = stocked.account()
    monkeypatch.setenv("BIDBEACON_BAD_ROW_SHARE", "1")
    get_settings.cache_clear()
    break_rows(stocked, 0.5)
    run_command("load", *of_window(stocked, account))
    [before] = stocked.query("SELECT count(*) FROM quarantined_rows")
    result = run_command("quarantine", "replay", "--account", account.account_key)
    assert f"Loaded 0 rows; {before['count']} are still invalid." in unwrapped(result.stdout)
    session = stocked.one_session("replay-quarantine")
    assert ("succeeded", account.account_key) == (session["status"], session["account_key"])
    assert ["quarantine-replayed"] == [action["type"] for action in session["actions"]]
    told = json_of("quarantine", "replay")
    assert [before["count"]] == [action["payload"]["left"] for action in told["actions"]]
