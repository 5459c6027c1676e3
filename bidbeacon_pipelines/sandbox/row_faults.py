"""Spoils a report's rows as its faults say: rows that can't be read, rows of unknown targets, rows that are gone."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from bidbeacon_pipelines.sandbox.exact_json import from_json, to_json
from bidbeacon_pipelines.sandbox.faults import BadRow, FaultRule
from bidbeacon_pipelines.sandbox.fields import METRICS
from bidbeacon_pipelines.sandbox.hashing import seed_number

_Row = dict[str, Any]


def with_faults(rows: Iterator[str], faults: tuple[FaultRule, ...], seed: object) -> Iterator[str]:
    """Pass rows on as the faults of their report leave them; same seed, same harm."""
    for rule in faults:
        rng = Random(seed_number("rows", rule.fault, seed))  # noqa: S311 - data, not secrets
        if rule.fault == "empty_report":
            return iter(())
        if rule.fault == "vanish_rows":
            rows = _vanished(rows, rng, _share(rule, 0.95))
        if rule.fault == "unknown_target":
            rows = _with_unknown_targets(rows, rng, _share(rule, 0.01))
        if rule.fault == "bad_rows":
            rows = _with_bad_rows(rows, rng, _share(rule, 0.01), rule.options.kinds)
    return rows


def _share(rule: FaultRule, otherwise: float) -> float:
    return otherwise if rule.options.share is None else rule.options.share


def _vanished(rows: Iterator[str], rng: Random, share: float) -> Iterator[str]:
    return (row for row in rows if rng.random() >= share)


def _with_unknown_targets(rows: Iterator[str], rng: Random, share: float) -> Iterator[str]:
    for row in rows:
        if rng.random() >= share:
            yield row
            continue
        spoiled = from_json(row)
        spoiled.update({"target.value": f"unknown {rng.randrange(1000)}", "target.matchType": "EXACT"})
        yield to_json(spoiled)


def _with_bad_rows(
    rows: Iterator[str], rng: Random, share: float, kinds: tuple[BadRow, ...]
) -> Iterator[str]:
    for row in rows:
        if rng.random() < share:
            yield from map(to_json, _SPOILERS[rng.choice(kinds)](from_json(row), rng))
        else:
            yield row


def _missing_field(row: _Row, rng: Random) -> list[_Row]:
    lost = rng.choice([key for key in row if key.endswith(".id") or key in METRICS or key == "date.value"])
    return [{key: value for key, value in row.items() if key != lost}]


def _wrong_type(row: _Row, rng: Random) -> list[_Row]:
    key = rng.choice([key for key in row if key in METRICS])
    return [row | {key: rng.choice(["many", [1], {"value": 1}, True])}]


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


_SPOILERS: dict[BadRow, Callable[[_Row, Random], list[_Row]]] = {
    "missing_field": _missing_field,
    "wrong_type": _wrong_type,
    "unknown_key": _unknown_key,
    "duplicate_key": _duplicate_key,
    "impossible_date": _impossible_date,
    "impossible_hour": _impossible_hour,
    "negative_metric": _negative_metric,
}
