"""What is true of an account's day, to compare tables with: the rows as a report made now would have them."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Literal

from bidbeacon_pipelines.sandbox.entities import Catalog
from bidbeacon_pipelines.sandbox.rows import amount_text
from bidbeacon_pipelines.sandbox.traffic import Line, age_of, day_lines, writes_nulls

Grain = Literal["target", "product", "search_term"]
_Key = tuple[Any, ...]


def day_truth(
    catalog: Catalog, day: date, now: datetime, *, grain: Grain = "target", hourly: bool = False
) -> list[dict[str, Any]]:
    """Return the true rows of an account-local day as JSON data, amounts as exact decimal texts.

    One row is a campaign, ad group, ad and target (no target at grain `product`), with its hour or search term where
    asked for. `targetId` is the true target, None where the row names none; `unresolvable` says that an export made
    now doesn't have it. A metric is None where the report has null. Faults are not in it.
    """
    lines = day_lines(catalog, day, age_of(catalog, day, now), hourly=hourly, terms=grain == "search_term")
    today = catalog.local_now(now).date()
    return [_row(group, today, grain) for group in _groups(lines, grain).values()]


def _groups(lines: Iterable[Line], grain: Grain) -> dict[_Key, list[Line]]:
    groups: dict[_Key, list[Line]] = {}
    for line in lines:
        target_id = line.target.target_id if line.target and grain != "product" else None
        groups.setdefault((line.ad.ad_id, target_id, line.hour, line.term), []).append(line)
    return groups


def _row(group: list[Line], today: date, grain: Grain) -> dict[str, Any]:
    first = group[0]
    campaign = first.ad.ad_group.campaign
    return {
        "campaignId": campaign.campaign_id,
        "adGroupId": first.ad.ad_group.ad_group_id,
        "adId": first.ad.ad_id,
        "advertisedProductId": first.ad.asin,
        **({} if grain == "product" else _target(first, today)),
        "hour": first.hour,
        "searchTerm": first.term,
        **_metrics(group),
    }


def _target(line: Line, today: date) -> dict[str, Any]:
    target = line.target
    return {
        "targetId": target.target_id if target else None,
        "targetValue": target.report_value if target else "",
        "targetMatchType": target.report_match_type if target else "",
        "unresolvable": target is None or not target.is_exported(today),
    }


def _metrics(group: list[Line]) -> dict[str, int | str | None]:
    purchases = sum(line.purchases for line in group)
    sales, cost = (
        amount_text(sum(amounts)) for amounts in zip(*((x.sales, x.cost) for x in group), strict=True)
    )
    has_nulls = len(group) == 1 and writes_nulls(group[0].bits)
    return {
        "impressions": sum(line.impressions for line in group),
        "clicks": sum(line.clicks for line in group),
        "purchases": None if has_nulls and not purchases else purchases,
        "sales": None if has_nulls and sales == "0" else sales,
        "totalCost": None if has_nulls and cost == "0" else cost,
    }
