"""What Amazon's catalogue says about fields beside each other: companions, and exclusions."""

from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Any

Catalogue = Mapping[str, Mapping[str, Any]]


def lack_companion(catalogue: Catalogue, fields: Iterable[str]) -> bool:
    """Return whether a field needs another one that is not among them."""
    return any(set(catalogue[field]["required_fields"]) - set(fields) for field in fields)


def has_excluded_pair(catalogue: Catalogue, fields: Iterable[str]) -> bool:
    """Return whether a field excludes another one of them."""
    return any(excludes(catalogue, *pair) for pair in permutations(set(fields), 2))


def excludes(catalogue: Catalogue, field: str, other: str) -> bool:
    """Return whether the catalogue says of a field that it excludes another one.

    It names metrics by their fields, and dimensions by titles such as "Ad group".
    """
    dimensions = catalogue[field].get("incompatible_dimensions", ())
    titles = {title.replace(" ", "").lower() for title in dimensions}
    metrics = catalogue[field].get("incompatible_metrics", ())
    return other in metrics or other.partition(".")[0].lower() in titles
