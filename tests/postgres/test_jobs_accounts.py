"""The syncs of accounts and of their entities, against the sandbox over HTTP."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.accounts.queries import (
    list_accounts,
    set_paused,
)
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.errors import NotAuthorized
from bidbeacon_pipelines.causes import invalid_fields
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.entities.sync import ExportFailedError, sync_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.values.decode import BrokenPartError
from bidbeacon_pipelines.windows.due import list_keys_without_entities
from bidbeacon_sandbox.accounts import MARKETS, AccountBook, AccountCountry
from bidbeacon_sandbox.entities import AD_PRODUCTS, Catalog, asins_of, bid_of
from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.sentences import plain_text
from tests.support.rows import add_account, change_accounts, change_ads_accounts, remove_accounts
from tests.support.world import World

EXPORTED = {"campaigns", "adGroups", "ads", "targets"}
KINDS = EXPORTED | {"portfolios"}


class DyingTransport(httpx.HTTPTransport):
    """A network on which the process is interrupted at its first look at an export."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, or be interrupted."""
        if "/exports/" in request.url.path:
            raise KeyboardInterrupt
        return super().handle_request(request)


class Overtaken(httpx.HTTPTransport):
    """A network on which another sync does its work before the first download."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work, self.is_over = work, False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        if "/downloads/" in request.url.path and not self.is_over:
            self.is_over = True
            self._work()
        return super().handle_request(request)


class OddPortfolios(httpx.HTTPTransport):
    """A network on which Amazon lists a portfolio without an id beside a good one."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the list of portfolios, and pass all else on."""
        if request.url.path.endswith("/portfolios/list"):
            good = {"portfolioId": "1", "state": "ENABLED"}
            return httpx.Response(200, json={"portfolios": [good | {"portfolioId": None}, good]})
        return super().handle_request(request)


class EditedAccounts(httpx.HTTPTransport):
    """A network on which each region's list of ads accounts is changed on its way."""

    def __init__(self, edit: Callable[[list[Any]], list[Any]]) -> None:
        super().__init__()
        self._edit = edit

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, and change the answer if it lists ads accounts."""
        response = super().handle_request(request)
        if not request.url.path.endswith("/adsAccounts/list"):
            return response
        body = json.loads(response.read())
        edited = self._edit(body["adsAccounts"])
        return httpx.Response(200, json=body | {"adsAccounts": edited})


@contextmanager
def context_over(world: World, transport: httpx.BaseTransport, home: Path) -> Iterator[JobContext]:
    """Have the tools of a job inside the block, whose requests go over this network."""
    endpoints = Endpoints.sandbox(world.sandbox.url)
    with AdsApiClient(SANDBOX_CREDENTIAL, endpoints, transport=transport) as client:
        yield JobContext(world.engine, lambda _: client, Settings(home=home), world.context.clock)


@pytest.fixture
def dying_context(world: World, tmp_path: Path) -> Iterator[JobContext]:
    """Yield the tools of a job that dies while it waits for exports."""
    with context_over(world, DyingTransport(), tmp_path) as context:
        yield context


@pytest.mark.parametrize("sandbox", [{"long_ids": True}], indirect=True)
def test_accounts_are_stored_as_amazon_tells_them(world: World) -> None:
    """One row a country, `GB` where a profile says `UK`, disabled ones too."""
    rows = world.query("SELECT country_code, profile_id, amazon_status FROM advertiser_accounts")
    known = [
        (country.country, str(country.profile_id), account.status)
        for account in world.sandbox.state.world.accounts.accounts
        for country in account.countries
    ]
    assert sorted(known) == sorted(tuple(row.values()) for row in rows)


def test_a_second_sync_updates_and_keeps_what_a_person_set(world: World) -> None:
    """The name is Amazon's again, the switch a person's; nothing is added, nothing deleted."""
    account = world.account()
    before = world.query("SELECT count(*) FROM advertiser_accounts")
    with world.engine.begin() as connection:
        set_paused(connection, account.account_key, by="test")
    change_accounts(world.engine, name="old")
    with world.engine.begin() as connection:
        add_account(connection, account_id="gone", account_key="US.gone")
    world.sync_accounts()
    stored = world.query(
        "SELECT * FROM advertiser_accounts WHERE account_key = :key", key=account.account_key
    )
    assert (stored[0]["paused"], stored[0]["name"]) == (True, account.name)
    assert (
        before[0]["count"] + 1
        == world.query("SELECT count(*) FROM advertiser_accounts")[0]["count"]
    )
    assert [0] == [action["added"] for action in world.actions("accounts-synced")][1:]


def test_a_second_sync_stores_what_changed_at_amazon(world: World) -> None:
    """A name, a status either way and a new country are stored with the next sync; who is no longer listed stays as it was."""
    before = stored_by_place(world)
    first, second, third, disabled = world.sandbox.state.world.accounts.accounts
    mexico = AccountCountry(MARKETS["MX"], 2**53 + 7, "ENTITYMEXICO", rows_per_day=40)
    world.sandbox.state.world.accounts = AccountBook(
        (
            replace(first, name="Acme <Mexico>", countries=(*first.countries, mexico)),
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
    after = stored_by_place(world)
    new = after.pop((first.account_id, "MX"))
    assert expected == after
    assert new == {
        "name": "Acme <Mexico>",
        "amazon_status": "CREATED",
        "profile_id": str(2**53 + 7),
        "paused": False,
    }
    assert (1, 2) == tuple(
        world.actions("accounts-synced")[-1][told] for told in ("added", "disabled")
    )
    with world.engine.begin() as connection:
        skipped = {
            account.country_code for account in list_accounts(connection) if account.stop_reason
        }
    assert set(second.country_codes) == skipped


def stored_by_place(world: World) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what a sync may change of the stored accounts, and the person's switch, by account and country."""
    rows = world.query(
        "SELECT account_id, country_code, name, amazon_status, profile_id, paused FROM advertiser_accounts"
    )
    names = ("name", "amazon_status", "profile_id", "paused")
    return {
        (row["account_id"], row["country_code"]): {name: row[name] for name in names}
        for row in rows
    }


