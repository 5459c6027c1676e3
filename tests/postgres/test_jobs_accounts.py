"""The syncs of accounts and of their entities, against the sandbox over HTTP."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.accounts.queries import list_accounts, set_paused
from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.entities import create_export
from bidbeacon_pipelines.amazon_ads.errors import NotAuthorized, NotFound
from bidbeacon_pipelines.causes import invalid_fields
from bidbeacon_pipelines.entities.queries import count_entities, insert_export
from bidbeacon_pipelines.entities.sync import ExportFailedError
from bidbeacon_sandbox.accounts import MARKETS, AccountBook, AccountCountry
from bidbeacon_sandbox.entities import EXPORT_KINDS
from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.sentences import plain_text
from tests.support.checking import assert_has
from tests.support.jobs import due_syncs
from tests.support.reading import call, column, tuples, value
from tests.support.rows import add_account, change_accounts, change_ads_accounts, remove_accounts
from tests.support.world import World

EXPORTED = {"campaigns", "adGroups", "ads", "targets"}
KINDS = EXPORTED | {"portfolios"}


Send = Callable[[], httpx.Response]


class Network(httpx.HTTPTransport):
    """A network on which something else happens to requests whose path has some text."""

    def __init__(self, path: str, answer: Callable[[Send], httpx.Response]) -> None:
        super().__init__()
        self._path, self._answer = path, answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, or do with it what the test says."""
        send = partial(super().handle_request, request)
        return self._answer(send) if self._path in request.url.path else send()


def interrupt(_: Send) -> httpx.Response:
    """Interrupt the process."""
    raise KeyboardInterrupt


def edited_accounts(edit: Callable[[list[Any]], list[Any]]) -> Network:
    """Return a network on which each region's list of ads accounts is changed on its way."""

    def answer(send: Send) -> httpx.Response:
        body = json.loads(send().read())
        return httpx.Response(200, json=body | {"adsAccounts": edit(body["adsAccounts"])})

    return Network("/adsAccounts/list", answer)


@pytest.mark.parametrize("sandbox", [{"long_ids": True}], indirect=True)
def test_accounts_are_stored_as_amazon_tells_them(world: World) -> None:
    """One row a country, `GB` where a profile says `UK`, disabled ones too."""
    stored = "SELECT country_code, profile_id, amazon_status FROM advertiser_accounts"
    known = [
        (country.country, str(country.profile_id), account.status)
        for account in world.sandbox.state.world.accounts.accounts
        for country in account.countries
    ]
    assert sorted(known) == sorted(tuples(world.engine, stored))


def test_a_second_sync_updates_and_keeps_what_a_person_set(world: World) -> None:
    """The name is Amazon's again, the switch a person's; nothing is added, nothing deleted."""
    account, count = world.account(), "SELECT count(*) FROM advertiser_accounts"
    before = value(world.engine, count)
    call(world.engine, set_paused, account, by="test")
    change_accounts(world.engine, name="old")
    add_account(world.engine, account_id="gone")
    world.sync_accounts()
    assert_has(world.account(), paused=True, name=account.name)
    assert before + 1 == value(world.engine, count)
    assert [0] == [action["added"] for action in world.actions("accounts-synced")][1:]


def test_a_second_sync_stores_what_changed_at_amazon(world: World) -> None:
    """A name, a status either way and a new country are stored with the next sync; who is no longer listed stays as it was."""
    before = stored_by_place(world)
    first, second, third, disabled = world.sandbox.state.world.accounts.accounts
    world.sandbox.state.world.accounts = AccountBook(
        (
            replace(first, name="Acme <Mexico>", countries=(*first.countries, MEXICO)),
            replace(second, status="DISABLED"),
            replace(disabled, status="CREATED"),
        )
    )
    world.sync_accounts()
    changes = {
        first.account_id: {"name": "Acme <Mexico>"},
        second.account_id: {"amazon_status": "DISABLED"},
        third.account_id: {},
        disabled.account_id: {"amazon_status": "CREATED"},
    }
    expected = {place: row | changes[place[0]] for place, row in before.items()}
    new = {"name": "Acme <Mexico>", "amazon_status": "CREATED", "profile_id": str(2**53 + 7)}
    expected[first.account_id, "MX"] = new | {"paused": False}
    assert expected == stored_by_place(world)
    assert_has(world.actions("accounts-synced")[-1], added=1, disabled=2)
    accounts = call(world.engine, list_accounts)
    skipped = {account.country_code for account in accounts if account.stop_reason}
    assert set(second.country_codes) == skipped


