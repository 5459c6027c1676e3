"""Changes that rules make to a file: invalid, restated, additional or missing rows."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any, get_args

from bidbeacon_sandbox.entities import Catalog
from bidbeacon_sandbox.fields import ID_FIELDS, METRICS
from bidbeacon_sandbox.report_request import COUNTRY_FIELDS
from bidbeacon_sandbox.rows import to_json
from bidbeacon_sandbox.rules import ChangeOfCatalog, OldBrands, RowChange, Rows
from bidbeacon_sandbox.seeded import seed_number

_Row = dict[str, Any]
_OF_CATALOGS: frozenset[RowChange] = frozenset(get_args(ChangeOfCatalog))
"""Changes that are made to catalogs instead of rows."""
_GONE = object()
_DATE = ("date.value",)
_NO_DATES = ("2025-02-30", "0000-00-00", "30/12/2025", "")
_SPOILT: dict[RowChange, tuple[Sequence[str], Sequence[Any]]] = {
    "missing_field": ((*ID_FIELDS, "advertiserAccount.id", *METRICS, *_DATE), (_GONE,)),
    "wrong_type": (METRICS, ("many", [1], {"value": 1}, True)),
    "null_metric": (METRICS, (None,)),
    "negative_metric": (METRICS, (-1, -9)),
    "impossible_date": (_DATE, _NO_DATES),
    "impossible_hour": (("hour.value",), (24, "-1", "noon", "2025-12-29T25:00:00")),
    "unreadable_country": (COUNTRY_FIELDS, (False, 0, [], _GONE)),
    "unknown_target": (("target.value",), ("unknown 1", "unknown 2", "unknown 3")),
}
"""Changes that set one of the listed fields to one of the values, or remove the field."""


def with_rules(rows: Iterator[str], rules: Sequence[Rows], seed: object) -> Iterator[str]:
    """Return rows as changed by the rules; the same seed gives the same changes."""
    for number, rule in enumerate(rules):
        if rule.edits_anything or not _OF_CATALOGS.issuperset(rule.change):
            rng = Random(seed_number("rows", number, seed))  # noqa: S311 - data, not secrets
            rows = _changed(rows, rule, rng)
    return rows


def with_more_rows(catalog: Catalog, share: float) -> Catalog:
    """Return a catalog that has all rows and `share` more per day (0.5 means 50 % more)."""
    return replace(catalog, active_share=min(1.0, catalog.active_share * (1 + share)))


def old_brands(catalog: Catalog, rules: Sequence[OldBrands]) -> frozenset[str]:
    """Return the ids of the campaigns that `OldBrands` rules leave without ad groups and rows."""
    country = catalog.market.country
    most = max((rule.campaigns for rule in rules if rule.country in {None, country}), default=0)
    if catalog.product != "SPONSORED_BRANDS":
        return frozenset()
    campaigns = catalog.entities["campaigns"]
    enabled = [one["campaignId"] for one in campaigns if one["state"] == "ENABLED"]
    return frozenset(enabled[:most])


def _changed(rows: Iterator[str], rule: Rows, rng: Random) -> Iterator[str]:
    """Change the share of rows that a rule sets; yield both changed and unchanged rows.

    The changed rows are evenly spaced, so that small files usually contain some too.
    """
    changes = [change for change in rule.change if change not in _OF_CATALOGS]
    credit = rng.random()
    for text in rows:
        if changes and rule.where and not rule.concerns(json.loads(text)):
            yield text
            continue
        credit += rule.share_of_rows
        if credit < 1:
            yield text
            continue
        credit -= 1
        row = rule.edited(json.loads(text))
        change = rng.choice(changes) if changes else None
        if change in _SPOILT:
            yield to_json(_spoilt(row, change, rng))
        elif change is not None:
            yield from map(to_json, _CHANGES[change](row, rng))
        else:
            yield to_json(row)


def _spoilt(row: _Row, change: RowChange, rng: Random) -> _Row:
    """Return `row` with one invalid field.

    If the row has no hour, the change `impossible_hour` makes the row's date invalid instead.
    """
    fields, values = _SPOILT[change]
    known = [field for field in fields if field in row]
    if not known and change == "impossible_hour":
        known, values = list(_DATE), _NO_DATES
    if known:
        row[rng.choice(known)] = rng.choice(values)
    return {key: value for key, value in row.items() if value is not _GONE}


def _restated(row: _Row, rng: Random) -> list[_Row]:
    for key in METRICS:
        if row.get(key) is not None:
            change = rng.choice((-1, 1)) * rng.randint(1, 9)
            row[key] = round(row[key] + (change if row[key] + change >= 0 else -change), 6)
    return [row]


def _foreign(row: _Row, _: Random) -> list[_Row]:
    """Return the row and a copy for a country of another region, as in global accounts."""
    fields = [field for field in COUNTRY_FIELDS if field in row]
    in_fe = {row[field] for field in fields} & {"AU", "JP", "SG"}
    country, currency = ("BR", "BRL") if in_fe else ("AU", "AUD")
    return [row, row | dict.fromkeys(fields, country) | {"budgetCurrency.value": currency}]


def _duplicate_key(row: _Row, rng: Random) -> list[_Row]:
    """Split a row into two rows with the same key, whose metrics add up to the original."""
    rest = dict(row)
    for metric in METRICS:
        if row.get(metric) is not None:
            first = rng.randint(0, int(row[metric]))
            row[metric], rest[metric] = first, round(row[metric] - first, 6)
    return [row, rest]


_CHANGES: dict[RowChange, Callable[[_Row, Random], list[_Row]]] = {
    "vanish": lambda _, __: [],
    "restate": _restated,
    "foreign": _foreign,
    "duplicate_key": _duplicate_key,
    "unknown_key": lambda row, _: [row | {"metric.surprise": {"value": 1}}],
}
