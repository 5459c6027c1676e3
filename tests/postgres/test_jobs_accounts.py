"""The syncs of accounts and of their entities, against the sandbox over HTTP."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.accounts.queries import list_accounts, set_paused
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.errors import NotAuthorized
from bidbeacon_pipelines.causes import invalid_fields
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.entities.sync import ExportFailedError, sync_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.due import list_keys_without_entities
from bidbeacon_sandbox.accounts import MARKETS, AccountBook, AccountCountry
from bidbeacon_sandbox.entities import AD_PRODUCTS, Catalog, ExportKind, asins_of, bid_of
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.sentences import plain_text
from tests.support.checking import assert_has
from tests.support.reading import call, column, tuples, value
from tests.support.rows import add_account, change_accounts, change_ads_accounts, remove_accounts
from tests.support.truth import catalog_of
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


@contextmanager
def job_over(
    world: World, network: Network, home: Path
) -> Iterator[tuple[JobContext, SessionRecorder]]:
    """Open the tools and the session of a job whose requests go over this network."""
    endpoints, clock = Endpoints.sandbox(world.sandbox.url), world.context.clock
    with (
        AdsApiClient(SANDBOX_CREDENTIAL, endpoints, transport=network) as client,
        world.session() as session,
    ):
        yield JobContext(world.engine, lambda _: client, Settings(home=home), clock), session


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
    call(world.engine, set_paused, account.account_key, by="test")
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


def test_broken_alternate_id_costs_its_own_account_only(world: World, tmp_path: Path) -> None:
    """Its region, currency and time zone stay as stored; those of its region's others are updated."""
    broken = world.account("US").account_id

    def break_ids(listed: list[Any]) -> list[Any]:
        ids = {"alternateIds": [{"profileId": 7}]}
        return [one | (ids if one["adsAccountId"] == broken else {}) for one in listed]

    before = places(world)
    change_accounts(world.engine, region="FE", currency_code="XXX", time_zone="UTC")
    change_ads_accounts(world.engine, region="FE", time_zone="UTC")
    stale = places(world)
    with job_over(world, edited_accounts(break_ids), tmp_path) as job:
        sync_accounts(*job)
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


def test_problems_beyond_twenty_are_counted(world: World, tmp_path: Path) -> None:
    """The last entry has how many are left out, and the sentence counts all of them."""
    with job_over(world, edited_accounts(lambda _: [{}] * 9), tmp_path) as job:
        sync_accounts(*job)
    told = world.actions("accounts-synced")[-1]
    assert 21 == len(told["problems"])
    assert "… and 7 more problems" == told["problems"][-1]
    assert ", 27 problems" in plain_text(render_action("accounts-synced", told))


MEXICO = AccountCountry(MARKETS["MX"], 2**53 + 7, "ENTITYMEXICO", rows_per_day=40)
OF = "FROM {} WHERE account_id = :account_id AND country_code = :country_code"


def amount(of: float | None) -> Decimal | None:
    """Return an amount of an export as the tables have it, digit by digit."""
    return None if of is None else Decimal(str(of))


def campaign_row(one: dict[str, Any], catalog: Catalog) -> tuple[Any, ...]:
    """Return a campaign of an account in one country as it is to be stored."""
    budget = one["budgetCaps"]["budgetValue"]["monetaryBudget"]["amount"]
    began = date.fromisoformat(one["startDate"])
    told = (one["campaignId"], one["adProduct"], one["name"], one["state"])
    return (*told, amount(budget), began, catalog.market.currency)


def target_row(one: dict[str, Any], _: Catalog) -> tuple[Any, ...]:
    """Return a target as it is to be stored."""
    told = (one["targetId"], one["state"], one["negative"])
    return (*told, amount(bid_of(one)), "adGroupId" not in one)


RowOf = Callable[[dict[str, Any], Catalog], tuple[Any, ...]]
ENTITIES: dict[str, tuple[str, ExportKind, RowOf]] = {
    "campaigns": (
        "campaign_id, ad_product, name, state, budget, start_date, currency_code",
        "campaigns",
        campaign_row,
    ),
    "ad_groups": (
        "ad_group_id, campaign_id",
        "adGroups",
        lambda one, _: (one["adGroupId"], one["campaignId"]),
    ),
    "ads": (
        "ad_id, state, array_to_string(asins, ' ')",
        "ads",
        lambda one, _: (one["adId"], one["state"], " ".join(asins_of(one))),
    ),
    "targets": (
        "target_id, state, negative, bid, ad_group_id IS NULL",
        "targets",
        target_row,
    ),
}
"""For each table the columns that are compared, Amazon's name of the kind, and what is to be stored."""