def test_an_account_that_the_database_refuses_does_not_stop_the_others(world: World) -> None:
    """Where a key is taken by another account, that one is a problem in the action, and the rest is stored."""
    account = world.account()
    remove_accounts(world.engine)
    with world.engine.begin() as connection:
        add_account(connection, account_id="other", account_key=account.account_key)
    keys = world.sync_accounts()
    assert account.account_key not in keys
    assert len(keys) == len(world.query("SELECT * FROM advertiser_accounts")) - 1
    [problem] = [
        p for p in world.actions("accounts-synced")[-1]["problems"] if account.account_id in p
    ]
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
    edited = EditedAccounts(break_ids)
    with context_over(world, edited, tmp_path) as context, world.session() as session:
        sync_accounts(context, session)
    kept = {place: (stale if place[0] == broken else before)[place] for place in before}
    assert kept == places(world)


def places(world: World) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return what is stored on regions, currencies and time zones, by account and country."""
    rows = world.query(
        """SELECT a.account_id, a.country_code, a.region, a.currency_code, a.time_zone,
                  o.region AS main_region, o.time_zone AS main_zone
             FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)"""
    )
    return {(one["account_id"], one["country_code"]): tuple(one.values())[2:] for one in rows}


def test_problems_beyond_twenty_are_counted(world: World, tmp_path: Path) -> None:
    """The last entry has how many are left out, and the sentence counts all of them."""
    edited = EditedAccounts(lambda _: [{}] * 9)
    with context_over(world, edited, tmp_path) as context, world.session() as session:
        sync_accounts(context, session)
    told = world.actions("accounts-synced")[-1]
    assert 21 == len(told["problems"])
    assert "… and 7 more problems" == told["problems"][-1]
    assert ", 27 problems" in plain_text(render_action("accounts-synced", told))


@pytest.mark.parametrize("country_count", [1, 3])
def test_entities_are_those_of_all_ad_products_and_of_each_country_its_own(
    world: World, country_count: int
) -> None:
    """Campaigns with their budgets and dates, ad groups, ads, targets and portfolios, archived and negative ones too."""
    accounts = accounts_in(world, country_count)
    for account in accounts:
        assert KINDS == set(world.sync_entities(account))
    for account in accounts:
        catalogs = catalogs_of(world, account)
        assert true_campaigns(catalogs) == stored(world, account, "campaigns", *CAMPAIGN_COLUMNS)
        assert {
            (one["adGroupId"], one["campaignId"])
            for c in catalogs
            for one in c.entities["adGroups"]
        } == stored(world, account, "ad_groups", "ad_group_id", "campaign_id")
        assert {
            (ad["adId"], ad["state"], tuple(asins_of(ad)))
            for c in catalogs
            for ad in c.entities["ads"]
        } == {
            (ad_id, state, tuple(asins))
            for ad_id, state, *asins in stored(world, account, "ads", "ad_id", "state", "asins")
        }
        targets = [target for c in catalogs for target in c.entities["targets"]]
        assert {
            (t["targetId"], t["state"], t["negative"], as_stored(bid_of(t)), "adGroupId" not in t)
            for t in targets
        } == stored(
            world,
            account,
            "targets",
            "target_id",
            "state",
            "negative",
            "bid",
            "ad_group_id IS NULL",
        )
        assert {(one["portfolioId"], one["name"]) for one in catalogs[0].portfolios} == stored(
            world, account, "portfolios", "portfolio_id", "name"
        )
        assert (
            world.account_in(account.account_id, account.country_code).entities_synced_at
            is not None
        )
    assert world.query("SELECT * FROM entity_problems") == []
    assert country_count == len(world.query("SELECT DISTINCT country_code FROM campaigns"))


def accounts_in(world: World, count: int) -> list[Account]:
    """Have Amazon list an ads account in so many countries, and return its accounts."""
    book = world.sandbox.state.world.accounts
    first, *others = book.accounts
    mexico = AccountCountry(MARKETS["MX"], 2**53 + 7, "ENTITYMEXICO", rows_per_day=40)
    countries = (*first.countries, mexico)[:count]
    world.sandbox.state.world.accounts = AccountBook((replace(first, countries=countries), *others))
    world.sync_accounts()
    return [world.account_in(first.account_id, country.country) for country in countries]


CAMPAIGN_COLUMNS = (
    "campaign_id",
    "ad_product",
    "name",
    "state",
    "budget",
    "start_date",
    "currency_code",
)


def true_campaigns(catalogs: Sequence[Catalog]) -> set[tuple[Any, ...]]:
    """Return the campaigns of an account in one country, of all ad products."""
    return {
        (
            one["campaignId"],
            one["adProduct"],
            one["name"],
            one["state"],
            as_stored(one["budgetCaps"]["budgetValue"]["monetaryBudget"]["amount"]),
            date.fromisoformat(one["startDate"]),
            catalog.market.currency,
        )
        for catalog in catalogs
        for one in catalog.entities["campaigns"]
    }


def as_stored(amount: float | None) -> Decimal | None:
    """Return an amount of an export as the tables have it, digit by digit."""
    return None if amount is None else Decimal(str(amount))


def catalogs_of(world: World, account: Account) -> list[Catalog]:
    """Return what an account has in its country, by ad product."""
    owner = world.sandbox.state.world.accounts.find(account.account_id)
    assert owner is not None
    country = owner.find_country(account.country_code)
    assert country is not None
    return [world.sandbox.state.world.catalog(owner, country, product) for product in AD_PRODUCTS]


def stored(world: World, account: Account, table: str, *columns: str) -> set[tuple[Any, ...]]:
    """Return columns of an account's entities; of a list its members."""
    rows = world.query(
        f"SELECT {', '.join(columns)} FROM {table} WHERE account_id = :account_id AND country_code = :country_code",
        **account.identity,
    )
    return {
        tuple(
            item
            for value in row.values()
            for item in (value if isinstance(value, list) else [value])
        )
        for row in rows
    }


