"""Compares Amazon's answers to API calls, and rows of its files, with the contract."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads import accounts, entities, reports, tokens
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.errors import as_text
from bidbeacon_pipelines.amazon_ads.failures import find_json
from bidbeacon_pipelines.amazon_ads.wire import STRICT
from bidbeacon_pipelines.datasets.fields import DATE_FIELD, product_name
from bidbeacon_pipelines.datasets.registry import DatasetReport
from bidbeacon_pipelines.entities.read import FIELDS, EntityProblems, read_entities
from bidbeacon_pipelines.loading.rows import BadRow, IgnoredAs, OtherRow, RequestedAccount, RowCheck
from bidbeacon_pipelines.probe.comparisons import Shape, add_to, field_name
from bidbeacon_pipelines.values.decode import iter_values
from bidbeacon_pipelines.values.field_types import find_date

_LONGEST_SHOWN: Final = 40
_UNREAD: Final = (
    {"refresh_token", "token_type", "dailyBudget", "subType", "validPaymentMethod", "errorId"}
    | {
        "success",
        "error",
        "url",
        "urlExpirationDateTime",
        "lastUpdatedDateTime",
        "completedDateTime",
    }
    | {"currencyOfView", "formatOptions", "locale", "timeZoneMode"}
    | {"createdAt", "generatedAt", "urlExpiresAt"}
)
"""Documented fields that the client does not read: they may have any type."""

CALLS: Final[dict[str, tuple[str, type[BaseModel]]]] = {
    "token": ("/auth/o2/token", tokens.TokenAnswer),
    "accounts": ("/adsAccounts/list", accounts.Page),
    "profiles": ("/v2/profiles", accounts.Profiles),
    "create report": ("/create/reports", reports.ReportAnswer),
    "retrieve report": ("/retrieve/reports", reports.ReportAnswer),
    "create export": ("/(campaigns|adGroups|ads|targets)/export", entities.Export),
    "get export": ("/exports/[^/]+", entities.Export),
}
"""BidBeacon's API calls by name: a pattern for the path's end, and the answer's model."""


def find_call(path: str) -> str | None:
    """Return the name of the call that a path belongs to; None for a download."""
    return next((name for name, (end, _) in CALLS.items() if re.search(f"{end}$", path)), None)


def list_differences(call: str, body: Any) -> list[str]:
    """Return how an answer differs from the contract, without customers' values."""
    try:
        CALLS[call][1].model_validate(body, context=STRICT, extra="forbid")
    except ValidationError as error:
        faults = error.errors(include_url=False)
        return list(dict.fromkeys(_sentence(one) for one in faults if not _is_unread(one)))
    return []


def _is_unread(fault: ErrorDetails) -> bool:
    return fault["type"] == "extra_forbidden" and fault["loc"][-1] in _UNREAD


