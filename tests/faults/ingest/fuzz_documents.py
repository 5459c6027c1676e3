"""What is fuzzed: reports as Amazon could write them, valid before they are spoiled; a document can be made again from its seed and number."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from typing import Any

from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, DatasetReport

GROUP, CAMPAIGN = "2001", "1001"
ADS = ("3001", "3002", "9223372036854775807")
TARGETS: tuple[dict[str, Any], ...] = (
    {"target_id": "4001", "match_type": "EXACT", "keyword": "dog shirt"},
    {"target_id": "4002", "match_type": "PRODUCT_EXACT", "asin": "B000000001"},
    {"target_id": "4003", "match_type": "PHRASE", "keyword": 'größe "xl" \\ 犬'},
    {"target_id": "4004", "match_type": "SEARCH_CLOSE_MATCH"},
    {"target_id": "3999", "match_type": "EXACT", "keyword": "dog shirt", "negative": True},
)
_NAMED = (
    ("dog shirt", "EXACT"),
    ('asin="B000000001"', "TARGETING_EXPRESSION"),
    ('größe "xl" \\ 犬', "PHRASE"),
    ("close-match", "TARGETING_EXPRESSION_PREDEFINED"),
    ("nobody knows it", "BROAD"),
    ("", ""),
)
FIRST_DAYS = (
    date(2026, 1, 10),
    date(2026, 3, 7),
    date(2026, 3, 8),
    date(2026, 10, 31),
    date(2026, 11, 1),
)
"""In Los Angeles the clock skips an hour on 8 March, and shows one twice on 1 November."""
FEW, MANY = (0, 40), (2_000, 9_000)


class Number(str):
    """A number, as it is written."""

    __slots__ = ()


Pairs = list[tuple[str, Any]]
"""An object of JSON, in which a name may come twice."""


@dataclass(frozen=True)
class Document:
    """A report to be loaded.

    Attributes:
        dataset: Of which it is.
        report: Which of the dataset's reports it is.
        days: The windows that wait for it.
        before: The rows of an earlier report that these windows hold; None: they were never loaded.
        rows: Its rows by part, each as JSON text, unless it was spoiled as a whole.
        parts: Its files.
        bad_row_share: Up to which a window takes bad rows.
        spoiled_by: What was done to it, in words.
    """

    dataset: Dataset
    report: DatasetReport
    days: tuple[date, ...]
    before: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...] | None
    parts: tuple[bytes, ...]
    bad_row_share: float = 1.0
    spoiled_by: tuple[str, ...] = field(default=())

    def with_rows(self, rows: Sequence[Sequence[str]]) -> "Document":
        """Give a document of other rows."""
        return replace(self, rows=tuple(map(tuple, rows)), parts=tuple(map(packed, rows)))


def packed(rows: Sequence[str]) -> bytes:
    """Give a part's bytes."""
    return gzip.compress(joined(rows), compresslevel=1, mtime=0)


def joined(rows: Sequence[str]) -> bytes:
    """Give a part's text."""
    return ("[" + ",\n".join(rows) + "]").encode("utf-8")


def written(value: Any, *, escaped: bool = False) -> str:
    """Write JSON: numbers as they are, objects as pairs; `escaped` escapes all beyond ASCII, else only what UTF-8 can't carry."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        fields = (
            f"{written(name, escaped=escaped)}:{written(item, escaped=escaped)}"
            for name, item in value
        )
        return "{" + ",".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(item, escaped=escaped) for item in value) + "]"
    if isinstance(value, str) and not escaped:
        try:
            value.encode()
        except UnicodeEncodeError:
            return json.dumps(value)
    return json.dumps(value, ensure_ascii=escaped)


def valid_rows(
    rng: Random, dataset: Dataset, report: DatasetReport, days: Sequence[date], count: int
) -> list[Pairs]:
    """Make rows that can all be understood; some are of the same key."""
    return [_valid_row(rng, dataset, report, days) for _ in range(count)]


def some_days(rng: Random) -> tuple[date, ...]:
    """Choose one to three days in a row."""
    first = rng.choice(FIRST_DAYS)
    return tuple(first + timedelta(days=number) for number in range(rng.randint(1, 3)))


def some_report(rng: Random) -> tuple[Dataset, DatasetReport]:
    """Choose a dataset and one of its reports; every third time it is hourly targets, which have the most to be got wrong."""
    dataset = (
        DATASETS["hourly_targets"] if rng.random() < 1 / 3 else rng.choice(list(DATASETS.values()))
    )
    return dataset, rng.choice(dataset.reports)


def _valid_row(rng: Random, dataset: Dataset, report: DatasetReport, days: Sequence[date]) -> Pairs:
    """Make a row of one of the report's ad products; fields that only others of them have are null."""
    day, ad_product = rng.choice(days), rng.choice(report.ad_products)
    value, match_type = rng.choice(_NAMED)
    values: dict[str, Any] = {
        "date.value": str(day),
        "hour.value": _hour(rng, day),
        "adProduct.value": ad_product.replace("_", " ").title(),
        "budgetCurrency.value": "USD" if rng.random() < 0.95 else "CAD",
        "campaign.id": _id(rng, CAMPAIGN),
        "campaign.name": rng.choice(("Shirts", "犬 🐶", "a\tb\\c\nd", None)),
        "campaign.costType": rng.choice(("CPC", "VCPM")),
        "campaign.country": "US" if rng.random() < 0.9 else rng.choice(("DE", "UK")),
        "adGroup.id": _id(rng, GROUP),
        "placementClassification.value": rng.choice(
            ("Top of Search on-Amazon", "TOP_OF_SEARCH", "On the moon")
        ),
        "ad.id": _id(rng, rng.choice(ADS)),
        "target.value": value,
        "target.matchType": match_type,
        "advertisedProduct.id": rng.choice(("B000000001", "B000000002")),
        "advertisedProduct.sku": rng.choice(("SHIRT-1", "犬", None)),
        "advertisedProduct.marketplace": rng.choice(("US", "CA")),
        "convertedProduct.id": rng.choice(("B000000001", "B000000003")),
        "convertedProductMarketplace.value": rng.choice(("US", "UK")),
        "searchTerm.value": rng.choice(("shirt", "犬 シャツ", 'tab\tand "quote"')),
        **{one.field: _figure(rng, one.kind) for one in dataset.metrics},
        "metric.impressions": Number(rng.randrange(5_000)),
        "metric.clicks": Number(rng.randrange(50)),
        "metric.totalCost": rng.choice(
            (Number(f"{rng.randrange(10**9)}.{rng.randrange(10**6):06d}"), Number("7"))
        ),
    }
    own = set(dataset.fields_for([ad_product]))
    return [(name, values[name] if name in own else None) for name in report.fields]


def _figure(rng: Random, kind: str) -> Any:
    if kind == "count":
        return rng.choice((Number("0"), Number(rng.randrange(5_000)), None))
    return rng.choice((Number("0"), Number("19.99"), Number("0.000001"), None))


def _id(rng: Random, digits: str) -> Any:
    return Number(digits) if rng.random() < 0.5 else digits


def _hour(rng: Random, day: date) -> Any:
    hour = rng.choice((0, 1, 1, 3, 9, 17, 23))
    return rng.choice((Number(hour), str(hour), f"{day}T{hour:02d}:00:00"))
