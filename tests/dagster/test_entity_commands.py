"""The commands `bidbeacon entities sync` and `list` on a real database, against the sandbox over HTTP."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from typer.testing import CliRunner, Result

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from bidbeacon_pipelines.summaries.account_page import read_account
from tests.support.rows import change_accounts
from tests.support.waiting import wait_until
from tests.support.world import World

KINDS = {"campaigns", "adGroups", "ads", "targets", "portfolios"}


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, ["entities", *arguments])


def synced_keys(world: World) -> list[str]:
    """Return the accounts that sessions of syncs were about."""
    return [session["account_key"] for session in world.sessions_of("sync-entities")]


def counts_of(session: Mapping[str, Any]) -> dict[str, int]:
    """Return how many rows of each kind a session has stored."""
    synced = (one["payload"] for one in session["actions"] if one["type"] == "entities-synced")
    return {one["kind"]: one["rows"] for one in synced}


def test_sync_of_one_account_prints_what_it_does(stocked: World) -> None:
    """A line for each kind, or one for three and more that are read at once; its session is the same as that of a scheduled run, but for how it was asked for."""
    account = stocked.account()
    result = run("sync", "--account", account.account_key)
    assert result.exit_code == 0, result.output
    label = f"for {account.name} · {account.country_code}"
    lines = [line for line in result.stdout.splitlines() if label in line and "Synced" in line]
    folded = [re.search(r"(\d+) ×", line) for line in lines]
    assert sum(int(found[1]) if found else 1 for found in folded) == len(KINDS)
    assert result.stdout.endswith("Synced 1 of 1 accounts.\n")
    session = stocked.one_session("sync-entities")
    assert (session["status"], session["input"]["via"]) == ("succeeded", "command line")


def test_sync_of_an_ads_account_is_of_all_its_countries(stocked: World) -> None:
    """Unless one is chosen, which may be called as profiles call it."""
    account = stocked.account("GB")
    assert run("sync", "--account", account.ads_account_key).exit_code == 0
    synced = synced_keys(stocked)
    assert len(synced) > 1
    assert {key.partition(".")[2] for key in synced} == {account.account_key.partition(".")[2]}
    assert run("sync", "--account", account.ads_account_key, "--country", "uk").exit_code == 0
    assert synced_keys(stocked).count(account.account_key) == 2


def test_sync_without_options_is_of_every_account_that_can_be_synced(stocked: World) -> None:
    """A paused one is left out."""
    paused = stocked.account("JP")
    change_accounts(stocked.engine, Account.account_key == paused.account_key, paused=True)
    result = run("sync", "--json")
    assert result.exit_code == 0, result.output
    told: list[dict[str, Any]] = json.loads(result.stdout)
    assert sorted(one["account"] for one in told) == sorted(synced_keys(stocked))
    assert paused.account_key not in synced_keys(stocked)
    assert all(counts_of(one).keys() == KINDS for one in told)


def test_account_that_fails_does_not_stop_the_others(stocked: World) -> None:
    """Its error is a line, and the exit code says that something failed."""
    stocked.break_with("answer", "create_export", times=1, status=403)
    result = run("sync")
    assert result.exit_code == 1
    assert "Profile has no rights" in result.stderr.replace("\n", " ")
    statuses = [session["status"] for session in stocked.sessions_of("sync-entities")]
    assert (statuses.count("failed"), statuses.count("succeeded")) == (1, len(statuses) - 1)
    assert f"Synced {len(statuses) - 1} of {len(statuses)} accounts." in result.stdout


def test_interrupted_sync_is_taken_over_by_the_next_one(stocked: World) -> None:
    """It ends as a cancelled session, and its exports are not asked for twice."""
    key = stocked.account().account_key
    stocked.break_with("slow", "get_export", seconds=60)
    command = [sys.executable, "-m", "bidbeacon_pipelines", "entities", "sync", "--account", key]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(
                lambda: bool(stocked.query("SELECT FROM portfolios")),
                "the sync waits for its exports",
                60,
            )
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
    assert stocked.one_session("sync-entities")["status"] == "cancelled"
    stocked.sandbox.state.rules.clear()
    assert run("sync", "--account", key).exit_code == 0
    assert len(stocked.sandbox.state.ledger.calls("create_export")) == 4


def test_sync_of_a_disabled_account_says_why_it_is_skipped(stocked: World) -> None:
    """A person who names the account is told."""
    key = stocked.account().account_key
    change_accounts(stocked.engine, Account.account_key == key, paused=True)
    result = run("sync", "--account", key)
    assert result.exit_code == 2
    assert (
        "No reports are requested for Acme Merch · US: The account is paused"
        in result.stderr.replace("\n", " ")
    )


def test_list_counts_each_kind_of_an_account(stocked: World) -> None:
    """Before the first sync it says what to do."""
    assert "No entities are stored yet" in run("list").stdout
    key = stocked.account().account_key
    told = json.loads(run("sync", "--account", key, "--json").stdout)
    counts = json.loads(run("list", "--json").stdout)
    assert counts_of(told[0]) == {count["kind"]: count["stored"] for count in counts}
    assert {(key, 0, 0)} == {
        (count["account_key"], count["gone"], count["set_aside"]) for count in counts
    }
    table = run("list", "--country", "US").stdout
    assert all(word in table for word in ("Acme Merch · US", *KINDS))
    assert "No entities" in run("list", "--country", "JP").stdout


def test_list_and_page_count_what_is_gone(stocked: World) -> None:
    """A campaign that two syncs in a row did not have; its row stays."""
    account = stocked.account()
    sync = ("sync", "--account", account.account_key)
    assert run(*sync).exit_code == 0
    [gone, *_] = stocked.query("SELECT campaign_id FROM campaigns")
    where = {"campaignId": [gone["campaign_id"]]}
    stocked.break_with("rows", of="campaigns", change="vanish", share=1, where=where)
    for expected in (0, 1):
        assert run(*sync).exit_code == 0
        counts = {one["kind"]: one["gone"] for one in json.loads(run("list", "--json").stdout)}
        assert dict.fromkeys(KINDS, 0) | {"campaigns": expected} == counts
    assert "gone" in run("list").stdout
    with stocked.engine.begin() as connection:
        page = read_account(connection, get_settings(), account, now=datetime.now(UTC))
    assert 1 == sum(one["gone"] for one in page["entities"])