def test_entities_that_cannot_be_read_are_a_warning(world: World, tmp_path: Path) -> None:
    """The sync stores those that can be, and its session has how many could not, and why."""
    with (
        context_over(world, OddPortfolios(), tmp_path) as context,
        world.session() as session,
    ):
        assert 1 == sync_entities(context, session, world.account())["portfolios"]
    [misread] = world.actions("entities-misread")
    fault = {"field": "portfolioId", "expected": "a value", "got": "nothing"}
    why = invalid_fields([fault])
    assert ("portfolios", 1, 0, why) == tuple(
        misread[name] for name in ("kind", "bad", "incomplete", "cause")
    )
    assert [why] == [row["cause"] for row in world.query("SELECT cause FROM entity_problems")]
    assert world.account().entities_synced_at is not None


def test_entities_that_an_export_lacks_stay(world: World) -> None:
    """Reports of old days still name them."""
    account = world.account()
    world.sync_entities(account)
    world.execute(
        "UPDATE targets SET target_id = '1' WHERE target_id = (SELECT min(target_id) FROM targets)"
    )
    world.sync_entities(account)
    assert len(world.query("SELECT * FROM targets WHERE target_id = '1'")) == 1


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
        [count] = [one for one in counted(world) if one["kind"] == "campaigns"]
        return int(count["gone"])

    where = {"campaignId": [gone["campaign_id"]]}
    world.break_with("rows", of="campaigns", change="vanish", share=1, where=where)
    assert [0, 0, 1, 1] == [synced(), synced(fails=True), synced(), synced()]
    named = "SELECT DISTINCT campaign_name FROM reports.daily_targets WHERE campaign_id = :id"
    [shown] = world.query(named, id=gone["campaign_id"])
    assert gone["name"] == shown["campaign_name"]
    world.sandbox.state.rules.clear()
    assert 0 == synced()