def stored_by_place(world: World) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what a sync may change of the stored accounts, and the person's switch, by account and country."""
    names = ("name", "amazon_status", "profile_id", "paused")
    return {
        (account.account_id, account.country_code): {name: getattr(account, name) for name in names}
        for account in call(world.engine, list_accounts)
    }


def test_an_account_that_the_database_refuses_does_not_stop_the_others(world: World) -> None:
    """Where a key is taken by another account, that one is a problem in the action, and the rest is stored."""
    account = world.account()
    remove_accounts(world.engine)
    add_account(world.engine, account_id="other", account_key=account.account_key)
    keys = world.sync_accounts()
    assert account.account_key not in keys
    assert len(keys) == value(world.engine, "SELECT count(*) FROM advertiser_accounts") - 1
    problems = world.actions("accounts-synced")[-1]["problems"]
    [problem] = [one for one in problems if account.account_id in one]
    assert "can't be stored" in problem


def test_broken_alternate_id_costs_its_own_account_only(world: World) -> None:
    """Its region, currency and time zone stay as stored; those of its region's others are updated."""
    broken = world.account("US").account_id

    def break_ids(listed: list[Any]) -> list[Any]:
        ids = {"alternateIds": [{"profileId": 7}]}
        return [one | (ids if one["adsAccountId"] == broken else {}) for one in listed]

    before = places(world)
    change_accounts(world.engine, region="FE", currency_code="XXX", time_zone="UTC")
    change_ads_accounts(world.engine, region="FE", time_zone="UTC")
    stale = places(world)
    with world.in_new_process(transport=edited_accounts(break_ids)) as started:
        started.sync_accounts()
    kept = {place: (stale if place[0] == broken else before)[place] for place in before}
    assert kept == places(world)


def places(world: World) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return what is stored on regions, currencies and time zones, by account and country."""
    rows = tuples(
        world.engine,
        """SELECT a.account_id, a.country_code, a.region, a.currency_code, a.time_zone,
                  o.region, o.time_zone
             FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)""",
    )
    return {(account_id, country): tuple(rest) for account_id, country, *rest in rows}


def test_problems_beyond_twenty_are_counted(world: World) -> None:
    """The last entry has how many are left out, and the sentence counts all of them."""
    with world.in_new_process(transport=edited_accounts(lambda _: [{}] * 9)) as started:
        started.sync_accounts()
    told = world.actions("accounts-synced")[-1]
    assert 21 == len(told["problems"])
    assert "… and 7 more problems" == told["problems"][-1]
    assert ", 27 problems" in plain_text(render_action("accounts-synced", told))


MEXICO = AccountCountry(MARKETS["MX"], 2**53 + 7, "ENTITYMEXICO", rows_per_day=40)


@pytest.mark.parametrize("country_count", [1, 3])
def test_entities_are_those_of_all_ad_products_and_of_each_country_its_own(
    world: World, country_count: int
) -> None:
    """Campaigns, ad groups, ads, targets and portfolios, archived and negative ones too."""
    book = world.sandbox.state.world.accounts
    first, *others = book.accounts
    countries = (*first.countries, MEXICO)[:country_count]
    world.sandbox.state.world.accounts = AccountBook((replace(first, countries=countries), *others))
    world.sync_accounts()
    accounts = [world.account_in(first.account_id, country.country) for country in countries]
    for account in accounts:
        assert KINDS == set(world.sync_entities(account))
    for account in accounts:
        assert world.true_entities(account) == world.stored_entities(account)
        synced = world.account_in(account.account_id, account.country_code)
        assert synced.entities_synced_at is not None
    assert [] == world.query("SELECT FROM entity_problems")
    assert country_count == value(
        world.engine, "SELECT count(DISTINCT country_code) FROM campaigns"
    )


def test_entities_that_cannot_be_read_are_a_warning(world: World) -> None:
    """The sync stores those that can be, and its session has how many could not, and why."""

    def list_one_without_id(_: Send) -> httpx.Response:
        good = {"portfolioId": "1", "state": "ENABLED"}
        return httpx.Response(200, json={"portfolios": [good | {"portfolioId": None}, good]})

    network = Network("/portfolios/list", list_one_without_id)
    with world.in_new_process(transport=network) as started:
        assert 1 == started.sync_entities(world.account())["portfolios"]
    [misread] = world.actions("entities-misread")
    why = invalid_fields([{"field": "portfolioId", "expected": "a value", "got": "nothing"}])
    assert_has(misread, kind="portfolios", bad=1, incomplete=0, cause=why)
    assert [why] == column(world.engine, "SELECT cause FROM entity_problems")
    assert world.account().entities_synced_at is not None


def test_account_that_may_only_be_viewed_is_refreshed_like_any_other(world: World) -> None:
    """Its profile says that it is a vendor's; its entities and reports come."""
    account = world.account("JP")
    assert ("vendor", "A1VC38T7YXB528") == (account.account_type, account.marketplace_id)
    assert KINDS == set(world.sync_entities(account))
    world.load(account, date(2026, 1, 12))
    assert world.window(account, date(2026, 1, 12)).row_count
    [told] = world.actions("accounts-synced")
    assert not [one for one in told["problems"] if one.startswith("JP")]


