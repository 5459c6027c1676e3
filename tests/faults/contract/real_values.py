"""A sandbox for requests at random, and the values that it should accept: its real ids, fields and periods."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.fields import DATASETS
from bidbeacon_sandbox.state import SandboxState
from tests.contract.catalogue import Catalogue
from tests.unit.sandbox.conftest import Caller

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
TODAY = NOON.date()
OLDEST = date(2024, 10, 15)
"""The first of the 15 months of daily reports."""
CONFIG = SandboxConfig(
    clock_start=NOON,
    clock_frozen=True,
    rows_per_day=20,
    report_seconds=0,
    export_seconds=0,
    max_reports_in_flight=10**6,
)
"""Its clock stands still, and nothing is throttled: all that is made is ready at once."""
_REPORTS = 100


class Known(NamedTuple):
    """The ids that the sandbox knows, and the fields that Amazon's catalogue does."""

    state: SandboxState
    catalogue: Catalogue
    account_id: str
    export_id: str
    report_ids: Sequence[str]


def make_known(caller: Caller) -> Known:
    """Make an export and reports in a sandbox; return what it knows then."""
    exported = caller.export("campaigns", "POST", "/campaigns/export", body={}).json()
    report: dict[str, Any] = {
        "fields": ["date.value", "campaign.id", "metric.clicks"],
        "start": TODAY,
        "end": TODAY,
        "filter": None,
    }
    report_ids = [caller.create_id(**report) for _ in range(_REPORTS)]
    account_id = caller.account().account_id
    return Known(caller.state, Catalogue(), account_id, str(exported["exportId"]), report_ids)


def real_values(known: Known) -> st.SearchStrategy[dict[str, Any]]:
    """Return values that are not refused as unknown, by the names that they have in requests."""
    values: dict[str, st.SearchStrategy[Any]] = {
        "accessRequestedAccounts": st.just([{"advertiserAccountId": known.account_id}]),
        "advertiserAccountIdFilter": st.just({"include": [known.account_id]}),
        "currencyOfView": st.sampled_from(["USD", "EUR", "JPY"]),
        "datePeriod": _periods(),
        "exportId": st.just(known.export_id),
        "format": st.just("GZIP_JSON"),
        "nextToken": st.just("from-0"),
        "query": _queries(sorted(known.catalogue.fields)),
        "reportIds": st.sampled_from(known.report_ids).map(lambda one: [one]),
    }
    return st.fixed_dictionaries(values).map(lambda drawn: {**drawn, **drawn.pop("query")})


def _periods() -> st.SearchStrategy[dict[str, str]]:
    """Return periods of which most are served: some are too long, or reach too far back."""
    first = st.dates(OLDEST - timedelta(days=30), TODAY)
    return st.one_of(
        st.builds(_period, st.dates(TODAY - timedelta(days=7), TODAY), st.integers(0, 7)),
        st.builds(_period, first, st.integers(0, 130)),
    )


def _period(start: date, days: int) -> dict[str, str]:
    end = start + timedelta(days=days)
    return {"startDate": start.isoformat(), "endDate": end.isoformat()}


@st.composite
def _queries(draw: st.DrawFn, catalogue: list[str]) -> dict[str, Any]:
    """Return the query of one of the contract's reports, some with one more field of the catalogue."""
    dataset = DATASETS[draw(st.sampled_from(sorted(DATASETS)))]
    more = draw(st.one_of(st.just([]), st.sampled_from(catalogue).map(lambda one: [one])))
    is_product = {
        "field": "adProduct.value",
        "comparisonOperator": "EQUALS",
        "not": False,
        "values": [draw(st.sampled_from(dataset.products))],
    }
    return {"fields": sorted(dataset.fields) + more, "filter": {"on": is_product}}
