"""A sandbox for requests at random: its real ids, and values that it should accept."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from hypothesis import strategies as st
from requests import Session
from schemathesis import Case, Response

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.accounts import Account
from bidbeacon_sandbox.datasets import DATASETS
from bidbeacon_sandbox.server import SandboxHandle

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
TODAY = date(2026, 1, 15)
OLDEST = date(2024, 10, 15)
"""The first of the 15 months of daily reports."""
CONFIG = SandboxConfig(
    clock_start=NOON,
    clock_rate=0,
    rows_per_day=20,
    report_seconds=0,
    export_seconds=0,
    max_reports_in_flight=10**6,
)
"""Its clock stands still, and nothing is throttled: all that is made is ready at once."""
_TOKEN = {
    "grant_type": "refresh_token",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "refresh_token": "Atzr|sandbox",
}
_CAMPAIGNS = "application/vnd.campaignsexport.v1+json"
_REPORTS = 100


class World:
    """A running sandbox, called by a client of region NA for the first profile of its first ads account."""

    def __init__(self, sandbox: SandboxHandle, catalogue: frozenset[str]) -> None:
        self.state, self.catalogue = sandbox.state, catalogue
        self._url, self._session = f"{sandbox.url}/na", Session()
        token = httpx.post(f"{self._url}/auth/o2/token", data=_TOKEN).json()["access_token"]
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Amazon-Advertising-API-ClientId": _TOKEN["client_id"],
            "Amazon-Advertising-API-Scope": str(self.account.countries[0].profile_id),
        }
        exported = self._post("campaigns/export", {}, _CAMPAIGNS)
        self.export_id = str(exported["exportId"])
        self.report_ids = [self._new_report() for _ in range(_REPORTS)]

    @property
    def account(self) -> Account:
        """The ads account that calls are about."""
        return self.state.world.accounts.accounts[0]

    def send(self, case: Case[Any]) -> Response:
        """Send a request with our headers, and return the answer."""
        case.headers.clear()
        headers = self._headers | {"Accept": case.media_type or _CAMPAIGNS}
        return case.call(base_url=self._url, session=self._session, headers=headers)

    def real_values(self) -> st.SearchStrategy[dict[str, Any]]:
        """Return values that are not refused as unknown, by the names that they have in requests."""
        ours = self.account.account_id
        return st.fixed_dictionaries(
            {
                "accessRequestedAccounts": st.just([{"advertiserAccountId": ours}]),
                "advertiserAccountIdFilter": st.just({"include": [ours]}),
                "currencyOfView": st.sampled_from(["USD", "EUR", "JPY"]),
                "datePeriod": _periods(),
                "exportId": st.just(self.export_id),
                "format": st.just("GZIP_JSON"),
                "nextToken": st.just("from-0"),
                "query": _queries(sorted(self.catalogue)),
                "reportIds": st.sampled_from(self.report_ids).map(lambda one: [one]),
            }
        ).map(lambda values: values | values.pop("query"))

    def _new_report(self) -> str:
        query = {"fields": ["date.value", "campaign.id", "metric.clicks"]}
        period = {"datePeriod": _period(TODAY, 0)}
        report = {"format": "GZIP_JSON", "periods": [period], "query": query}
        accounts = [{"advertiserAccountId": self.account.account_id}]
        body = {"accessRequestedAccounts": accounts, "reports": [report]}
        answer = self._post("adsApi/v1/create/reports", body, "application/json")
        return str(answer["success"][0]["report"]["reportId"])

    def _post(self, path: str, body: Any, media: str) -> Any:
        headers = self._headers | {"Content-Type": media, "Accept": media}
        return httpx.post(f"{self._url}/{path}", json=body, headers=headers).json()


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
