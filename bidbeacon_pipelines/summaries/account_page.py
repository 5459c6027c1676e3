"""The data of an account's page: identity, freshness, sales, entities and schedule."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import product_name
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.requests.gate import list_gates
from bidbeacon_pipelines.requests.queue import list_limits
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.fill import fill_json, read_fill
from bidbeacon_pipelines.states.window_states import count_json, count_states
from bidbeacon_pipelines.summaries.queries import sum_up_days, sum_up_periods
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.wanted import list_wanted_json

PERIOD: Final = timedelta(days=30)
_SUMS = ("days", "spend", "sales", "orders", "acos")


def read_account(
    connection: Connection, settings: Settings, account: Account, *, now: datetime
) -> dict[str, Any]:
    """Return the data of an account's page at the time `now`; see `docs/reference/http.md`.

    Amounts are exact, as text. Call this in a REPEATABLE READ transaction for consistent figures.
    """
    states = count_states(connection, account, now, settings.late_after)
    owner, at_once = account.ads_account, settings.loads_at_once
    gates = list_gates(connection, now=now, client_id=owner.client_id, region=owner.region)
    limits = list_limits(
        connection, gates, loads_at_once=at_once, now=now, account_id=account.account_id
    )
    answer = {
        "at": now,
        **who_json(account),
        "datasets": [count_json(name, states.get(name, {})) for name in DATASETS],
        "fill": fill_json(read_fill(connection, now, account), limits),
        "figures": _figures(connection, account, now),
        "entities": count_entities(connection, account),
        "schedule": schedule_json(account),
        "wanted": list_wanted_json(connection, account),
    }
    plain: dict[str, Any] = msgspec.to_builtins(answer)
    return plain


def who_json(account: Account) -> dict[str, Any]:
    """Return an account's names, ids and status, and the reason if it is stopped."""
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
        "can_resume": account.can_resume,
        "stopped": account.stopped,
        "stop_reason": account.stop_reason,
    }


def schedule_json(account: Account) -> dict[str, Any]:
    """Return an account's refresh cadence, and the times of its refreshes, syncs and pause."""
    of_ads_account = ("cadence_by", "cadence_at", "next_run_at", "last_run_at")
    own = ("paused_by", "paused_at", "entities_synced_at", "first_seen_at", "synced_at")
    return {
        "cadence": str(account.ads_account.cadence),
        **{name: getattr(account.ads_account, name) for name in of_ads_account},
        **{name: getattr(account, name) for name in own},
    }


def _figures(connection: Connection, account: Account, now: datetime) -> dict[str, Any]:
    """Return sums by ad product of the last 30 complete local days, and of the 30 days before."""
    end = local_date(now, account.time_zone)
    middle, first = end - PERIOD, end - 2 * PERIOD
    sums = sum_up_periods(connection, account, first=first, middle=middle, end=end)
    days = sum_up_days(connection, account, first=middle, end=end)
    products = dict.fromkeys(row["ad_product"] for row in sums)
    return {
        "from": middle,
        "to": end - timedelta(days=1),
        "before_from": first,
        "currency": account.currency_code,
        "products": [_product_json(product, sums) for product in products],
        "days": [dict(row) for row in days],
    }


def _product_json(product: str | None, sums: Sequence[RowMapping]) -> dict[str, Any]:
    rows = {row["is_recent"]: row for row in sums if row["ad_product"] == product}
    periods = {is_recent: {name: row[name] for name in _SUMS} for is_recent, row in rows.items()}
    attributed = {row["attribution_days"] for row in rows.values()}
    is_one = product is not None and len(attributed) == 1
    return {
        "ad_product": product,
        "name": "All ad products" if product is None else product_name(product),
        "attribution_days": attributed.pop() if is_one else None,
        "recent": periods.get(True),
        "before": periods.get(False),
    }
