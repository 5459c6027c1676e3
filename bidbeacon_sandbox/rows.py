"""Report rows as JSON text, with exactly the fields that were asked for and at the grain these make.

Amounts are exact: decimals are written digit by digit and never pass through a float. Texts that
don't change from day to day are made once per entity: a row costs a few microseconds.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import reduce
from itertools import chain, groupby
from typing import Any

from bidbeacon_sandbox.entities import ROW_PRODUCTS, Ad, Catalog, Target
from bidbeacon_sandbox.fields import (
    AD_FIELDS,
    ALL_METRICS,
    ID_FIELDS,
    METRICS,
    RATES,
    SHARES,
    SPLIT_FIELDS,
    TARGET_FIELDS,
    TIME_FIELDS,
    applies,
    is_money,
)
from bidbeacon_sandbox.traffic import Age, Line, choose, day_lines

_MILLION = 1_000_000


def to_json(value: Any) -> str:
    """Write a value as compact JSON; `Decimal` comes out as a number with exactly its digits."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        items = (f"{json.dumps(key)}:{to_json(item)}" for key, item in value.items())
        return "{" + ",".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def from_json(text: str) -> Any:
    """Read JSON with `Decimal` for every number that isn't an integer."""
    return json.loads(text, parse_float=Decimal)


def amount_text(micros: int) -> str:
    """Write millionths as a decimal number without trailing zeros: 19990000 is `19.99`."""
    whole, rest = divmod(micros, _MILLION)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)


def metric_values(line: Line) -> tuple[int, ...]:
    """Return a line's metrics in the order of `METRICS`, amounts in millionths."""
    traffic = line.impressions, line.clicks, line.cost, line.viewable
    if line.conversions is None:
        return traffic + _NO_CONVERSIONS
    orders, sales, units, *kinds = line.conversions
    halo, views, new = kinds[:3], kinds[3:6], kinds[6:]
    promoted = (orders - halo[0], sales - halo[1], units - halo[2])
    clicked = (orders - views[0], sales - views[1], units - views[2])
    return (*traffic, orders, sales, units, *promoted, *halo, *clicked, *views, *new)


_NO_CONVERSIONS = (0,) * (len(METRICS) - 4)
_OF_METRICS = {metric.removeprefix("metric."): number for number, metric in enumerate(METRICS)}
_DERIVED: dict[str, tuple[str, float]] = {
    "detailPageViews": ("clicks", 0.5),
    "addToCart": ("clicks", 0.2),
    "addToList": ("clicks", 0.1),
    "brandedSearches": ("clicks", 0.08),
    "brandStorePageViews": ("clicks", 0.15),
    "startsVideoAd": ("viewableImpressions", 0.75),
    "firstQuartileVideoAd": ("viewableImpressions", 0.5),
    "midpointVideoAd": ("viewableImpressions", 0.3),
    "thirdQuartileVideoAd": ("viewableImpressions", 0.25),
    "completeViewsVideoAd": ("viewableImpressions", 0.2),
    "unmutesVideoAd": ("viewableImpressions", 0.05),
    "5secondViewsVideoAd": ("viewableImpressions", 0.6),
    "longTermSales": ("sales", 2),
    "newToBrandPurchasesFromClicks": ("newToBrandPurchases", 1),
    "newToBrandSalesFromClicks": ("newToBrandSales", 1),
    "newToBrandUnitsSoldFromClicks": ("newToBrandUnitsSold", 1),
    "kindleEditionNormalizedPagesRead": ("clicks", 40),
    "estimatedKindleEditionNormalizedRoyalties": ("sales", 0.1),
}
"""Metrics that a row has as a share of one of its own."""


