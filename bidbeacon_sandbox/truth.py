"""The truth of an account's day, to compare tables with: its rows and totals as reports made now would have them."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from functools import reduce
from typing import Any, Literal

from bidbeacon_sandbox.entities import Catalog
from bidbeacon_sandbox.fields import METRICS, TRAFFIC_METRICS, applies, is_money
from bidbeacon_sandbox.rows import amount_text, metric_values
from bidbeacon_sandbox.traffic import Line, Split, age_of, day_lines

Grain = Literal["campaign", "placement", "target", "product", "search_term", "purchased_product"]
TotalOf = Literal["daily", "hourly", "search_terms", "purchased_products"]
"""The datasets whose totals differ; `daily` is that of campaigns, placements, targets and products."""
_Key = tuple[Any, ...]
_SPLITS: dict[str, Split] = {
    "placement": "placement",
    "search_term": "search_term",
    "purchased_product": "purchased_product",
    "search_terms": "search_term",
    "purchased_products": "purchased_product",
}


def day_truth(
    catalog: Catalog, day: date, now: datetime, *, grain: Grain = "target", hourly: bool = False
) -> list[dict[str, Any]]:
    """Return the true rows of an account-local day as JSON data, amounts as exact decimal texts.

    One row is a campaign, ad group, ad and target (no target at grain `product`), with its hour,
    search term or purchased product where asked for; at grain `campaign` and `placement` it is a
    campaign. `targetId` is the true target, None where the row names none; `unresolvable` says that
    an export made now doesn't have it, or that the row doesn't name it well enough. A metric is
    None where the ad product doesn't have it. What rules change is not in it.
    """
    lines = day_lines(
        catalog, day, age_of(catalog, day, now), hourly=hourly, splits=_splits_of(grain)
    )
    today = catalog.local_now(now).date()
    return [_row(catalog, line, today, grain) for line in _summed(lines, grain)]


def day_totals(
    catalog: Catalog, day: date, now: datetime, dataset: TotalOf = "daily"
) -> dict[str, Any]:
    """Return the true totals of an account-local day and ad product; None for what it or the dataset doesn't have."""
    hourly, splits = dataset == "hourly", _splits_of(dataset)
    sums = [0] * len(METRICS)
    for line in day_lines(catalog, day, age_of(catalog, day, now), hourly=hourly, splits=splits):
        values = metric_values(line)
        for index in range(len(METRICS) if line.conversions else len(TRAFFIC_METRICS)):
            sums[index] += values[index]
    totals = _named(sums, catalog)
    if dataset == "purchased_products":
        totals |= dict.fromkeys((metric.partition(".")[2] for metric in TRAFFIC_METRICS), None)
    return totals


def _summed(lines: Iterable[Line], grain: Grain) -> Iterator[Line]:
    groups: dict[_Key, list[Line]] = {}
    for line in lines:
        groups.setdefault(_key(line, grain), []).append(line)
    return (reduce(Line.plus, group) for group in groups.values())


def _key(line: Line, grain: Grain) -> _Key:
    if grain in {"campaign", "placement"}:
        return line.ad.ad_group.campaign.campaign_id, line.hour, line.splits
    target_id = line.target.target_id if line.target and grain != "product" else None
    return line.ad.ad_id, target_id, line.hour, line.splits


def _row(catalog: Catalog, line: Line, today: date, grain: Grain) -> dict[str, Any]:
    ad, group = line.ad, line.ad.ad_group
    ids: dict[str, Any] = {"campaignId": group.campaign.campaign_id}
    if grain not in {"campaign", "placement"}:
        ids |= {
            "adGroupId": group.ad_group_id,
            "adId": ad.ad_id,
            "advertisedProductId": ad.asin,
            "advertisedProductSku": ad.sku,
            **({} if grain == "product" else _target(line, today)),
        }
    split = line.splits[0] if line.splits else None
    return {
        **ids,
        "hour": line.hour,
        "searchTerm": split if grain == "search_term" else None,
        "placement": split if grain == "placement" else None,
        "convertedProductId": split if grain == "purchased_product" else None,
        **_named(metric_values(line), catalog),
    }


def _target(line: Line, today: date) -> dict[str, Any]:
    target = line.target
    is_named = target is not None and target.report_match_type not in {None, "THEME"}
    return {
        "targetId": target.target_id if target else None,
        "targetValue": target.report_value if target else "",
        "targetMatchType": target.report_match_type if target else "",
        "unresolvable": target is None or not is_named or not target.is_exported(today),
    }


def _named(values: Iterable[int], catalog: Catalog) -> dict[str, int | str | None]:
    """Return metrics by name, amounts as text; None where the ad product has none."""
    named: dict[str, int | str | None] = {}
    for metric, value in zip(METRICS, values, strict=True):
        shown = amount_text(value) if is_money(metric) else value
        named[metric.partition(".")[2]] = shown if applies(metric, catalog.product) else None
    return named


def _splits_of(word: str) -> tuple[Split, ...]:
    """Return what a grain or dataset is split by."""
    return (_SPLITS[word],) if word in _SPLITS else ()
