"""Amazon's catalogue of report fields as a judge: which fields exist, and which may be requested together."""

import re
from collections.abc import Collection, Iterable, Iterator

import pytest

from bidbeacon_pipelines.datasets.fields import CURRENCY_FIELD, Metric
from tools.amazon_documents import NOT_CHECKED, find_documents

DOCUMENTS = find_documents()
needs_documents = pytest.mark.skipif(DOCUMENTS is None, reason=NOT_CHECKED)

_DATA_TYPES = {"count": "LONG", "amount": "CURRENCY"}
_NOT_SUMMED = re.compile(
    "average|budget|frequency|percent|projected|rank|reach|required", re.IGNORECASE
)
"""Counts of distinct people, ranks and the like, which the catalogue types like sums."""


class Catalogue:
    """The catalogue of the downloaded documents."""

    def __init__(self) -> None:
        assert DOCUMENTS is not None
        self._documents, self.fields = DOCUMENTS, DOCUMENTS.fields()

    def faults(self, fields: Collection[str]) -> list[str]:
        """Return why Amazon would refuse a report with these fields; empty where it would accept it."""
        known = [field for field in fields if field in self.fields]
        unknown = [f"{field} is not in the catalogue" for field in fields if field not in known]
        return [*unknown, *self._lacking(known, fields), *self._clashing(known)]

    def _lacking(self, known: Iterable[str], fields: Collection[str]) -> Iterator[str]:
        for field in known:
            for companion in self.companions(field) - set(fields):
                yield f"{field} needs {companion}"

    def _clashing(self, known: Collection[str]) -> Iterator[str]:
        for field in known:
            for other in self.excluded(field) & set(known):
                yield f"{field} excludes {other}"

    def companions(self, field: str) -> set[str]:
        """Return the fields that have to be requested together with a field."""
        return set(self.fields[field]["required_fields"])

    def excluded(self, field: str) -> set[str]:
        """Return the fields that may not be requested together with a field."""
        entry = self.fields[field]
        labels = entry["incompatible_dimensions"]
        dimensions = {name for label in labels for name in self._documents.labelled(label)}
        return dimensions | set(entry.get("incompatible_metrics", ()))

    def faults_of_metric(self, metric: Metric) -> list[str]:
        """Return why a metric can't be loaded as it is declared: its type, its currency, its sums."""
        entry = self.fields.get(metric.field)
        if entry is None:
            return [f"{metric.field} is not in the catalogue"]
        expected, found = _DATA_TYPES[metric.kind], entry["data_type"]
        in_currency = CURRENCY_FIELD in entry["required_fields"]
        is_summed = metric.is_additive and _NOT_SUMMED.search(metric.field)
        faults = {
            f"{metric.field} is {found}, expected {expected}": found != expected,
            f"{metric.field} is not an amount of {CURRENCY_FIELD}": (
                metric.kind == "amount" and not in_currency
            ),
            f"{metric.field} may not be summed over rows": bool(is_summed),
        }
        return [fault for fault, is_found in faults.items() if is_found]

    def v3_names(self, field: str) -> set[str]:
        """Return the names of a field in version 3 of Amazon's reporting."""
        listed = self.fields[field]["v3_name_sponsored_ads"] or ""
        without_remarks = re.sub(r"\s*(\[.*?\]|\(.*?\))", "", listed)
        return {name for name in without_remarks.split(", ") if name}