def _derived(metric: str, line: Line, values: Sequence[int]) -> str:
    """Write a metric that is derived from others, a rate, or a share of impressions."""
    name = metric.removeprefix("metric.")
    if name in _DERIVED:
        source, factor = _DERIVED[name]
        value = int(values[_OF_METRICS[source]] * factor)
        return amount_text(value) if is_money(metric) else str(value)
    if metric in RATES:
        over, under = {
            "ctr": (line.clicks * _MILLION, line.impressions),
            "cpc": (line.cost, line.clicks),
            "roas": (values[_OF_METRICS["sales"]] * _MILLION, line.cost),
        }[name]
        return amount_text(over // under) if under else "null"
    rank = choose(line.draw, 4, 20)
    return str(rank + 1) if metric == SHARES[2] else amount_text((1 + rank) * 45_000)


_AD_VALUES: dict[str, Callable[[Ad, Catalog], Any]] = {
    "budgetCurrency.value": lambda _, catalog: catalog.market.currency,
    "adProduct.value": lambda _, catalog: ROW_PRODUCTS[catalog.product],
    "advertiserAccount.id": lambda _, catalog: catalog.account_id,
    "campaign.id": lambda ad, _: ad.ad_group.campaign.campaign_id,
    "campaign.name": lambda ad, _: ad.ad_group.campaign.name,
    "campaign.country": lambda _, catalog: catalog.market.country,
    "campaignCountry.value": lambda _, catalog: catalog.market.country,
    "campaign.costType": lambda ad, catalog: (
        None if catalog.product == "SPONSORED_PRODUCTS" else ad.ad_group.campaign.cost_type
    ),
    "campaign.currencyCode": lambda _, catalog: catalog.market.currency,
    "campaign.deliveryStatus": lambda ad, _: (
        "DELIVERING" if ad.ad_group.campaign.state == "ENABLED" else "NOT_DELIVERING"
    ),
    "campaign.budgetAmount": lambda ad, _: ad.ad_group.campaign.budget,
    "campaign.budgetType": lambda _, __: "DAILY",
    "portfolio.portfolioId": lambda ad, _: ad.ad_group.campaign.portfolio_id,
    "portfolio.name": lambda ad, catalog: next(
        (
            one.name
            for one in catalog.portfolios
            if one.portfolio_id == ad.ad_group.campaign.portfolio_id
        ),
        None,
    ),
    "adGroup.id": lambda ad, _: ad.ad_group.ad_group_id,
    "adGroup.name": lambda ad, _: ad.ad_group.name,
    "ad.id": lambda ad, _: ad.ad_id,
    "advertisedProduct.id": lambda ad, _: ad.asin,
    "advertisedProduct.sku": lambda ad, _: ad.sku,
    "advertisedProduct.marketplace": lambda ad, catalog: ad.asin and catalog.market.country,
    "advertisedProductMarketplace.value": lambda ad, catalog: ad.asin and catalog.market.country,
}
_PERIODS: dict[str, Callable[[date], str]] = {
    "date.value": date.isoformat,
    "hour.value": date.isoformat,
    "week.value": lambda day: (day - timedelta(days=day.weekday())).isoformat(),
    "month.value": lambda day: f"{day:%Y-%m}",
    "year.value": lambda day: f"{day:%Y}",
}


class RowWriter:
    """Writes the rows of one ad product of an account's country, with the fields of a report.

    Args:
        catalog: The entities.
        fields: What was asked for.
        campaign_ids: The campaigns that pass the filter; None for all.
    """

    def __init__(
        self, catalog: Catalog, fields: Iterable[str], campaign_ids: frozenset[str] | None = None
    ) -> None:
        asked = frozenset(fields)
        self._catalog = catalog
        self._campaign_ids = campaign_ids
        self._time = [field for field in TIME_FIELDS if field in asked]
        self._hourly = "hour.value" in asked
        self._ad_fields = [field for field in AD_FIELDS if field in asked]
        self._target_fields = [field for field in TARGET_FIELDS if field in asked]
        self._splits = list(
            dict.fromkeys(split for field, split in SPLIT_FIELDS.items() if field in asked)
        )
        self._split_fields = [field for field in SPLIT_FIELDS if field in asked]
        self._is_row_grain = asked >= {"ad.id", *TARGET_FIELDS}
        self._metrics = [
            (metric, _OF_METRICS.get(metric.removeprefix("metric.")), is_money(metric))
            for metric in (*METRICS, *sorted(ALL_METRICS - set(METRICS)))
            if metric in asked
        ]
        self._ad_texts: dict[str, tuple[str, str]] = {}
        self._target_texts: dict[str, str] = {}

    def rows(self, days: Iterable[tuple[date, Age]], period: tuple[date, date]) -> Iterator[str]:
        """Yield the rows of account-local days, each as known at its age, as JSON objects' texts."""
        for head, group in groupby(days, lambda one: self._time_text(one[0], period)):
            lines = chain.from_iterable(self._lines(day, age) for day, age in group)
            merges = not self._is_row_grain or not self._of_days
            for line in self._merged(lines) if merges else lines:
                yield (
                    head[0]
                    + (self._hour_text(line, head[1]) if self._hourly else "")
                    + self._ad_text(line.ad)[choose(line.draw, 4, 2)]
                    + self._target_text(line.target)
                    + self._split_text(line.splits)
                    + self._metrics_text(line)
                )

    @property
    def _of_days(self) -> bool:
        return "date.value" in self._time or self._hourly

    def _lines(self, day: date, age: Age) -> Iterator[Line]:
        lines = day_lines(self._catalog, day, age, hourly=self._hourly, splits=self._splits)
        if self._campaign_ids is None:
            return lines
        return (
            line for line in lines if line.ad.ad_group.campaign.campaign_id in self._campaign_ids
        )

    def _merged(self, lines: Iterable[Line]) -> Iterable[Line]:
        """Add up lines that differ only in what wasn't asked for."""
        groups: dict[tuple[object, ...], list[Line]] = {}
        for line in lines:
            key = (
                self._ad_text(line.ad)[1],
                self._target_text(line.target),
                line.hour,
                self._split_text(line.splits),
            )
            groups.setdefault(key, []).append(line)
        return (reduce(Line.plus, group) for group in groups.values())

    def _time_text(self, day: date, period: tuple[date, date]) -> tuple[str, date]:
        """Return the beginning of a row, with what the day is called; and the day, if rows are of days."""
        texts = (
            f'"{field}":"{_PERIODS[field](day)}",'
            if field in _PERIODS
            else f'"{field}":"{period[0].isoformat()} - {period[1].isoformat()}",'
            for field in self._time
            if field != "hour.value"
        )
        return "{" + "".join(texts), day if self._of_days else period[0]

    def _hour_text(self, line: Line, day: date) -> str:
        """Write an hour in one of its three forms: a number, its digits, or the local timestamp of its beginning."""
        form = choose(line.draw, 3, 4) if "date.value" in self._time else 3
        if form == 3:  # noqa: PLR2004 - of four: half of the rows have the number
            return f'"hour.value":"{day.isoformat()}T{line.hour:02d}:00:00",'
        return f'"hour.value":"{line.hour}",' if form == 2 else f'"hour.value":{line.hour},'  # noqa: PLR2004 - the same

    def _ad_text(self, ad: Ad) -> tuple[str, str]:
        """Return an ad's part of a row twice: with ids as numbers, and as strings."""
        known = self._ad_texts.get(ad.ad_id)
        if known is not None:
            return known
        values = [(field, _AD_VALUES[field](ad, self._catalog)) for field in self._ad_fields]
        plain = (
            f'"{field}":{value if field in ID_FIELDS else to_json(value)},'
            for field, value in values
        )
        quoted = (f'"{field}":{to_json(value)},' for field, value in values)
        texts = self._ad_texts[ad.ad_id] = "".join(plain), "".join(quoted)
        return texts

    def _target_text(self, target: Target | None) -> str:
        key = target.target_id if target else ""
        known = self._target_texts.get(key)
        if known is not None:
            return known
        values = {
            "target.value": target.report_value if target else "",
            "target.matchType": target.report_match_type if target else "",
        }
        text = "".join(f'"{field}":{to_json(values[field])},' for field in self._target_fields)
        self._target_texts[key] = text
        return text

    def _split_text(self, splits: tuple[str | None, ...]) -> str:
        values = dict(zip(self._splits, splits, strict=True))
        country = self._catalog.market.country
        return "".join(
            f'"{field}":{to_json(country if field == "convertedProductMarketplace.value" else values[SPLIT_FIELDS[field]])},'
            for field in self._split_fields
        )

    def _metrics_text(self, line: Line) -> str:
        values = metric_values(line)
        texts = []
        for metric, number, money in self._metrics:
            if not applies(metric, self._catalog.product):
                text = "null"
            elif number is None:
                text = _derived(metric, line, values)
            else:
                text = amount_text(values[number]) if money else str(values[number])
            texts.append(f'"{metric}":{text}')
        return ",".join(texts) + "}"
