"""Changes a file's rows as rules say: rows that can't be read, of other regions, of unknown targets, restated, new or gone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from bidbeacon_sandbox.entities import Catalog
from bidbeacon_sandbox.fields import METRICS
from bidbeacon_sandbox.report_request import COUNTRY_FIELDS
from bidbeacon_sandbox.rows import from_json, to_json
from bidbeacon_sandbox.rules import RowChange, Rows
from bidbeacon_sandbox.seeded import seed_number

_Row = dict[str, Any]
_OF_CATALOGS: frozenset[RowChange] = frozenset(("appear", "no_country", "all_products"))
"""Changes that are made before there are rows."""


def with_rules(rows: Iterator[str], rules: tuple[Rows, ...], seed: object) -> Iterator[str]:
    """Pass rows on as the rules of their file leave them; same seed, same changes."""
    for number, rule in enumerate(rules):
        if rule.edits_anything or not _OF_CATALOGS.issuperset(rule.change):
            rng = Random(seed_number("rows", number, seed))  # noqa: S311 - data, not secrets
            rows = _changed(rows, rule, rng)
    return rows


def with_more_rows(catalog: Catalog, share: float) -> Catalog:
    """Return the same catalog with more rows a day, by this share; at most those whose ads and targets rested.

    All other rows stay as they are, since a row's numbers depend on no other row.
    """
    slots = (slot._replace(share=min(1.0, slot.share * (1 + share))) for slot in catalog.slots)
    return replace(catalog, slots=tuple(slots))


def _changed(rows: Iterator[str], rule: Rows, rng: Random) -> Iterator[str]:
    changes = [change for change in rule.change if change not in _OF_CATALOGS]
    for text in rows:
        if rng.random() >= rule.share_of_rows:
            yield text
            continue
        row = rule.edited(from_json(text)) if rule.edits_anything else from_json(text)
        changed = _CHANGES[rng.choice(changes)](row, rng) if changes else [row]
        yield from map(to_json, changed)


def _metrics(row: _Row) -> list[str]:
    return [key for key in METRICS if row.get(key) is not None]


def _unknown_target(row: _Row, rng: Random) -> list[_Row]:
    if "target.value" not in row:
        return [row]
    unknown = {"target.value": f"unknown {rng.randrange(1000)}", "target.matchType": "EXACT"}
    return [row | unknown]


def _restated(row: _Row, rng: Random) -> list[_Row]:
    """Move each metric that has a value by one to nine, up or down, and never below zero."""
    moved = {}
    for key in _metrics(row):
        change = rng.randint(1, 9)
        down = rng.random() < 0.5 and row[key] >= change  # noqa: PLR2004 - as often down as up
        moved[key] = row[key] + (-change if down else change)
    return [row | moved]


def _foreign(row: _Row, _: Random) -> list[_Row]:
    """Add a row of a country in another region, with its currency: a report of a global account has such."""
    fields = [field for field in COUNTRY_FIELDS if field in row]
    in_fe = {row[field] for field in fields} & {"AU", "JP", "SG"}
    country, currency = ("BR", "BRL") if in_fe else ("AU", "AUD")
    return [row, row | dict.fromkeys(fields, country) | {"budgetCurrency.value": currency}]


def _missing_field(row: _Row, rng: Random) -> list[_Row]:
    keys = [key for key in row if key.endswith(".id") or key in METRICS or key == "date.value"]
    lost = rng.choice(keys)
    return [{key: value for key, value in row.items() if key != lost}]


def _wrong_type(row: _Row, rng: Random) -> list[_Row]:
    key = rng.choice([key for key in row if key in METRICS])
    return [row | {key: rng.choice(["many", [1], {"value": 1}, True])}]


def _null_metric(row: _Row, rng: Random) -> list[_Row]:
    return [row | {rng.choice([key for key in row if key in METRICS]): None}]


def _unknown_key(row: _Row, rng: Random) -> list[_Row]:
    return [row | {"metric.surprise": {"value": rng.randrange(100)}}]


def _duplicate_key(row: _Row, rng: Random) -> list[_Row]:
    """Split a row in two of the same key that add up to it."""
    halves = [{**row}, {**row}]
    for metric in _metrics(row):
        first = rng.randint(0, int(row[metric]))
        halves[0][metric], halves[1][metric] = first, row[metric] - first
    return halves


def _impossible_date(row: _Row, rng: Random) -> list[_Row]:
    return [row | {"date.value": rng.choice(["2025-02-30", "0000-00-00", "30/12/2025", ""])}]


def _impossible_hour(row: _Row, rng: Random) -> list[_Row]:
    """Spoil the hour; a row without one gets an impossible date instead."""
    if "hour.value" not in row:
        return _impossible_date(row, rng)
    return [row | {"hour.value": rng.choice([24, "-1", "noon", "2025-12-29T25:00:00"])}]


def _negative_metric(row: _Row, rng: Random) -> list[_Row]:
    key = rng.choice([key for key in row if key in METRICS])
    return [row | {key: -rng.randint(1, 9)}]


def _unreadable_country(row: _Row, rng: Random) -> list[_Row]:
    field = next((field for field in COUNTRY_FIELDS if field in row), COUNTRY_FIELDS[0])
    country: Any = rng.choice([False, 0, [], None])
    rest = {key: value for key, value in row.items() if key != field}
    return [rest if country is None else rest | {field: country}]


_CHANGES: dict[RowChange, Callable[[_Row, Random], list[_Row]]] = {
    "vanish": lambda _, __: [],
    "restate": _restated,
    "unknown_target": _unknown_target,
    "foreign": _foreign,
    "missing_field": _missing_field,
    "wrong_type": _wrong_type,
    "null_metric": _null_metric,
    "unknown_key": _unknown_key,
    "duplicate_key": _duplicate_key,
    "impossible_date": _impossible_date,
    "impossible_hour": _impossible_hour,
    "negative_metric": _negative_metric,
    "unreadable_country": _unreadable_country,
}
