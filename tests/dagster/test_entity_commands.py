"""The commands `bidbeacon entities sync` and `list` on a real database, against the sandbox over HTTP."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.summaries.account_page import read_account
from tests.support.checking import assert_has
from tests.support.commands import json_of, run_command, unwrapped
from tests.support.reading import call
from tests.support.rows import change_accounts
from tests.support.world import World

KINDS = {"campaigns", "adGroups", "ads", "targets", "portfolios"}
SYNC, LIST = ("entities", "sync"), ("entities", "list")


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
    result = run_command(*SYNC, "--account", account.account_key)
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
    of_ads_account = (*SYNC, "--account", account.ads_account_key)
    run_command(*of_ads_account)
    synced = synced_keys(stocked)
    assert len(synced) > 1
    assert {key.partition(".")[2] for key in synced} == {account.account_key.partition(".")[2]}
    run_command(*of_ads_account, "--country", "uk")
    assert synced_keys(stocked).count(account.account_key) == 2


def test_sync_without_options_is_of_every_account_that_can_be_synced(stocked: World) -> None:
    """A paused one is left out."""
    paused = stocked.account("JP")
    change_accounts(stocked.engine, Account.account_key == paused.account_key, paused=True)
    told = json_of(*SYNC)
    assert sorted(one["account"] for one in told) == sorted(synced_keys(stocked))
    assert paused.account_key not in synced_keys(stocked)
    assert all(counts_of(one).keys() == KINDS for one in told)


def test_account_that_fails_does_not_stop_the_others(stocked: World) -> None:
    """Its error is a line, and the exit code says that something failed."""
    stocked.break_with("answer", "create_export", times=1, status=403)
    result = run_command(*SYNC, code=1)
    assert "Profile has no rights" in unwrapped(result.stderr)
    statuses = [session["status"] for session in stocked.sessions_of("sync-entities")]
    assert (statuses.count("failed"), statuses.count("succeeded")) == (1, len(statuses) - 1)
    assert f"Synced {len(statuses) - 1} of {len(statuses)} accounts." in result.stdout


def test_sync_of_a_disabled_account_says_why_it_is_skipped(stocked: World) -> None:
    """A person who names the account is told."""
    key = stocked.account().account_key
    change_accounts(stocked.engine, Account.account_key == key, paused=True)
    said = unwrapped(run_command(*SYNC, "--account", key, code=2).stderr)
    assert "No reports are requested for Acme Merch · US: The account is paused" in said


def test_list_counts_each_kind_of_an_account(stocked: World) -> None:
    """Before the first sync it says what to do."""
    assert "No entities are stored yet" in run_command(*LIST).stdout
    key = stocked.account().account_key
    [told] = json_of(*SYNC, "--account", key)
    counts = json_of(*LIST)
    assert counts_of(told) == {count["kind"]: count["stored"] for count in counts}
    for count in counts:
        assert_has(count, account_key=key, gone=0, set_aside=0)
    table = run_command(*LIST, "--country", "US").stdout
    assert all(word in table for word in ("Acme Merch · US", *KINDS))
    assert "No entities" in run_command(*LIST, "--country", "JP").stdout


def test_list_and_page_count_what_is_gone(stocked: World) -> None:
    """A campaign that two syncs in a row did not have; its row stays."""
    account = stocked.account()
    sync = (*SYNC, "--account", account.account_key)
    run_command(*sync)
    [gone, *_] = stocked.query("SELECT campaign_id FROM campaigns")
    where = {"campaignId": [gone["campaign_id"]]}
    stocked.break_with("rows", of="campaigns", change="vanish", share=1, where=where)
    for expected in (0, 1):
        run_command(*sync)
        counts = {one["kind"]: one["gone"] for one in json_of(*LIST)}
        assert dict.fromkeys(KINDS, 0) | {"campaigns": expected} == counts
    assert "gone" in run_command(*LIST).stdout
    page = call(stocked.engine, read_account, get_settings(), account, now=datetime.now(UTC))
    assert 1 == sum(one["gone"] for one in page["entities"])
