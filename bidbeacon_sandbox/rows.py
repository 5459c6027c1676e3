"""Report rows as JSON text, with exactly the fields that were asked for and at the grain these make.

Amounts are exact: decimals are written digit by digit and never pass through a float. Texts that
don't change from day to day are made once per entity: a row costs a few microseconds.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from operator import itemgetter
from typing import Any

from bidbeacon_sandbox.entities import ROW_PRODUCTS, Ad, AdProduct, Catalog, Target
from bidbeacon_sandbox.fields import (
    AD_FIELDS,
    ID_FIELDS,
    METRICS,
    MONEY_METRICS,
    SPLIT_FIELDS,
    TARGET_FIELDS,
    applies,
)
from bidbeacon_sandbox.traffic import Age, Line, day_lines, writes_nulls

_MILLION = 1_000_000


def to_json(value: Any) -> str:
    """Write a value as compact JSON; `Decimal` comes out as a number with exactly its digits."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key)}:{to_json(item)}" for key, item in value.items())
            + "}"
        )
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


def _cost_type(ad: Ad, catalog: Catalog) -> str | None:
    """Return what a campaign is charged for; Sponsored Products campaigns name nothing."""
    return None if catalog.product == "SPONSORED_PRODUCTS" else ad.ad_group.campaign.cost_type


_TRAFFIC = 4
"""The number of leading metrics that are about traffic."""
_PLAIN = 7
"""The number of leading metrics that do not split purchases by kind."""
_NEVER_NULL = (0, 1, 3)
_NO_CONVERSIONS = (0,) * (len(METRICS) - _TRAFFIC)
_ROW_GRAIN = frozenset(("ad.id", *TARGET_FIELDS))
_AD_VALUES: dict[str, Callable[[Ad, Catalog], str | None]] = {
    "budgetCurrency.value": lambda _, catalog: catalog.market.currency,
    "adProduct.value": lambda _, catalog: ROW_PRODUCTS[catalog.product],
    "advertiserAccount.id": lambda _, catalog: catalog.account_id,
    "campaign.id": lambda ad, _: ad.ad_group.campaign.campaign_id,
    "campaign.name": lambda ad, _: ad.ad_group.campaign.name,
    "campaign.country": lambda _, catalog: catalog.market.country,
    "campaign.costType": _cost_type,
    "adGroup.id": lambda ad, _: ad.ad_group.ad_group_id,
    "adGroup.name": lambda ad, _: ad.ad_group.name,
    "ad.id": lambda ad, _: ad.ad_id,
    "advertisedProduct.id": lambda ad, _: ad.asin,
    "advertisedProduct.sku": lambda ad, _: ad.sku,
    "advertisedProduct.marketplace": lambda ad, catalog: (
        catalog.market.country if ad.asin else None
    ),
    "campaignCountry.value": lambda _, catalog: catalog.market.country,
    "advertisedProductMarketplace.value": lambda ad, catalog: (
        catalog.market.country if ad.asin else None
    ),
}


