"""The data of an account's page: identity, freshness, sales, entities and schedule."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import product_name
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.requests.wanted import list_wanted_json
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.summaries.queries import sum_up_days, sum_up_periods
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.states import WindowState, count_states
from bidbeacon_sessions.presentation import instant

PERIOD: Final = timedelta(days=30)
_RATIO_DIGITS: Final = Decimal("0.0001")


def read_account(
    connection: Connection, settings: Settings, account: Account, *, now: datetime
) -> dict[str, Any]:
    """Return an account as its page shows it; `docs/page.md` describes the fields.

    Amounts are exact, as text.

    Args:
        connection: an open transaction; REPEATABLE READ, so that all is of one moment.
        settings: how long after it fell due a window is late.
        account: which one.
        now: the instant that everything is true as of, UTC.
    """
    counted = count_states(connection, account, now, settings.late_after)
    return {
        "at": instant(now),
        **_who(account),
        "datasets": [_dataset_json(one, counted.get(one.name, {})) for one in DATASETS.values()],
        "figures": _figures(connection, account, now),
        "entities": [_entity_json(row.__dict__) for row in count_entities(connection, account)],
        "schedule": _schedule(account),
        "wanted": list_wanted_json(connection, account),
    }


def _who(account: Account) -> dict[str, Any]:
    return {
        "key": account.account_key,
        "label": account.label,
        "ads_account": account.ads_account_key,
        "amazon_name": account.name,
        "alias": account.alias,
        "country": account.country_code,
        "time_zone": account.time_zone,
        "currency": account.currency_code,
        "account_type": account.account_type,
        "credential": account.ads_account.credential,
        "region": account.ads_account.region,
        "paused": account.paused,
        "amazon_status": account.amazon_status,
        "needs_attention": account.needs_attention,
        "stopped": account.stop_reason,
    }


def _dataset_json(dataset: Dataset, states: Mapping[WindowState, int]) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "windows": sum(states.values()),
        "states": {str(state): states[state] for state in WindowState if state in states},
    }


def _schedule(account: Account) -> dict[str, Any]:
    ads_account = account.ads_account
    return {
        "cadence": str(ads_account.cadence),
        "cadence_by": ads_account.cadence_by,
        "paused_by": account.paused_by,
        "paused_at": instant(account.paused_at),
        "next_look_at": instant(ads_account.next_look_at),
        "last_look_at": instant(ads_account.last_look_at),
        "cadence_at": instant(ads_account.cadence_at),
        "entities_synced_at": instant(account.entities_synced_at),
        "first_seen_at": instant(account.first_seen_at),
        "synced_at": instant(account.synced_at),
    }


def _figures(connection: Connection, account: Account, now: datetime) -> dict[str, Any]:
    """Return the sums of the last 30 days that are over in the account's time zone, and of the 30 before, by ad product."""
    end = local_date(now, account.time_zone)
    middle, first = end - PERIOD, end - 2 * PERIOD
    sums = sum_up_periods(connection, account, first=first, middle=middle, end=end)
    days = sum_up_days(connection, account, first=middle, end=end)
    products = dict.fromkeys(row["ad_product"] for row in sums)
    return {
        "from": middle.isoformat(),
        "to": (end - timedelta(days=1)).isoformat(),
        "before_from": first.isoformat(),
        "currency": account.currency_code,
        "products": [_product_json(product, sums) for product in products],
        "days": [_day_json(row) for row in days],
    }


def _product_json(product: str | None, sums: Sequence[RowMapping]) -> dict[str, Any]:
    """Return the two periods of an ad product, or of all products for None."""
    of_product = {row["is_recent"]: row for row in sums if row["ad_product"] == product}
    attribution = {row["attribution_days"] for row in of_product.values()}
    return {
        "ad_product": product,
        "name": "All ad products" if product is None else product_name(product),
        "attribution_days": attribution.pop()
        if product is not None and len(attribution) == 1
        else None,
        "recent": _sums_json(of_product.get(True)),
        "before": _sums_json(of_product.get(False)),
    }


def _sums_json(row: Mapping[Any, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "days": row["days"],
        "spend": _text(row["spend"]),
        "sales": _text(row["sales"]),
        "orders": _text(row["orders"]),
        "acos": _text(_ratio(row["spend"], row["sales"])),
    }


def _day_json(row: Mapping[Any, Any]) -> dict[str, Any]:
    day: date = row["window_date"]
    return {"date": day.isoformat(), "spend": _text(row["spend"]), "sales": _text(row["sales"])}


def _entity_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("kind", "stored", "gone", "set_aside")} | {
        "seen_at": instant(row["seen_at"])
    }


def _ratio(numerator: Decimal | None, denominator: Decimal | None) -> Decimal | None:
    if numerator is None or not denominator:
        return None
    return (numerator / denominator).quantize(_RATIO_DIGITS)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
