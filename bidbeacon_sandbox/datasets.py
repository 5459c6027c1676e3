"""The reports of the contract, read from `datasets.json`: their fields, keys and ad products."""

import json
from collections.abc import Collection
from importlib.resources import files
from typing import NamedTuple

_SAME_IN_ALL = {"date.value", "adProduct.value", "budgetCurrency.value", "advertiserAccount.id"}
_SAME_IN_ALL |= {"campaign.country", "campaignCountry.value"}


class Dataset(NamedTuple):
    """One report of the contract; `keys` are the dimensions that tell it from others."""

    products: tuple[str, ...]
    keys: frozenset[str]
    fields: frozenset[str]


_CONTRACT = json.loads((files("bidbeacon_sandbox") / "datasets.json").read_text(encoding="utf-8"))
DATASETS: dict[str, Dataset] = {
    one["name"]: Dataset(
        tuple(one["adProducts"]),
        frozenset(one["keyDimensions"]) - _SAME_IN_ALL,
        frozenset((*one["fields"], *one.get("optionalMetrics", ()))),
    )
    for one in _CONTRACT["datasets"]
}
NEW_NAMES: dict[str, str] = {
    old: new[0].split()[0]
    for old, new in _CONTRACT["fieldVariants"].items()
    if "." in new[0].split()[0] and "[?]" not in new[0]
}
"""Newer names of fields; a server knows the older or the newer ones."""
_KEYS = frozenset[str]().union(*(one.keys for one in DATASETS.values()))


def datasets_of(fields: Collection[str], products: Collection[str]) -> tuple[str, ...]:
    """Return the names of the contract's reports that a query of these fields and ad products is."""
    old_names = {new: old for old, new in NEW_NAMES.items()}
    keys = {old_names.get(field, field) for field in fields} & _KEYS
    return tuple(
        name
        for name, one in DATASETS.items()
        if one.keys == keys
        and _has_shares(one.fields) == _has_shares(fields)
        and not set(one.products).isdisjoint(products)
    )


def _has_shares(fields: Collection[str]) -> bool:
    return any("mpressionShare" in field for field in fields)


def metrics_of(product: str) -> frozenset[str]:
    """Return the metrics that any report of an ad product has."""
    fields = [one.fields for one in DATASETS.values() if product in one.products]
    return frozenset(field for of_one in fields for field in of_one if field.startswith("metric."))
