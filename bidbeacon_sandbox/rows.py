"""Writes report rows as JSON texts, one per combination of the requested dimensions.

Amounts are exact, because they are integers until they are written as text. Texts that are equal
on all days are made only once, so that a row costs a few microseconds.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from bidbeacon_sandbox.entities import AD_VALUES, Catalog, Slot, report_target
from bidbeacon_sandbox.fields import (
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
from bidbeacon_sandbox.seeded import WORLD
from bidbeacon_sandbox.traffic import Age, Lines, Numbers, Split, day_lines, per_view

_MILLION = 1_000_000


def to_json(value: Any) -> str:
    """Return a value as compact JSON; non-ASCII characters are not escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def amount_text(micros: int) -> str:
    """Return millionths as a decimal number without trailing zeros: 19990000 is `19.99`."""
    whole, rest = divmod(micros, _MILLION)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)


_DERIVED: dict[str, tuple[str, float]] = WORLD["derived_metrics"]
"""Metrics that are a share of another metric, with that metric's name and the share."""
TRUE_TARGET = "target.id"
"""The field with the id of a row's target; Amazon's reports don't have this field."""


def metric_values(catalog: Catalog, lines: Lines, derived: Iterable[str] = ()) -> Numbers:
    """Return an array with one row per metric of `METRICS` and `derived`, one column per line.

    Amounts are in millionths. As all values are integers, reports at all levels have equal totals.
    """
    impressions, clicks, viewable, purchases, extra, halo, views, new = lines.counts
    cost = np.where(per_view(catalog)[lines.slot], viewable, clicks) * lines.bid
    whole = np.array((purchases, (purchases + extra) * lines.price, purchases + extra))
    of_halo, of_views, of_new = (
        np.array((count, count * lines.price, count)) for count in (halo, views, new)
    )
    kinds = (whole, whole - of_halo, of_halo, whole - of_views, of_views, of_new)
    values = np.concatenate(((impressions, clicks, cost, viewable), *kinds))
    shares = (_derive(metric, values, lines.chance[2]) for metric in derived)
    return np.array((*values, *shares))


def _derive(metric: str, values: Numbers, chance: Numbers) -> Numbers:
    """Return a metric that is a fixed share of another one, rounded up or down at random."""
    source, share = _DERIVED[metric]
    shares: Numbers = np.floor(values[METRICS.index(source)] * share + chance).astype(np.int64)
    return shares


_RATES = {
    "metric.ctr": ("metric.clicks", "metric.impressions", _MILLION),
    "metric.cpc": ("metric.totalCost", "metric.clicks", 1),
    "metric.roas": ("metric.sales", "metric.totalCost", _MILLION),
}