class RowWriter:
    """Writes the rows of one ad product and country of an account for one set of fields.

    Args:
        catalog: Whose rows.
        fields: What is asked for.
        campaign_ids: The campaigns that pass the filter; None for all.
    """

    def __init__(
        self, catalog: Catalog, fields: Iterable[str], campaign_ids: frozenset[str] | None = None
    ) -> None:
        asked = frozenset(fields)
        self._catalog = catalog
        self._campaign_ids = campaign_ids
        self._hourly = "hour.value" in asked
        self._split = next((split for field, split in SPLIT_FIELDS.items() if field in asked), None)
        self._ad_fields = [field for field in AD_FIELDS if field in asked]
        self._target_fields = [field for field in TARGET_FIELDS if field in asked]
        self._split_fields = [field for field in SPLIT_FIELDS if field in asked]
        self._is_row_grain = asked >= _ROW_GRAIN
        self._ad_texts: dict[str, tuple[str, str]] = {}
        self._target_texts: dict[str, str] = {}
        self._metrics = _metrics_writer(
            [index for index, field in enumerate(METRICS) if field in asked], catalog.product
        )

    def rows(self, day: date, age: Age) -> Iterator[str]:
        """Yield the rows of an account-local day, as known at its age, each a JSON object's text."""
        lines = day_lines(self._catalog, day, age, hourly=self._hourly, split=self._split)
        if self._campaign_ids is not None:
            lines = (x for x in lines if x.ad.ad_group.campaign.campaign_id in self._campaign_ids)
        head = f'{{"date.value":"{day.isoformat()}",'
        for line in lines if self._is_row_grain else self._merged(lines):
            texts = self._ad_texts.get(line.ad.ad_id) or self._ad_text(line.ad)
            row = head + texts[line.bits >> 45 & 1] + self._target_text(line.target)
            if self._hourly:
                row += _hour_text(line, day)
            if self._split_fields:
                row += self._split_text(line.split)
            yield row + self._metrics(line)

    def _merged(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Add up lines that differ only in what wasn't asked for."""
        sums: dict[tuple[object, ...], Line] = {}
        for line in lines:
            texts = self._ad_texts.get(line.ad.ad_id) or self._ad_text(line.ad)
            key = (texts[0], self._target_text(line.target), line.hour, line.split)
            before = sums.get(key)
            sums[key] = line if before is None else before.plus(line)
        yield from sums.values()

    def _ad_text(self, ad: Ad) -> tuple[str, str]:
        """Return an ad's part of a row twice: with ids as numbers, and as strings."""
        values = [(field, _AD_VALUES[field](ad, self._catalog)) for field in self._ad_fields]
        plain = "".join(
            f'"{field}":{value if field in ID_FIELDS else _quoted(value)},'
            for field, value in values
        )
        quoted = "".join(f'"{field}":{_quoted(value)},' for field, value in values)
        self._ad_texts[ad.ad_id] = texts = (plain, quoted)
        return texts

    def _target_text(self, target: Target | None) -> str:
        if not self._target_fields:
            return ""
        key = target.target_id if target is not None else ""
        text = self._target_texts.get(key)
        if text is None:
            value, match_type = (
                ("", "") if target is None else (target.report_value, target.report_match_type)
            )
            values: dict[str, str | None] = {"target.value": value, "target.matchType": match_type}
            text = "".join(f'"{field}":{_quoted(values[field])},' for field in self._target_fields)
            self._target_texts[key] = text
        return text

    def _split_text(self, value: str | None) -> str:
        country = self._catalog.market.country
        return "".join(
            f'"{field}":{_quoted(country if field == "convertedProductMarketplace.value" else value)},'
            for field in self._split_fields
        )


def _metrics_writer(indexes: list[int], product: AdProduct) -> Callable[[Line], str]:
    """Make the function that writes a line's metrics, those that were asked for, and the closing brace.

    Most lines have no conversions: for them all but the traffic is one constant text. A metric that
    the ad product doesn't have is null.
    """
    known = [index for index in indexes if applies(METRICS[index], product)]
    seen = [index for index in known if index < _TRAFFIC]
    full = _template(indexes, product, set(known), "")
    quiet = _template(indexes, product, set(seen), "0")
    quiet_null = _template(indexes, product, set(seen), "null")
    chosen = _chooser(seen)
    is_plain, chosen_plain = all(index < _PLAIN for index in known), _chooser(known)

    def write(line: Line) -> str:
        *_, impressions, clicks, cost, viewable, conversions, bits = line
        nulls = writes_nulls(bits)
        if conversions is None:
            spent = "null" if nulls and not cost else amount_text(cost)
            text: str = (quiet_null if nulls else quiet) % chosen(
                (impressions, clicks, spent, viewable)
            )
        elif is_plain and not nulls:
            sales = amount_text(conversions[1])
            traffic = impressions, clicks, amount_text(cost), viewable
            text = full % chosen_plain((*traffic, conversions[0], sales, conversions[2]))
        else:
            every = metric_values(line)
            text = full % tuple(_metric_text(index, every[index], nulls=nulls) for index in known)
        return text

    return write


def _chooser(indexes: list[int]) -> Callable[[Any], Any]:
    return itemgetter(*indexes) if indexes else lambda _: ()


def _template(indexes: list[int], product: AdProduct, filled: set[int], otherwise: str) -> str:
    """Return the text of some metrics with a place for those to be filled in."""
    texts = (
        f'"{METRICS[index]}":'
        + ("%s" if index in filled else otherwise if applies(METRICS[index], product) else "null")
        for index in indexes
    )
    return ",".join(texts) + "}"


def _metric_text(index: int, value: int, *, nulls: bool) -> str:
    if nulls and not value and index not in _NEVER_NULL:
        return "null"
    return amount_text(value) if METRICS[index] in MONEY_METRICS else str(value)


def _hour_text(line: Line, day: date) -> str:
    """Write an hour in one of its three forms: a number, its digits, or the local timestamp of its beginning."""
    form = line.bits >> 46 & 3
    if form == 3:  # noqa: PLR2004 - of two bits
        return f'"hour.value":"{day.isoformat()}T{line.hour:02d}:00:00",'
    return f'"hour.value":"{line.hour}",' if form == 2 else f'"hour.value":{line.hour},'  # noqa: PLR2004 - the same


def _quoted(text: str | None) -> str:
    return json.dumps(text, ensure_ascii=False)