@pytest.mark.parametrize("country_count", [1, 3])
def test_entities_are_those_of_all_ad_products_and_of_each_country_its_own(
    world: World, country_count: int
) -> None:
    """Campaigns with their budgets and dates, ad groups, ads, targets and portfolios, archived and negative ones too."""
    book = world.sandbox.state.world.accounts
    first, *others = book.accounts
    countries = (*first.countries, MEXICO)[:country_count]
    world.sandbox.state.world.accounts = AccountBook((replace(first, countries=countries), *others))
    world.sync_accounts()
    accounts = [world.account_in(first.account_id, country.country) for country in countries]
    for account in accounts:
        assert KINDS == set(world.sync_entities(account))
    for account in accounts:
        catalogs = [catalog_of(world.sandbox.state, account, product) for product in AD_PRODUCTS]
        for table, (columns, kind, row_of) in ENTITIES.items():
            stored = tuples(
                world.engine, f"SELECT {columns} {OF.format(table)}", **account.identity
            )
            true = {row_of(one, c) for c in catalogs for one in c.entities[kind]}
            assert true == set(stored)
        names = f"SELECT portfolio_id, name {OF.format('portfolios')}"
        portfolios = {(one["portfolioId"], one["name"]) for one in catalogs[0].portfolios}
        assert portfolios == set(tuples(world.engine, names, **account.identity))
        synced = world.account_in(account.account_id, account.country_code)
        assert synced.entities_synced_at is not None
    assert [] == world.query("SELECT FROM entity_problems")
    assert country_count == value(
        world.engine, "SELECT count(DISTINCT country_code) FROM campaigns"
    )


def test_entities_that_cannot_be_read_are_a_warning(world: World, tmp_path: Path) -> None:
    """The sync stores those that can be, and its session has how many could not, and why."""

    def list_one_without_id(_: Send) -> httpx.Response:
        good = {"portfolioId": "1", "state": "ENABLED"}
        return httpx.Response(200, json={"portfolios": [good | {"portfolioId": None}, good]})

    with job_over(world, Network("/portfolios/list", list_one_without_id), tmp_path) as job:
        assert 1 == sync_entities(*job, world.account())["portfolios"]
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


def test_campaign_that_two_syncs_lack_is_gone(world: World) -> None:
    """Not by one, nor by one that failed, nor when it comes back; its rows keep its name."""
    account, day = world.account(), date(2026, 1, 12)
    world.sync_entities(account)
    world.load(account, day)
    [gone] = world.query(
        """SELECT campaign_id, name FROM campaigns
             JOIN daily_target_performance USING (campaign_id) LIMIT 1"""
    )

    def synced(*, fails: bool = False) -> int:
        world.advance(hours=8)
        if fails:
            world.break_with("export_ends", times=1)
            with pytest.raises(ExportFailedError):
                world.sync_entities(account)
        else:
            world.sync_entities(account)
        found = call(world.engine, count_entities)
        return sum(one["gone"] for one in found if one["kind"] == "campaigns")

    where = {"campaignId": [gone["campaign_id"]]}
    world.break_with("rows", of="campaigns", change="vanish", share=1, where=where)
    assert [0, 0, 1, 1] == [synced(), synced(fails=True), synced(), synced()]
    named = "SELECT DISTINCT campaign_name FROM reports.daily_targets WHERE campaign_id = :id"
    assert gone["name"] == value(world.engine, named, id=gone["campaign_id"])
    world.sandbox.state.rules.clear()
    assert 0 == synced()


def test_export_that_two_syncs_store_counts_once(world: World, tmp_path: Path) -> None:
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

    with job_over(world, Network("/downloads/", be_overtaken), tmp_path) as job:
        sync_entities(*job, account)
    assert next(faster, None) is None
    assert {0} == {one["gone"] for one in call(world.engine, count_entities)}
    asked = column(world.engine, "SELECT count(*) FROM entity_exports GROUP BY kind")
    assert {2} == set(asked)


@pytest.mark.parametrize(
    ("hours", "adopted", "asked_for"),
    [
        pytest.param(0, EXPORTED, 4, id="young"),
        pytest.param(25, set(), 8, id="older than Amazon keeps them"),
    ],
)
def test_exports_in_flight_are_taken_over_by_the_next_run(
    world: World, tmp_path: Path, hours: int, adopted: set[str], asked_for: int
) -> None:
    """A run that dies while it waits leaves four exports; the next one asks for none."""
    account, network = world.account(), Network("/exports/", interrupt)
    with pytest.raises(KeyboardInterrupt), job_over(world, network, tmp_path) as job:
        sync_entities(*job, account)
    assert len(world.accepted("create_export")) == 4
    created_at = world.context.now() - timedelta(hours=hours)
    world.execute("UPDATE entity_exports SET created_at = :then", then=created_at)
    world.sync_entities(account)
    assert asked_for == len(world.accepted("create_export"))
    told = [action["kind"] for action in world.actions("export-requested") if action["adopted"]]
    assert adopted == set(told)
    loaded = column(world.engine, "SELECT kind FROM entity_exports WHERE status = 'loaded'")
    assert sorted(EXPORTED) == sorted(loaded)


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
    then = world.context.now() + timedelta(hours=hours)
    ages = {
        "synced_before": then - timedelta(hours=24),
        "missed_before": then - timedelta(hours=6),
    }
    due = call(world.engine, list_keys_without_entities, now=then, **ages)
    stored = "SELECT account_key FROM advertiser_accounts WHERE entities_synced_at IS NOT NULL"
    synced = column(world.engine, stored)
    return [key for key in due if key in synced]