def _column(metric: str, sums: Mapping[str, Numbers]) -> list[str]:
    if metric in sums:
        values = sums[metric]
    elif metric in RATES:
        over, under, unit = _RATES[metric]
        pairs = zip(sums[over].tolist(), sums[under].tolist(), strict=True)
        return [amount_text(a * unit // b) if b else "null" for a, b in pairs]
    else:
        rank = 1 + sums["metric.impressions"] % 20
        values = rank if metric == SHARES[2] else rank * 45_000
    is_amount = is_money(metric) or metric in SHARES[:2]
    return list(map(amount_text if is_amount else str, values.tolist()))


_PERIODS: dict[str, Callable[[date], str]] = {
    "date.value": date.isoformat,
    "week.value": lambda day: (day - timedelta(days=day.weekday())).isoformat(),
    "month.value": lambda day: f"{day:%Y-%m}",
    "year.value": lambda day: f"{day:%Y}",
}
_HOURS = ("{hour}", '"{hour}"', "{hour}", '"{day}T{hour:02d}:00:00"')
"""The forms in which rows show the hour; rows without a date use the last form."""


class RowWriter:
    """Writes report rows of one ad product of an account in one country.

    Args:
        catalog: The entities.
        fields: The requested fields; `target.id`, unknown to Amazon, adds the target's id.
        campaign_ids: The campaigns that pass the filter; None means all campaigns.
        varies: Whether ids and hours are written in several forms, as Amazon does.
    """

    def __init__(
        self,
        catalog: Catalog,
        fields: Collection[str],
        campaign_ids: frozenset[str] | None = None,
        *,
        varies: bool = True,
    ) -> None:
        self._catalog = catalog
        self._varies = varies
        self._passes = np.array(
            [
                campaign_ids is None or slot.campaign["campaignId"] in campaign_ids
                for slot in catalog.slots
            ]
        )
        self._time = [field for field in TIME_FIELDS if field in fields and field != "hour.value"]
        self._hourly = "hour.value" in fields
        self._of_days = self._hourly or "date.value" in fields
        self._ad_fields = [field for field in AD_VALUES if field in fields]
        self._target_fields = [field for field in (*TARGET_FIELDS, TRUE_TARGET) if field in fields]
        wanted = {field: split for field, split in SPLIT_FIELDS.items() if field in fields}
        self._splits: dict[Split, list[str]] = {
            split: [field for field in wanted if wanted[field] == split]
            for split in dict.fromkeys(wanted.values())
        }
        self._metrics = [
            metric for metric in (*METRICS, *sorted(ALL_METRICS - set(METRICS))) if metric in fields
        ]
        self._derived = [metric for metric in _DERIVED if metric in fields]
        self._codes: dict[tuple[str, str], int] = {}
        self._texts: list[tuple[str, str]] = []
        self._slot_codes = np.array([self._slot_code(slot) for slot in catalog.slots])

    def rows(self, days: Iterable[tuple[date, Age]], period: tuple[date, date]) -> Iterator[str]:
        """Yield rows as JSON texts, with each day's metrics as they are known at the day's age.

        `days` are account-local days and their ages; `period` is the report's first and last day.
        """
        for (head, day), group in groupby(days, lambda one: self._head(one[0], period)):
            tables = [self._table(day, age) for day, age in group]
            keys = np.concatenate([keys for keys, _ in tables], axis=1)
            values = np.concatenate([values for _, values in tables], axis=1)
            if keys.size:
                yield from self._written(head, day, keys, values)

    def _head(self, day: date, period: tuple[date, date]) -> tuple[str, date]:
        """Return the beginning of a row's JSON text (its time fields), and the day of the row.

        If rows are not per day or hour, the returned day is the first day of `period`.
        """
        whole = f"{period[0].isoformat()} - {period[1].isoformat()}"
        called = {
            field: _PERIODS[field](day) if field in _PERIODS else whole for field in self._time
        }
        return "{" + _fields(called), day if self._of_days else period[0]

    def _table(self, day: date, age: Age) -> tuple[Numbers, Numbers]:
        """Return a day's dimensions (as codes) and metrics, two arrays with a column per line."""
        catalog = self._catalog
        lines = day_lines(catalog, day, age, hourly=self._hourly, splits=list(self._splits))
        lines = lines.take(self._passes[lines.slot])
        hours, texts = lines.values[: self._hourly], lines.values[self._hourly :]
        of_splits = [
            np.array([self._split_code(fields, text) for text in column], dtype=np.int64)
            for fields, column in zip(self._splits.values(), texts, strict=True)
        ]
        keys = np.array((self._slot_codes[lines.slot], *hours, *of_splits), dtype=np.int64)
        return keys, metric_values(catalog, lines, self._derived)

    def _written(self, head: str, day: date, keys: Numbers, values: Numbers) -> Iterator[str]:
        """Yield rows as JSON texts; add up the lines whose requested dimensions are equal."""
        different, group = np.unique(keys, axis=1, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        starts = np.searchsorted(group.ravel()[order], np.arange(different.shape[1]))
        summed = np.add.reduceat(values[:, order], starts, axis=1)
        sums = dict(zip((*METRICS, *self._derived), summed, strict=True))
        nulls = ["null"] * len(starts)
        columns = [
            _column(metric, sums) if applies(metric, self._catalog.product) else nulls
            for metric in self._metrics
        ]
        named = ",".join(f'"{metric}":%s' for metric in self._metrics) + "}"
        for number, (key, *row) in enumerate(zip(different.T.tolist(), *columns, strict=True)):
            yield head + self._dimensions(number, day, key) + named % tuple(row)

    def _dimensions(self, number: int, day: date, key: list[int]) -> str:
        """Return a row's dimensions as JSON text; the forms of ids and hours vary between rows."""
        slot, *rest = key
        text = self._texts[slot][self._varies and number % 2]
        if self._hourly:
            form = _HOURS[number % 4 if "date.value" in self._time else -1]
            shown = form if self._varies else _HOURS[0]
            text += f'"hour.value":{shown.format(hour=rest.pop(0), day=day.isoformat())},'
        return text + "".join(self._texts[code][0] for code in rest)

    def _code(self, text: str, other: str) -> int:
        """Return the index in `_texts` of a pair of JSON texts; add the pair if it is new."""
        if (text, other) not in self._codes:
            self._codes[text, other] = len(self._texts)
            self._texts.append((text, other))
        return self._codes[text, other]

    def _slot_code(self, slot: Slot) -> int:
        values = {field: AD_VALUES[field](slot, self._catalog) for field in self._ad_fields}
        value, match_type = report_target(slot.target)
        named = {"target.value": value, "target.matchType": match_type}
        named[TRUE_TARGET] = slot.target["targetId"]
        values |= {field: named[field] for field in self._target_fields}
        numbers = {
            field: int(value) if field in ID_FIELDS else value for field, value in values.items()
        }
        return self._code(_fields(values), _fields(numbers))

    def _split_code(self, fields: list[str], value: str | None) -> int:
        country = self._catalog.market.country
        named = {field: country if "Marketplace" in field else value for field in fields}
        return self._code(_fields(named), "")


def _fields(named: Mapping[str, Any]) -> str:
    """Return fields as JSON text with a comma after each, `"name":value,`, without braces."""
    return "".join(f"{to_json(field)}:{to_json(value)}," for field, value in named.items())
