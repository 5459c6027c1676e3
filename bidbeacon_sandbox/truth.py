"""The true rows of an account's day, unchanged by rules; tests compare tables with them."""

import json
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from bidbeacon_sandbox.entities import Catalog
from bidbeacon_sandbox.fields import is_money
from bidbeacon_sandbox.rows import TRUE_TARGET, RowWriter
from bidbeacon_sandbox.traffic import age_of

UNRESOLVABLE = frozenset({None, "THEME"})
"""Match types for which a row does not identify its target."""


def day_truth(
    catalog: Catalog, day: date, now: datetime, fields: Collection[str]
) -> list[dict[str, Any]]:
    """Return the true rows of an account-local day as JSON data, with Amazon's field names.

    Rows have the given report fields and, with `target.value`, also `target.id`, the target's id.
    Amounts are decimal texts. A metric is None if the ad product doesn't have it.
    """
    targets = {TRUE_TARGET} if "target.value" in fields else set()
    writer = RowWriter(catalog, {*fields, *targets}, varies=False)
    texts = writer.rows([(day, age_of(catalog, day, now))], (day, day))
    return [_row(json.loads(text, parse_float=str)) for text in texts]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    amounts = {field: str(row[field]) for field in filter(is_money, row) if row[field] is not None}
    return row | amounts
