"""The files of reports and exports, row by row, by the product's own readers: what they set aside, and what is new."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import DATE_FIELD, product_name
from bidbeacon_pipelines.datasets.registry import DatasetReport
from bidbeacon_pipelines.entities.read import FIELDS, EntityProblems, read_entities
from bidbeacon_pipelines.loading.rows import (
    BadRow,
    NotWaitedFor,
    OtherRow,
    RowCheck,
    WaitingAccount,
)
from bidbeacon_pipelines.probe.shapes import Shape, add_to, field_name
from bidbeacon_pipelines.values.decode import iter_values
from bidbeacon_pipelines.values.field_types import find_date

_LIFE: Final = frozenset(
    ("adProduct", "state", "deliveryStatus", "creationDateTime", "lastUpdatedDateTime")
)
_ALWAYS: Final[Mapping[str, Collection[str]]] = {
    "campaigns": _LIFE | {"campaignId", "name", "startDate", "budgetCaps"},
    "adGroups": _LIFE | {"adGroupId", "campaignId", "name"},
    "ads": _LIFE | {"adId", "adType"},
    "targets": _LIFE | {"targetId", "negative", "targetType", "targetLevel", "targetDetails"},
    "portfolios": {"portfolioId", "name", "state", "inBudget", "budget"},
}
"""The fields that every entity of a kind has."""
_KNOWN: Final = {
    kind: {"tags", *(wanted.path[0] for wanted in FIELDS[kind].values())} for kind in _ALWAYS
}


@dataclass
class FileFacts:
    """Counts of the rows of files: all, those that the product sets aside, and their faults.

    Attributes:
        countries: Those that have rows, good or bad.
        products: Ad products that were not asked for, with their rows.
    """

    rows: int = 0
    set_aside: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    shape: Shape = field(default_factory=dict)
    countries: set[str] = field(default_factory=set)
    products: Counter[str] = field(default_factory=Counter)

    @property
    def differences(self) -> list[str]:
        """The faults, each with the number of its rows."""
        return [f"{fault} ({count} of {self.rows} rows)" for fault, count in self.faults.items()]

    @property
    def consequence(self) -> str:
        """Return a sentence with what the product does about such rows."""
        if self.set_aside:
            return f"BidBeacon would set {self.set_aside} of {self.rows} rows aside"
        return "BidBeacon reads these rows all the same"

    def objects(self, values: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Count the values of a file, and yield those that are objects."""
        for value in values:
            self.rows += 1
            add_to(self.shape, [value])
            if isinstance(value, dict):
                yield value
            else:
                self.set_aside += 1
                self.faults["a row that is no object"] += 1

    def add_keys(
        self, row: Mapping[str, Any], always: Collection[str], known: Collection[str]
    ) -> None:
        """Add which keys of a row are missing, and which are unknown."""
        self.faults.update(f"{key}: missing" for key in always if key not in row)
        self.faults.update(f"{field_name(key)}: unknown" for key in row if key not in known)

    def add_faults(self, cause: Mapping[str, Any]) -> None:
        """Add the fields that a reader refuses, without their values."""
        for fault in cause.get("detail", {}).get("faults", ()):
            expected = fault.get("expected")
            self.faults[
                f"{fault['field']}: {f'expected {expected}' if expected else 'missing'}"
            ] += 1


def read_report(
    facts: FileFacts,
    path: Path,
    report: DatasetReport,
    accounts: Sequence[Account],
    day: date,
    *,
    spellings: Mapping[str, str],
) -> None:
    """Read a file of a report of one day, as a load does.

    Args:
        facts: The counts, which are added to.
        path: The file.
        report: What it is.
        accounts: The accounts of the ads account.
        day: The day.
        spellings: Amazon's names of fields that are overridden, by ours.

    Raises:
        BrokenPartError: it is no gzipped JSON array, or cut short.
    """
    check = RowCheck(
        report.dataset,
        [
            WaitingAccount(number, account.country_code, account.time_zone, frozenset([day]))
            for number, account in enumerate(accounts)
        ],
        ad_products=report.ad_products,
        period=(day, day),
        has_one_country=len(accounts) == 1,
        spellings=spellings,
    )
    known = {*report.fields, *report.dataset.other_names.values(), *spellings.values()}
    for row in facts.objects(iter_values(path)):
        facts.add_keys(row, (), known)
        checked = check(row)
        if isinstance(checked, bytes):
            number: int | None = int(checked.partition(b"\t")[0])
        else:
            number = checked.account
        if number is not None:
            facts.countries.add(accounts[number].country_code)
        if isinstance(checked, BadRow):
            facts.set_aside += 1
            facts.add_faults(checked.cause)
        elif isinstance(checked, OtherRow) and checked.kind is NotWaitedFor.AD_PRODUCT:
            facts.products[product_name(checked.ad_product or "")] += 1


def find_oldest_day(paths: Iterable[Path], start: date, end: date) -> date | None:
    """Return the oldest day of a report's period that has rows in its files; None without any.

    Raises:
        BrokenPartError: a file is no gzipped JSON array, or cut short.
    """
    rows = (row for path in paths for row in iter_values(path) if isinstance(row, dict))
    days = (find_date(row.get(DATE_FIELD)) for row in rows)
    return min((day for day in days if day is not None and start <= day <= end), default=None)


def read_listed(facts: FileFacts, entities: Iterable[Any], kind: str) -> None:
    """Read entities of a kind, as a sync does."""
    for row in facts.objects(entities):
        facts.add_keys(row, _ALWAYS[kind], _KNOWN[kind])
        problems = EntityProblems()
        list(read_entities(kind, [row], problems))
        facts.set_aside += problems.set_aside
        facts.add_faults(problems.first_cause or {})
