"""Empty days that are older than any that Amazon proves to serve: no measured zeros, unless there was no campaign."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from bidbeacon_pipelines.windows.history_queries import judge_account
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.load_world import LoadWorld, Raw, report_row

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
SPELLED = {SP: "Sponsored Products", SB: "Sponsored Brands", SD: "Sponsored Display"}
TODAY = date(2026, 1, 11)
"""The account's day at `AS_OF`."""


def ago(days: int) -> date:
    """Return the account's day so many days before `AS_OF`."""
    return TODAY - timedelta(days=days)


def add_campaign(shelf: LoadWorld, product: str = SP, **columns: Any) -> None:
    """Store a campaign of an ad product, and that the entities were synced."""
    values = {"state": "'ENABLED'", "start_date": "NULL", "end_date": "NULL"} | columns
    shelf.execute(f"""
        INSERT INTO campaigns (account_id, country_code, campaign_id, ad_product, seen_at, {", ".join(values)})
        SELECT account_id, country_code, CAST(gen_random_uuid() AS text), '{product}', now(), {", ".join(values.values())}
          FROM advertiser_accounts""")
    sync_entities(shelf)


def sync_entities(shelf: LoadWorld) -> None:
    """Store that the entities were synced."""
    shelf.execute("UPDATE advertiser_accounts SET entities_synced_at = now()")
    with shelf.engine.begin() as connection:
        judge_account(connection, shelf.account)


def rows(days: Iterable[int], product: str = SP) -> list[Raw]:
    """Return a row of an ad product for each day."""
    return [report_row(day=ago(one), **{"adProduct.value": SPELLED[product]}) for one in days]


def load(shelf: LoadWorld, ages: Iterable[int], found: list[Raw], *products: str) -> None:
    """Load a report of days of these ages."""
    days = [ago(one) for one in ages]
    shelf.load(found, days=days, ad_products=products or (SP,))


def not_served(shelf: LoadWorld, dataset: str = "daily_targets") -> dict[int, list[str]]:
    """Return the ad products that are not served, by the age of the window."""
    found = shelf.query(f"""
        SELECT window_date, not_served FROM report_windows
         WHERE dataset = '{dataset}' AND not_served <> '{{}}' ORDER BY window_date DESC""")
    return {(TODAY - row["window_date"]).days: row["not_served"] for row in found}


def window(shelf: LoadWorld, age: int) -> ReportWindow:
    """Return the window of an age."""
    return shelf.window(ago(age))


def proven(shelf: LoadWorld) -> list[tuple[Any, ...]]:
    """Return what is proven."""
    found = shelf.query("SELECT * FROM proven_histories ORDER BY 1, 2, 3, 4")
    return [tuple(row.values())[:7] for row in found]


def test_empty_days_older_than_the_oldest_row_of_their_report_are_not_served(
    shelf: LoadWorld,
) -> None:
    """Those between are measured zeros."""
    add_campaign(shelf)
    load(shelf, range(30, 61), rows([30, 50]))
    assert {age: [SP] for age in range(51, 61)} == not_served(shelf)
    [one] = proven(shelf)
    assert ("test", "NA", "daily_targets", SP, 50, shelf.account.account_key, ago(50)) == one
    ended, zero = window(shelf, 51), window(shelf, 49)
    assert ("not_served", None, {"code": "history-not-proven"}) == (
        ended.status,
        ended.next_refresh_at,
        ended.cause,
    )
    assert ended.not_served_since == ended.cause_since is not None
    assert ("loaded", [], None) == (zero.status, zero.not_served, zero.not_served_since)