def _sentence(fault: ErrorDetails) -> str:
    parts = ["[]" if isinstance(part, int) else field_name(part) for part in fault["loc"]]
    if fault["type"] == "not_sent":  # it is named as in Python
        parts[-1] = to_camel(parts[-1])
    place = ".".join(parts) or "the answer"
    if fault["type"] in {"missing", "not_sent"}:
        return f"{place}: missing"
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown"
    expected = fault["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    came = fault["input"]
    if fault["type"] == "word" and isinstance(came, str) and len(came) <= _LONGEST_SHOWN:
        return f"{place}: {expected}, got {as_text(came)!r}"
    return f"{place}: {expected}"


@dataclass
class Answers:
    """All answers to one call that have the same status; `slowest` is in seconds."""

    call: str
    status: int
    is_success: bool
    count: int = 0
    slowest: float = 0.0
    shape: Shape = field(default_factory=dict)
    differences: dict[str, None] = field(default_factory=dict)


class Listener:
    """Collects answers to a client's calls, except downloads, by call, status and success."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int, bool], Answers] = {}

    def listen(self, client: AdsApiClient) -> None:
        """Record the answers to the calls that a client makes from now on."""
        client.http.event_hooks["response"].append(self._add)

    def _add(self, response: httpx.Response) -> None:
        call = find_call(response.request.url.path)
        if call is None:
            return
        response.read()
        body = find_json(response)
        is_refused = isinstance(body, dict) and bool(body.get("error")) and "success" in body
        is_success = response.is_success and not is_refused
        key = (call, response.status_code, is_success)
        answers = self.answers.setdefault(key, Answers(*key))
        answers.count += 1
        answers.slowest = max(answers.slowest, response.elapsed.total_seconds())
        add_to(answers.shape, body)
        if is_success:
            answers.differences |= dict.fromkeys(list_differences(call, body))


_LIFE: Final = {"adProduct", "state", "deliveryStatus", "creationDateTime", "lastUpdatedDateTime"}
_ALWAYS: Final[Mapping[str, Collection[str]]] = {
    "campaigns": _LIFE | {"campaignId", "name", "startDate", "budgetCaps"},
    "adGroups": _LIFE | {"adGroupId", "campaignId", "name"},
    "ads": _LIFE | {"adId", "adType"},
    "targets": _LIFE | {"targetId", "negative", "targetType", "targetLevel", "targetDetails"},
    "portfolios": {"portfolioId", "name", "state", "inBudget", "budget"},
}
"""The fields that every entity of a kind has."""


@dataclass
class FileFacts:
    """Counts and faults of rows; `products` counts rows whose ad product was not requested."""

    rows: int = 0
    set_aside: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    shape: Shape = field(default_factory=dict)
    countries: set[str] = field(default_factory=set)
    products: Counter[str] = field(default_factory=Counter)

    @property
    def differences(self) -> list[str]:
        """The faults, each with the number of rows that have the fault."""
        return [f"{fault} ({count} of {self.rows} rows)" for fault, count in self.faults.items()]

    def objects(self, values: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Count the values of a file, and yield those that are JSON objects."""
        for value in values:
            self.rows += 1
            add_to(self.shape, [value])
            if isinstance(value, dict):
                yield value
            else:
                self.set_aside += 1
                self.faults["a row that is not an object"] += 1

    def add_keys(
        self, row: Mapping[str, Any], always: Collection[str], known: Collection[str]
    ) -> None:
        """Count the keys in `always` that a row lacks, and its keys that are not in `known`."""
        self.faults.update(f"{key}: missing" for key in always if key not in row)
        self.faults.update(f"{field_name(key)}: unknown" for key in row if key not in known)

    def add_faults(self, cause: Mapping[str, Any]) -> None:
        """Count the invalid fields that the cause of a bad row lists, without the values."""
        for fault in cause.get("detail", {}).get("faults", ()):
            expected = fault.get("expected")
            found = f"expected {expected}" if expected else "missing"
            self.faults[f"{fault['field']}: {found}"] += 1


def read_report(
    paths: Iterable[Path],
    report: DatasetReport,
    accounts: Sequence[Account],
    day: date,
    spellings: Mapping[str, str],
) -> FileFacts:
    """Check the rows in the files of a one-day report as a load does.

    `spellings` maps our names of fields to Amazon's names.

    Raises:
        BrokenPartError: a file is not a gzipped JSON array, or is truncated.
    """
    facts, days = FileFacts(), frozenset([day])
    check = RowCheck(
        report.dataset,
        [
            RequestedAccount(number, account.country_code, account.time_zone, days)
            for number, account in enumerate(accounts)
        ],
        ad_products=report.ad_products,
        period=(day, day),
        has_one_country=len(accounts) == 1,
        spellings=spellings,
    )
    known = {*report.fields, *report.dataset.other_names.values(), *spellings.values()}
    for row in facts.objects(value for path in paths for value in iter_values(path)):
        facts.add_keys(row, (), known)
        checked = check(row)
        number = int(checked.partition(b"\t")[0]) if isinstance(checked, bytes) else checked.account
        if number is not None:
            facts.countries.add(accounts[number].country_code)
        if isinstance(checked, BadRow):
            facts.set_aside += 1
            facts.add_faults(checked.cause)
        elif isinstance(checked, OtherRow) and checked.kind is IgnoredAs.AD_PRODUCT:
            facts.products[product_name(checked.ad_product or "")] += 1
    return facts


def find_oldest_day(paths: Iterable[Path], start: date, end: date) -> date | None:
    """Return the oldest day of a report's period that has rows in its files, if any.

    Raises:
        BrokenPartError: a file is not a gzipped JSON array, or is truncated.
    """
    rows = (row for path in paths for row in iter_values(path) if isinstance(row, dict))
    days = (find_date(row.get(DATE_FIELD)) for row in rows)
    return min((day for day in days if day is not None and start <= day <= end), default=None)


def read_listed(entities: Iterable[Any], kind: str) -> FileFacts:
    """Check entities from an export or a list with the reader that the entity sync uses."""
    facts, known = FileFacts(), {"tags", *(wanted.path[0] for wanted in FIELDS[kind].values())}
    for row in facts.objects(entities):
        facts.add_keys(row, _ALWAYS[kind], known)
        problems = EntityProblems()
        list(read_entities(kind, [row], problems))
        facts.set_aside += problems.set_aside
        facts.add_faults(problems.first_cause or {})
    return facts