def test_export_that_two_syncs_store_counts_once(world: World) -> None:
    """The slower one leaves it to the other: what it lacks is missing, and not gone."""
    account = world.account()
    world.sync_entities(account)
    world.advance(hours=8)
    world.break_with("rows", of="campaigns", change="vanish", share=1)
    faster = iter([world.sync_entities])

    def be_overtaken(send: Send) -> httpx.Response:
        for sync in faster:
            sync(account)
        return send()

    with world.in_new_process(transport=Network("/downloads/", be_overtaken)) as slower:
        slower.sync_entities(account)
    assert next(faster, None) is None
    assert {0} == {one["gone"] for one in call(world.engine, count_entities)}
    asked = column(world.engine, "SELECT count(*) FROM entity_exports GROUP BY kind")
    assert {2} == set(asked)


def test_a_sync_that_another_overtakes_adopts_its_exports(world: World) -> None:
    """Two syncs of one account at once end well: all four kinds are loaded, from the exports that were stored first."""
    account, kinds = world.account(), iter(EXPORT_KINDS)
    assert account.profile_id is not None
    other, owner = world.context.client_for("default"), Owner("NA", profile_id=account.profile_id)

    def be_overtaken(send: Send) -> httpx.Response:
        answer = send()
        for kind in islice(kinds, 1):
            export = create_export(other, owner, kind)
            stored = (account, kind, export.export_id, datetime.now(UTC))
            call(world.engine, insert_export, *stored)
        return answer

    with world.in_new_process(transport=Network("/export", be_overtaken)) as overtaken:
        overtaken.sync_entities(account)
    assert [True] * 4 == [action["adopted"] for action in world.actions("export-requested")]
    stored = world.query("SELECT status, count(*) FROM entity_exports GROUP BY status")
    assert [{"status": "loaded", "count": 4}] == stored


