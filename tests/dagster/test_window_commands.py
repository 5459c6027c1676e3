"""The commands `explain`, `restatements` and `quarantine` on a real database, filled from the sandbox over HTTP."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from typer.testing import CliRunner, Result

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.cli import app
from tests.support.world import World


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments))


def of_window(world: World, account: Account) -> tuple[str, ...]:
    """Return the options that name the tests' window."""
    return ("--account", account.account_key, "--window", str(world.day()))


def break_rows(world: World, share: float) -> None:
    """Make a share of the next report's rows unreadable."""
    world.break_with("rows", times=1, change="negative_metric", share=share)


def flat(result: Result) -> str:
    """Return what was printed, without line breaks."""
    return " ".join(result.stdout.split())


def test_explain_prints_verdict_and_timeline_in_80_columns(stocked: World) -> None:
    """The verdict comes first, then what refers to the window, each session with its address on one line."""
    account = stocked.account()
    assert run("load", *of_window(stocked, account)).exit_code == 0
    result = run("explain", *of_window(stocked, account))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert f"Acme Merch · US daily_targets {stocked.day()}" == " ".join(lines[0].split())
    assert "✔ fresh" == lines[1].strip()
    places = [
        flat(result).index(word) for word in ("It has", "what refers to it", "Loaded", "Queued")
    ]
    assert sorted(places) == places
    session = stocked.one_session("load-windows")
    assert any(line.strip().endswith(f"/sessions/{session['id']}") for line in lines)
    assert [] == [line for line in lines if len(line) > 80]


def test_explain_as_json_is_one_document(stocked: World) -> None:
    """Verdict, facts and timeline, with the session that proves it."""
    account = stocked.account()
    run("load", *of_window(stocked, account))
    told = json.loads(run("explain", *of_window(stocked, account), "--json").stdout)
    assert ("fresh", "fine") == (told["verdict"]["state"], told["verdict"]["severity"])
    session = stocked.one_session("load-windows")
    assert str(session["id"]) == told["verdict"]["session"]["id"]
    assert ["asked-for", "queued", "requested", "loaded"] == [
        one["effect"] for one in told["timeline"]
    ]


def load_twice(world: World, account: Account) -> None:
    """Load a day as of a week ago, when it was three days old and half of its rows had not come, and as of now."""
    world.sandbox.state.clock.advance(-timedelta(days=7).total_seconds())
    world.break_with("rows", times=1, change="vanish", share=0.5)
    load(world, account)
    world.sandbox.state.clock.advance(timedelta(days=7).total_seconds())
    world.execute("UPDATE report_requests SET sent_at = sent_at - interval '7 days'")
    world.execute("""
        UPDATE report_windows w
           SET data_as_of = w.data_as_of - interval '7 days',
               first_data_as_of = w.first_data_as_of - interval '7 days'
         WHERE w.data_as_of IS NOT NULL""")
    load(world, account)


def load(world: World, account: Account) -> None:
    """Load the day of ten days ago."""
    day = str(world.day(10))
    result = run("load", "--account", account.account_key, "--window", day)
    assert result.exit_code == 0, result.output


def test_restatements_has_a_line_a_load_and_the_change(stocked: World) -> None:
    """Two loads, told as T+n with their totals, and what changed between them."""
    account, day = stocked.account(), stocked.day(10)
    load_twice(stocked, account)
    asked = ("restatements", "--account", account.account_key, "--window", str(day))
    told = json.loads(run(*asked, "--json").stdout)
    assert {"SPONSORED_BRANDS", "SPONSORED_DISPLAY", "SPONSORED_PRODUCTS"} == told["change"].keys()
    first, last = [load for load in told["loads"] if load["ad_product"] == "SPONSORED_PRODUCTS"]
    assert 7 == last["age_days"] - first["age_days"]
    newest = {load["ad_product"]: Decimal(load["sales"]) for load in told["loads"]}
    assert sum(newest.values()) == stocked.stored_sums(account, day).sales
    changed = Decimal(told["change"]["SPONSORED_PRODUCTS"]["USD"]["sales"])
    assert changed == Decimal(last["sales"]) - Decimal(first["sales"]) != 0
    result = run(*asked)
    assert f"Sponsored Products, USD, confirmed at T+{last['age_days']};" in flat(result)
    assert f"2: T+{last['age_days']} {Decimal(last['spend']):,.2f} " in flat(result)
    assert f" {changed:+,.2f} " in flat(result)
    assert [] == [line for line in result.stdout.splitlines() if len(line) > 80]


def test_quarantine_is_listed_with_cause_and_row(stocked: World) -> None:
    """Of a refused report each row says so; `--json` gives them as they are stored."""
    account = stocked.account()
    break_rows(stocked, 0.5)
    assert run("load", *of_window(stocked, account)).exit_code == 1
    listed = json.loads(run("quarantine", "list", "--reason", "METRIC", "--json").stdout)
    assert len(listed) > 0
    assert {False} == {row["is_loaded"] for row in listed}
    shown = flat(run("quarantine", "list", "--limit", "1"))
    for said in (
        "Acme Merch · US",
        "the report was refused",
        f"{listed[0]['cause']['field']}: expected",
        '"campaign.id":',
    ):
        assert said in shown
    assert (
        "No row in quarantine matches." in run("quarantine", "list", "--reason", "nonsense").stdout
    )


def test_replay_is_a_session_that_tells_what_was_done(stocked: World, monkeypatch: Any) -> None:
    """Without a fix nothing is understood; the rows stay, and the session says how many."""
    account = stocked.account()
    monkeypatch.setenv("BIDBEACON_BAD_ROW_SHARE", "1")
    from bidbeacon_pipelines.settings import get_settings

    get_settings.cache_clear()
    break_rows(stocked, 0.5)
    assert run("load", *of_window(stocked, account)).exit_code == 0
    [before] = stocked.query("SELECT count(*) FROM quarantined_rows")
    result = run("quarantine", "replay", "--account", account.account_key)
    assert result.exit_code == 0, result.output
    assert f"Loaded 0 rows; {before['count']} are still invalid." in flat(result)
    session = stocked.one_session("replay-quarantine")
    assert ("succeeded", account.account_key) == (session["status"], session["account_key"])
    assert ["quarantine-replayed"] == [action["type"] for action in session["actions"]]
    told = json.loads(run("quarantine", "replay", "--json").stdout)
    assert [before["count"]] == [action["payload"]["left"] for action in told["actions"]]
