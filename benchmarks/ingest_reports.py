"""Seeded reports of hourly targets, shaped and ordered as the sandbox's, with totals.

A day's rows come target by target, each with one to six hours: not in the order of any key of ours.
One row of 1,000 is invalid, in four ways by turns; one of 1,000 has an unknown target.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from bidbeacon_pipelines.datasets.digests import digest_of_target

DAYS = tuple(date(2026, 11, 5) + timedelta(days=number) for number in range(14))
"""The longest period of an hourly report, without a change of clocks in Los Angeles."""
BAD_EVERY, BAD_AT, UNRESOLVED_AT, RESTATED_EVERY = 1_000, 500, 250, 50
_ROWS_A_TARGET_AND_DAY = 2.5
_MILLION = 1_000_000
_FAULTS: Sequence[dict[str, Any]] = (
    {"adGroup.id": None},
    {"metric.clicks": "many"},
    {"hour.value": 24},
    {"metric.totalCost": -1},
)
Wire = dict[str, Any]


@dataclass
class Report:
    """A report on disk, and its true counts and totals.

    Attributes:
        parts: Its files, gzipped JSON.
        targets: The targets known from exports.
        rows: All rows, bad ones too.
        bad: Invalid rows.
        unresolved: Good ones of unknown targets.
        spend_micros: Sum of the good rows, in millionths.
        sales_micros: The same.
    """

    parts: list[Path]
    targets: Sequence[dict[str, Any]]
    rows: int = 0
    bad: int = 0
    unresolved: int = 0
    spend_micros: int = 0
    sales_micros: int = 0

    @property
    def truth(self) -> tuple[int, Decimal, Decimal]:
        """The number of good rows, their spend and their sales."""
        spend, sales = (Decimal(one) / _MILLION for one in (self.spend_micros, self.sales_micros))
        return self.rows - self.bad, spend, sales


def write_reports(folder: Path, rows: int) -> tuple[Report, Report]:
    """Write a report, and a later one of the same days with 2 % of its rows restated."""
    rng = Random(rows)
    targets = list(_make_targets(rng, round(rows / len(DAYS) / _ROWS_A_TARGET_AND_DAY) + 20))
    wires = list(_rows(rng, targets, rows))
    first = _write(folder / "first.json.gz", wires, targets)
    for start in range(0, rows, RESTATED_EVERY):
        _restate(wires[min(rows - 1, start + rng.randrange(RESTATED_EVERY))])
    return first, _write(folder / "restated.json.gz", wires, targets)


def write_wide_report(folder: Path, countries: Sequence[str], count: int) -> Report:
    """Write a report of several countries with `count` targets, each with one row."""
    rng = Random(count)
    targets = list(_make_targets(rng, count))
    wires = [
        _row(rng, target, DAYS[number % len(DAYS)], number % 24)
        | {"campaign.country": countries[number * len(countries) // count]}
        for number, target in enumerate(targets)
    ]
    return _write(folder / "wide.json.gz", wires, [])


def _write(path: Path, wires: Sequence[Wire], targets: Sequence[dict[str, Any]]) -> Report:
    report = Report([path], targets, len(wires))
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as part:
        for number, wire in enumerate(wires):
            text = json.dumps(_sent(report, number, wire), ensure_ascii=False)
            part.write(("," if number else "[") + text)
        part.write("]")
    return report


def _sent(report: Report, number: int, wire: Wire) -> Wire:
    """Count a row and return it as sent: some are invalid, some have an unknown target."""
    if number % BAD_EVERY == BAD_AT:
        report.bad += 1
        return wire | _FAULTS[number // BAD_EVERY % len(_FAULTS)]
    report.spend_micros += round((wire["metric.totalCost"] or 0) * _MILLION)
    report.sales_micros += round((wire["metric.sales"] or 0) * _MILLION)
    if number % BAD_EVERY == UNRESOLVED_AT:
        report.unresolved += 1
        return wire | {"target.value": f"unheard of {number}", "target.matchType": "EXACT"}
    return wire


def _rows(rng: Random, targets: Sequence[dict[str, Any]], count: int) -> Iterator[Wire]:
    for place, day in enumerate(DAYS):
        wanted = count * (place + 1) // len(DAYS) - count * place // len(DAYS)
        for target in targets:
            if rng.random() > 0.84:  # rests today
                continue
            first, step = rng.randrange(24), rng.choice((1, 5, 7, 11))
            for index in range(min(wanted, rng.randint(1, 6))):
                yield _row(rng, target, day, (first + step * index) % 24)
                wanted -= 1
        assert not wanted, f"{wanted} rows short of a day: more targets are needed"


def _row(rng: Random, target: dict[str, Any], day: date, hour: int) -> Wire:
    as_sent = rng.choice((int, str))
    value, match_type = named(target)
    clicks = rng.randrange(8) if rng.random() < 0.4 else 0
    orders = clicks // 4 if rng.random() < 0.5 else 0
    is_null = rng.random() < 0.03 and not orders
    return {
        "date.value": str(day),
        "hour.value": (hour, hour, str(hour), f"{day}T{hour:02d}:00:00")[rng.randrange(4)],
        "budgetCurrency.value": "USD",
        "adProduct.value": "Sponsored Products",
        "campaign.id": as_sent(target["campaign_id"]),
        "campaign.country": "US",
        "adGroup.id": as_sent(target["ad_group_id"]),
        "target.value": value,
        "target.matchType": match_type,
        "metric.impressions": 1 + rng.randrange(512),
        "metric.clicks": clicks,
        "metric.purchases": None if is_null else orders,
        "metric.sales": None if is_null else round(orders * (0.99 + rng.randrange(32)), 2),
        "metric.totalCost": None if is_null else round(clicks * (0.15 + rng.random()), 6),
        "metric.unitsSold": None if is_null else orders,
    }


def _restate(wire: Wire) -> None:
    more = {"clicks": 1, "purchases": 1, "unitsSold": 1, "sales": 24.99, "totalCost": 0.64}
    for name, change in more.items():
        wire[f"metric.{name}"] = round((wire[f"metric.{name}"] or 0) + change, 6)


def named(target: dict[str, Any]) -> tuple[str, str]:
    """Return the value and the match type of a target in reports."""
    if target["asin"] is not None:
        return f'asin="{target["asin"]}"', "TARGETING_EXPRESSION"
    return target["keyword"], target["match_type"]


def _make_targets(rng: Random, count: int) -> Iterator[dict[str, Any]]:
    ids: dict[str, str] = {}
    for number in range(count):
        if number % 9 == 0:
            ids = {"campaign_id": _new_id(rng), "ad_group_id": _new_id(rng)}
        is_product, word = number % 4 == 3, rng.choice(("funny", "warm", "größe", "犬"))
        target: dict[str, Any] = ids | {
            "target_id": _new_id(rng),
            "state": "ENABLED",
            "negative": False,
            "match_type": "PRODUCT_EXACT" if is_product else rng.choice(("EXACT", "BROAD")),
            "keyword": None if is_product else f"{word} shirt {number}",
            "asin": f"B0{number:08X}" if is_product else None,
            "expression": None,
            "bid": Decimal("0.75"),
        }
        names = {name: target[name] for name in ("keyword", "asin", "expression")}
        yield target | {"match_digest": digest_of_target(target["match_type"], **names)}


def _new_id(rng: Random) -> str:
    digits = rng.randint(15, 19)
    return str(rng.randrange(10 ** (digits - 1), min(10**digits, 2**63)))