@pytest.mark.parametrize(
    ("hours", "adopted", "asked_for"),
    [
        pytest.param(0, EXPORTED, 4, id="young"),
        pytest.param(25, set(), 8, id="older than Amazon keeps them"),
    ],
)
def test_exports_in_flight_are_taken_over_by_the_next_run(
    world: World, hours: int, adopted: set[str], asked_for: int
) -> None:
    """A run that dies while it waits leaves four exports; the next one asks for none."""
    account, network = world.account(), Network("/exports/", interrupt)
    with pytest.raises(KeyboardInterrupt), world.in_new_process(transport=network) as started:
        started.sync_entities(account)
    assert len(world.accepted("create_export")) == 4
    created_at = world.context.now() - timedelta(hours=hours)
    world.execute("UPDATE entity_exports SET created_at = :then", then=created_at)
    world.sync_entities(account)
    assert asked_for == len(world.accepted("create_export"))
    told = [action["kind"] for action in world.actions("export-requested") if action["adopted"]]
    assert adopted == set(told)
    loaded = column(world.engine, "SELECT kind FROM entity_exports WHERE status = 'loaded'")
    assert sorted(EXPORTED) == sorted(loaded)


def test_exports_that_amazon_lost_are_requested_anew_by_the_same_run(world: World) -> None:
    """As after a restart of the sandbox: four are taken over, unknown and replaced."""
    account, network = world.account(), Network("/exports/", interrupt)
    with pytest.raises(KeyboardInterrupt), world.in_new_process(transport=network) as started:
        started.sync_entities(account)
    world.execute("UPDATE entity_exports SET export_id = 'lost-' || kind")
    assert KINDS == set(world.sync_entities(account))
    assert 8 == len(world.accepted("create_export"))
    assert ["not-found"] * 4 == [one["cause"]["code"] for one in world.actions("export-failed")]


def test_an_export_that_amazon_never_knows_fails_its_sync(world: World) -> None:
    """It is requested anew once."""
    world.break_with("answer", "get_export", status=404)
    with pytest.raises(NotFound):
        world.sync_entities(world.account())
    assert 5 == len(world.accepted("create_export"))


def test_what_a_failed_sync_has_loaded_is_not_exported_again(world: World) -> None:
    """The next one completes it: with the export that was refused to be looked at, and no other."""
    account = world.account()
    world.break_with("answer", "get_export", status=403)
    with pytest.raises(NotAuthorized):
        world.sync_entities(account)
    world.execute("UPDATE entity_exports SET status = 'loaded' WHERE kind <> 'targets'")
    world.sandbox.state.rules.clear()
    world.sandbox.state.ledger.clear()
    assert {"targets", "portfolios"} == set(world.sync_entities(account))
    counts = {
        name: len(world.sandbox.state.ledger.calls(name))
        for name in ("create_export", "get_export")
    }
    assert {"create_export": 0, "get_export": 1} == counts
    assert world.account().entities_synced_at == world.context.now()


def test_what_a_failed_sync_has_loaded_lives_for_six_hours(world: World) -> None:
    """Later all four are exported anew, as they are after a sync that was completed."""
    account = world.account()
    world.break_with("export_ends", times=1)
    with pytest.raises(ExportFailedError):
        world.sync_entities(account)
    world.execute("UPDATE entity_exports SET status = 'loaded'")
    for hours in (7, 1):
        world.advance(hours=hours)
        assert KINDS == set(world.sync_entities(account))


def test_rows_of_unknown_targets_bring_the_next_entity_sync_forward(world: World) -> None:
    """An account whose loads since its last sync named targets that nobody knows is synced after six hours, not after a day."""
    world.break_with("rows", change="unknown_target", share=0.5)
    account = world.account()
    world.sync_entities(account)
    assert due_for_entities(world, hours=7) == []
    world.advance(hours=1)
    world.load(account, date(2026, 1, 12))
    assert due_for_entities(world, hours=4) == []
    assert due_for_entities(world, hours=7) == [account.account_key]
    world.advance(hours=7)
    world.sync_entities(account)
    assert due_for_entities(world, hours=7) == []
    assert due_for_entities(world, hours=25) == [account.account_key]


def due_for_entities(world: World, hours: float) -> list[str]:
    """Return which accounts, of those that ever were synced, are due for another sync so many hours from now."""
    stored = "SELECT account_key FROM advertiser_accounts WHERE entities_synced_at IS NOT NULL"
    synced = column(world.engine, stored)
    return [key for key in due_syncs(world, hours) if key in synced]
