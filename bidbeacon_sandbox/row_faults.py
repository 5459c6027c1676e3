"""Changes a report's rows as its faults say: rows that can't be read, of other regions, of unknown targets, restated, new or gone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from bidbeacon_sandbox.entities import DAYS, Catalog
from bidbeacon_sandbox.faults import BadRow, FaultName, FaultOptions, FaultRule
from bidbeacon_sandbox.fields import ID_FIELDS, METRICS
from bidbeacon_sandbox.report_request import COUNTRY_FIELDS
from bidbeacon_sandbox.rows import from_json, to_json
from bidbeacon_sandbox.seeded import seed_number

_Row = dict[str, Any]
_RowFault = Callable[[Iterator[str], Random, FaultOptions], Iterator[str]]


def with_faults(rows: Iterator[str], faults: tuple[FaultRule, ...], seed: object) -> Iterator[str]:
    """Pass rows on as the faults of their report leave them; same seed, same harm."""
    for rule in faults:
        if rule.fault == "empty_report":
            return iter(())
        spoil = _ROW_FAULTS.get(rule.fault)
        if spoil is not None:
            rng = Random(seed_number("rows", rule.fault, seed))  # noqa: S311 - data, not secrets
            rows = spoil(rows, rng, rule.options)
    return rows


def with_more_rows(catalog: Catalog, share: float) -> Catalog:
    """Return the same catalog with more rows a day, by this share; at most those whose ads and targets rested.

    All other rows stay as they are, since a row's numbers depend on no other row.
    """
    slots = (
        slot._replace(share=min(DAYS, round(slot.share * (1 + share)))) for slot in catalog.slots
    )
    return replace(catalog, slots=tuple(slots))


def _share(options: FaultOptions, otherwise: float) -> float:
    return otherwise if options.share is None else options.share


def _vanished(rows: Iterator[str], rng: Random, options: FaultOptions) -> Iterator[str]:
    share = _share(options, 0.95)
    return (row for row in rows if rng.random() >= share)


def _with_unknown_targets(rows: Iterator[str], rng: Random, options: FaultOptions) -> Iterator[str]:
    share = _share(options, 0.01)
    for row in rows:
        if rng.random() >= share or '"target.value"' not in row:
            yield row
            continue
        spoiled = from_json(row)
        spoiled.update(
            {"target.value": f"unknown {rng.randrange(1000)}", "target.matchType": "EXACT"}
        )
        yield to_json(spoiled)


def _restated(rows: Iterator[str], rng: Random, options: FaultOptions) -> Iterator[str]:
    share = _share(options, 0.1)
    for row in rows:
        yield to_json(_with_other_numbers(from_json(row), rng)) if rng.random() < share else row


def _with_other_numbers(row: _Row, rng: Random) -> _Row:
    """Move each metric that has a value by one to nine, up or down, and never below zero."""
    moved = {}
    for key in (key for key in METRICS if row.get(key) is not None):
        change = rng.randint(1, 9)
        down = rng.random() < 0.5 and row[key] >= change  # noqa: PLR2004 - as often down as up
        moved[key] = row[key] + (-change if down else change)
    return row | moved


def _with_bad_rows(rows: Iterator[str], rng: Random, options: FaultOptions) -> Iterator[str]:
    share = _share(options, 0.01)
    for row in rows:
        if rng.random() < share:
            yield from map(to_json, _SPOILERS[rng.choice(options.kinds)](from_json(row), rng))
        else:
            yield row


def _with_foreign_rows(rows: Iterator[str], rng: Random, options: FaultOptions) -> Iterator[str]:
    """Add rows of a country in another region, with its currency: a report of a global account has such."""
    share = _share(options, 0.05)
    for row in rows:
        yield row
        if rng.random() < share:
            yield to_json(_in_another_region(from_json(row)))


def _in_another_region(row: _Row) -> _Row:
    here = {row[field] for field in COUNTRY_FIELDS if field in row}
    country, currency = ("BR", "BRL") if here & {"AU", "JP", "SG"} else ("AU", "AUD")
    countries = dict.fromkeys((field for field in COUNTRY_FIELDS if field in row), country)
    return row | countries | {"budgetCurrency.value": currency}


def _with_null_products(rows: Iterator[str], rng: Random, options: FaultOptions) -> Iterator[str]:
    share = _share(options, 0.05)
    for row in map(from_json, rows):
        products = [field for field in row if field.startswith("advertisedProduct")]
        yield to_json(row | dict.fromkeys(products) if rng.random() < share else row)


def _with_other_spellings(rows: Iterator[str], _: Random, __: FaultOptions) -> Iterator[str]:
    """Write `UK`, and ad products as filters do."""
    for row in map(from_json, rows):
        respelled = {field: "UK" for field in COUNTRY_FIELDS if row.get(field) == "GB"}
        product = row.get("adProduct.value")
        if product is not None:
            respelled["adProduct.value"] = product.upper().replace(" ", "_")
        yield to_json(row | respelled)


def _with_ids(write: Callable[[Any], Any]) -> _RowFault:
    """Make the fault that writes every id of a row in one way."""

    def written(rows: Iterator[str], _: Random, __: FaultOptions) -> Iterator[str]:
        for row in map(from_json, rows):
            yield to_json(row | {key: write(row[key]) for key in ID_FIELDS if key in row})

    return written


_ROW_FAULTS: dict[FaultName, _RowFault] = {
    "restate_rows": _restated,
    "bad_rows": _with_bad_rows,
    "unknown_target": _with_unknown_targets,
    "vanish_rows": _vanished,
    "foreign_rows": _with_foreign_rows,
    "null_products": _with_null_products,
    "other_spellings": _with_other_spellings,
    "number_ids": _with_ids(int),
    "string_ids": _with_ids(str),
}


def _missing_field(row: _Row, rng: Random) -> list[_Row]:
    lost = rng.choice(
        [key for key in row if key.endswith(".id") or key in METRICS or key == "date.value"]
    )
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
    for metric in (key for key in METRICS if row.get(key) is not None):
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


_SPOILERS: dict[BadRow, Callable[[_Row, Random], list[_Row]]] = {
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
