"""A small world for the questions of docs/analysis.md, whose answers can be computed by hand: one seller in the US, one vendor in Germany."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from tests.postgres.load_world import add_account, run
from tests.report_rows import store_rows

SHIRTS, BRAND, RETARGETING = "Shirts", "Brand video", "Retargeting"
DOG, CHEAP = "B000000001", "B000000002"
_CAMPAIGNS = (("US", "1", SHIRTS), ("US", "2", BRAND), ("US", "3", RETARGETING), ("DE", "1", "Hemden"))
_SB, _SD = {"ad_product": "SPONSORED_BRANDS"}, {"ad_product": "SPONSORED_DISPLAY"}
Row = dict[str, Any]


def _row(
    campaign_id: str, impressions: int, clicks: int, spend: str, orders: int, sales: str, **more: Any
) -> Row:
    """Return a row with traffic."""
    return {
        "campaign_id": campaign_id,
        "impressions": impressions,
        "clicks": clicks,
        "spend": Decimal(spend),
        "orders": orders,
        "sales": Decimal(sales),
        "units": orders,
    } | more


def fill(engine: Engine, today: date) -> None:
    """Store the world's accounts, entities and rows; the rows are of the last days before today."""
    two, three = ({"window_date": today - timedelta(days=days)} for days in (2, 3))
    with engine.begin() as connection:
        add_account(connection, "US", account_type="seller")
        add_account(
            connection,
            "DE",
            account_type="vendor",
            currency_code="EUR",
            time_zone="Europe/Paris",
            region="EU",
        )
        for country, campaign_id, name in _CAMPAIGNS:
            _add_campaign(connection, country, campaign_id, name)
        _store_campaigns(connection, two, three)
        _store_placements(connection, two)
        _store_targets(connection, two, three)
        _store_products(connection, two)
        _store_hours(connection, two)


def _add_campaign(connection: Connection, country: str, campaign_id: str, name: str) -> None:
    run(
        connection,
        """INSERT INTO campaigns (account_id, country_code, campaign_id, name, state, seen_at)
           VALUES ('amzn1.ads-account.g.one', :country, :campaign_id, :name, 'ENABLED', now())""",
        country=country,
        campaign_id=campaign_id,
        name=name,
    )


def _store_campaigns(connection: Connection, two: Row, three: Row) -> None:
    new = {"new_to_brand_orders": 1, "new_to_brand_sales": Decimal(25), "new_to_brand_units": 1}
    none = dict.fromkeys(new, 0)
    store_rows(
        connection,
        "daily_campaigns",
        "US.one",
        _row("1", 1000, 10, "5", 1, "20") | three,
        _row("1", 2000, 30, "15", 3, "60") | two,
        _row("2", 5000, 25, "20", 4, "100") | two | _SB | new,
        _row("3", 8000, 8, "8", 0, "0") | two | _SD | none,
    )
    german = _row("1", 100, 5, "2.5", 1, "12.5", currency_code="EUR")
    store_rows(connection, "daily_campaigns", "DE.one", german | two)


def _store_placements(connection: Connection, two: Row) -> None:
    store_rows(
        connection,
        "daily_placements",
        "US.one",
        _row("1", 1000, 20, "15", 2, "50", placement="TOP_OF_SEARCH") | two,
        _row("1", 2000, 20, "5", 2, "30", placement="PRODUCT_PAGE") | two,
        _row("2", 5000, 25, "20", 4, "100", placement="TOP_OF_SEARCH") | two | _SB,
    )


def _store_targets(connection: Connection, two: Row, three: Row) -> None:
    keyword = {"ad_group_id": "11", "target_value": "dog shirt", "match_type": "BROAD"}
    unknown = keyword | {"target_value": "dog shirt xxl", "match_type": "EXACT"}
    store_rows(
        connection,
        "daily_targets",
        "US.one",
        _row("1", 2500, 34, "16", 4, "80", target_id="111") | keyword | two,
        _row("1", 300, 4, "2.5", 0, "0") | unknown | three,
        _row("1", 200, 2, "1.5", 0, "0") | unknown | two,
    )
    store_rows(
        connection,
        "daily_search_terms",
        "US.one",
        _row("1", 90, 6, "3", 0, "0", search_term="cheap dog shirt") | keyword | two,
        _row("1", 80, 4, "2", 1, "20", search_term="dog shirt") | keyword | two,
        _row("1", 10, 1, "1", 0, "0", search_term="dog shirt") | keyword | three,
    )


def _store_products(connection: Connection, two: Row) -> None:
    dog = {"ad_group_id": "11", "ad_id": "21", "product_id": DOG, "sku": "DOG-M", "marketplace": "US"}
    store_rows(
        connection,
        "daily_products",
        "US.one",
        _row("1", 3000, 40, "20", 4, "80") | dog | two,
        _row("2", 5000, 25, "19", 4, "100", ad_group_id="12", ad_id="22") | two | _SB,
    )
    bought = {"campaign_id": "1", "ad_group_id": "11", "product_id": DOG, "purchased_marketplace": "US"}
    store_rows(
        connection,
        "daily_purchased_products",
        "US.one",
        bought | two | {"purchased_product_id": DOG, "orders": 3, "sales": Decimal(70), "units": 3},
        bought | two | {"purchased_product_id": CHEAP, "orders": 1, "sales": Decimal(10), "units": 1},
    )


def _store_hours(connection: Connection, two: Row) -> None:
    zone = ZoneInfo("America/Los_Angeles")

    def at(hour: int) -> Row:
        return {"hour_at": datetime.combine(two["window_date"], time(hour), zone).astimezone(UTC)}

    store_rows(
        connection,
        "hourly_campaigns",
        "US.one",
        _row("1", 400, 12, "6", 2, "30") | two | at(9),
        _row("1", 600, 8, "4", 0, "0") | two | at(21),
    )