def counted(world: World) -> list[dict[str, Any]]:
    """Return how many entities are stored and gone."""
    with world.engine.begin() as connection:
        return count_entities(connection)


def test_export_that_two_syncs_store_counts_once(world: World, tmp_path: Path) -> None:
    """The slower one leaves it to the other: what it lacks is missing, and not gone."""
    account = world.account()
    world.sync_entities(account)
    world.advance(hours=8)
    world.break_with("rows", of="campaigns", change="vanish", share=1)
    network = Overtaken(lambda: world.sync_entities(account))
    with context_over(world, network, tmp_path) as slow, world.session("slow") as session:
        sync_entities(slow, session, account)
    assert network.is_over
    assert {0} == {one["gone"] for one in counted(world)}
    asked = world.query("SELECT kind, count(*) FROM entity_exports GROUP BY kind")
    assert {2} == {row["count"] for row in asked}


def test_exports_in_flight_are_taken_over_by_the_next_run(
    world: World, dying_context: JobContext
) -> None:
    """A run that dies while it waits leaves four exports; the next one asks for none."""
    account = world.account()
    with pytest.raises(KeyboardInterrupt), world.session("dying") as session:
        sync_entities(dying_context, session, account)
    assert len(world.accepted("create_export")) == 4
    world.sync_entities(account)
    assert len(world.accepted("create_export")) == 4
    adopted = [action["kind"] for action in world.actions("export-requested") if action["adopted"]]
    assert set(adopted) == EXPORTED
    assert {"loaded"} == {row["status"] for row in world.query("SELECT status FROM entity_exports")}


def test_an_export_older_than_a_day_is_asked_for_anew(
    world: World, dying_context: JobContext
) -> None:
    """Amazon does not keep it any longer."""
    account = world.account()
    with pytest.raises(KeyboardInterrupt), world.session("dying") as session:
        sync_entities(dying_context, session, account)
    long_ago = world.context.now() - timedelta(hours=25)
    world.execute("UPDATE entity_exports SET created_at = :then", then=long_ago)
    world.sync_entities(account)
    assert len(world.accepted("create_export")) == 8


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
    for hours in (0, 7, 1):
        world.advance(hours=hours)
        if hours == 0:
            with pytest.raises(ExportFailedError):
                world.sync_entities(account)
            world.execute("UPDATE entity_exports SET status = 'loaded'")
        else:
            assert KINDS == set(world.sync_entities(account))


def test_a_broken_export_file_stores_nothing_of_it(world: World) -> None:
    """The export is failed with the reason, and the next sync asks again."""
    account = world.account()
    world.break_with("file", times=1, keep=0.5)
    with pytest.raises(BrokenPartError, match="damaged gzip"):
        world.sync_entities(account)
    assert world.query("SELECT * FROM campaigns") == []
    assert len(world.actions("export-failed")) == 1
    world.sync_entities(account)
    assert len(world.query("SELECT * FROM campaigns")) > 0


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
    with world.engine.begin() as connection:
        keys = list_keys_without_entities(
            connection,
            now=then,
            synced_before=then - timedelta(hours=24),
            missed_before=then - timedelta(hours=6),
        )
    synced = world.query(
        "SELECT account_key FROM advertiser_accounts WHERE entities_synced_at IS NOT NULL"
    )
    return [key for key in keys if key in {row["account_key"] for row in synced}]
