"""A caller of a running sandbox over real HTTP; its clock stands still and is moved by the tests."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.accounts import AdsAccount
from bidbeacon_sandbox.server import SandboxHandle, running_sandbox
from tests.contract.exchanges import judge_answer
from tests.support.rules import rule

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
TARGET_FIELDS = [
    *("date.value", "budgetCurrency.value", "adProduct.value", "target.value", "target.matchType"),
    *("campaign.id", "campaign.name", "campaign.country", "adGroup.id", "adGroup.name", "ad.id"),
    *("metric.impressions", "metric.clicks", "metric.purchases"),
    *("metric.sales", "metric.totalCost"),
]
REPORT_SECONDS = 60


def filter_of(*products: str) -> dict[str, Any]:
    """Return a filter on ad products."""
    operator = "EQUALS" if len(products) == 1 else "IN"
    condition = {"comparisonOperator": operator, "not": False, "values": list(products)}
    return {"on": {"field": "adProduct.value", **condition}}


SPONSORED_PRODUCTS = filter_of("SPONSORED_PRODUCTS")
STATES = ["ENABLED", "PAUSED", "ARCHIVED"]


class Caller:
    """Speaks to one sandbox as a client does: right headers by default, each of them replaceable."""

    def __init__(self, handle: SandboxHandle, http: httpx.Client) -> None:
        self.url, self.state, self.http = handle.url, handle.state, http
        self.client, self.token = "sandbox-client", self.new_token()

    def new_token(self, **form: str) -> str:
        """Ask for a token and give it."""
        answer = self.ask_token(**form)
        return str(answer.json().get("access_token"))

    def ask_token(self, **form: str) -> httpx.Response:
        """Ask for a token with the right form, or with fields changed."""
        fields = {
            "grant_type": "refresh_token",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "refresh_token": "Atzr|sandbox",
        }
        return self.http.post(f"{self.url}/na/auth/o2/token", data=fields | form)

    @property
    def headers(self) -> dict[str, str]:
        """The headers every call needs."""
        return {
            "Authorization": f"Bearer {self.token}",
            "Amazon-Advertising-API-ClientId": self.client,
        }

    @property
    def profile(self) -> str:
        """The id of the profile of the first account's first country."""
        return str(self.account().countries[0].profile_id)

    def account(self, index: int = 0) -> AdsAccount:
        """Return one of the sandbox's accounts."""
        return self.state.world.accounts.accounts[index]

    def create(self, **changes: Any) -> httpx.Response:
        """Ask for a report: `account`, `fields`, `start`, `end`, `filter`, `region`, `body`, `headers` may be given."""
        account = changes.get("account", self.account())
        region = changes.get("region", account.region.lower())
        body = changes.get("body") or report_body(
            account.account_id,
            changes.get("fields", TARGET_FIELDS),
            changes.get("start", date(2026, 1, 10)),
            changes.get("end", date(2026, 1, 10)),
            changes.get("filter", SPONSORED_PRODUCTS),
        )
        path = f"/{region}/adsApi/v1/create/reports"
        return self.post(path, body, **changes.get("headers", {}))

    def create_id(self, **changes: Any) -> str:
        """Ask for a report that is accepted, and return its id."""
        answer = self.create(**changes)
        assert answer.status_code == 207, answer.text
        return str(answer.json()["success"][0]["report"]["reportId"])

    def retrieve(self, report_id: str, region: str = "na") -> httpx.Response:
        """Ask how a report is."""
        return self.post(f"/{region}/adsApi/v1/retrieve/reports", {"reportIds": [report_id]})

    def report(self, report_id: str, region: str = "na") -> dict[str, Any]:
        """Ask how a known report is, and return what is said of it."""
        answer = self.retrieve(report_id, region)
        assert answer.status_code == 207, answer.text
        return dict(answer.json()["success"][0]["report"])

    def completed(self, **changes: Any) -> dict[str, Any]:
        """Ask for a report and let the time pass that it takes."""
        account = changes.get("account", self.account())
        report_id = self.create_id(**changes)
        self.state.clock.advance(REPORT_SECONDS * 2)
        return self.report(report_id, account.region.lower())

    def rows(self, **changes: Any) -> list[dict[str, Any]]:
        """Ask for a report and give the rows of all its parts."""
        return self.rows_of(self.completed(**changes))

    def rows_of(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        """Download all parts of a completed report, and return their rows."""
        texts = [self.http.get(part["url"]).content for part in report["completedReportParts"]]
        return [row for text in texts for row in read_rows(text)]

    def export(self, kind: str, method: str, path: str, **changes: Any) -> httpx.Response:
        """Make an export call about a profile; `headers` and `body` may be given."""
        media = f"application/vnd.{kind.lower()}export.v1+json"
        scope = {"Amazon-Advertising-API-Scope": self.profile}
        headers = self.headers | scope | {"Content-Type": media, "Accept": media}
        headers |= changes.get("headers", {})
        usual = {"adProductFilter": ["SPONSORED_PRODUCTS"], "stateFilter": STATES}
        content = json.dumps(changes.get("body", usual)) if method == "POST" else None
        return self.http.request(method, f"{self.url}/na{path}", headers=headers, content=content)

    def exported(self, kind: str, **changes: Any) -> list[dict[str, Any]]:
        """Ask for an export, let the time pass that it takes, and return its entities."""
        created = self.export(kind, "POST", f"/{kind}/export", **changes)
        assert created.status_code == 202, created.text
        self.state.clock.advance(60)
        done = self.export(kind, "GET", f"/exports/{created.json()['exportId']}", **changes).json()
        content = self.http.get(done["url"]).content
        assert len(content) == done["fileSize"]
        return read_rows(content)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Post JSON, or nothing."""
        content = None if body is None else json.dumps(body)
        given = self.headers | {"Content-Type": "application/json"} | headers
        return self.http.post(f"{self.url}{path}", content=content, headers=given)

    def breaks(self, kind: str, call: str | None = None, **fields: Any) -> None:
        """Put one rule in force."""
        self.state.rules.add(rule(kind, call, **fields))


def report_body(
    account_id: str,
    fields: list[str],
    start: date,
    end: date,
    row_filter: dict[str, Any] | None = SPONSORED_PRODUCTS,
) -> dict[str, Any]:
    """Make the body of a create call for one account, query and period; without a filter for None."""
    query = {"fields": fields} | ({"filter": row_filter} if row_filter else {})
    period = {"datePeriod": {"startDate": start.isoformat(), "endDate": end.isoformat()}}
    return {
        "accessRequestedAccounts": [{"advertiserAccountId": account_id}],
        "reports": [{"format": "GZIP_JSON", "periods": [period], "query": query}],
    }


def read_rows(content: bytes) -> list[dict[str, Any]]:
    """Read a downloaded file, numbers exact."""
    return list(json.loads(gzip.decompress(content), parse_float=Decimal))


@pytest.fixture(scope="session")
def _http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=120, event_hooks={"response": [_judge]}) as client:
        yield client


def _judge(answer: httpx.Response) -> None:
    """Judge an answer of the sandbox; requests of these tests are wrong on purpose."""
    answer.read()
    judge_answer(answer)


@pytest.fixture
def start(_http: httpx.Client) -> Iterator[Callable[..., Caller]]:
    """Start a sandbox with a frozen clock and small days; any setting can be changed."""
    with ExitStack() as stack:

        def start_one(**config: Any) -> Caller:
            clock = {"clock_start": NOON, "clock_frozen": True, "token_seconds": 10**8}
            small = {"report_seconds": REPORT_SECONDS, "rows_per_day": 40}
            settings = SandboxConfig.model_validate(clock | small | config)
            return Caller(stack.enter_context(running_sandbox(settings)), _http)

        yield start_one


@pytest.fixture
def caller(start: Callable[..., Caller]) -> Caller:
    """A caller of a sandbox with the settings that most tests need."""
    return start()
