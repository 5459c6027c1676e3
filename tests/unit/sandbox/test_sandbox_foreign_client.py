"""A client that knows only the wire: each of the contract's requests is posted, each answer has the shape of the contract's.

`contract_examples/` are the contract's own bodies, one a call, as they are. `more_examples/` show
what it tells of in words alone: calls without an example, accounts without errors, the entities of
Sponsored Brands and Display.
"""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

CONTRACT = Path(__file__).parent / "contract_examples"
MORE = Path(__file__).parent / "more_examples"
FORM = {
    "grant_type": "refresh_token",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "refresh_token": "Atzr|sandbox",
}
LIST_MEDIA = "application/vnd.listaccountsresource.v1+json"
KINDS = ["campaigns", "adGroups", "ads", "targets"]
ROWS = sorted(path.stem for folder in (CONTRACT, MORE) for path in folder.glob("row_*.json"))
OTHER_FORMS = {"campaign.id": "1", "adGroup.id": "1", "ad.id": "1", "hour.value": 9}
"""Ids are numbers or text, hours too; the examples of rows show one form each."""


def examples(name: str) -> list[Any]:
    """Read the contract's example of this name and what may come besides, as far as there are such."""
    paths = (folder / f"{name}.json" for folder in (CONTRACT, MORE))
    found = [json.loads(path.read_text()) for path in paths if path.exists()]
    return found + [list(map(in_other_form, rows)) for rows in found if name in ROWS]


def example(name: str) -> Any:
    """Read an example, the contract's where it has one."""
    return examples(name)[0]


def in_other_form(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it may come too: ids as text, hours as numbers, no value for any metric."""
    return {
        key: None if key.startswith("metric.") else OTHER_FORMS.get(key, row[key]) for key in row
    }


def kind_of(value: Any) -> str:
    """Name a value's JSON type."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def misfits(shown: list[Any], value: Any, place: str = "$") -> list[str]:
    """List where a value differs in shape from the example's values at its place; null alone allows anything."""
    kinds = {kind_of(one) for one in shown}
    if kinds <= {"null"}:
        return []
    if kind_of(value) not in kinds:
        return [f"{place} is {kind_of(value)}, expected {sorted(kinds)}"]
    if isinstance(value, dict):
        return misfits_of_object([one for one in shown if isinstance(one, dict)], value, place)
    if isinstance(value, list):
        items = [item for one in shown if isinstance(one, list) for item in one]
        return [wrong for item in value for wrong in misfits(items, item, f"{place}[]")]
    return []


def misfits_of_object(shown: list[dict[str, Any]], value: dict[str, Any], place: str) -> list[str]:
    """A key may be missing where an example lacks it or has null; a key that none has must be null."""
    known = {key for one in shown for key in one}
    needed = {key for key in known if all(one.get(key) is not None for one in shown)}
    wrong = [f"{place}.{key} is missing" for key in sorted(needed - set(value))]
    wrong += [
        f"{place}.{key} is unknown" for key in value if key not in known and value[key] is not None
    ]
    for key in known & set(value):
        wrong += misfits([one[key] for one in shown if key in one], value[key], f"{place}.{key}")
    return wrong


def assert_fits(name: str, value: Any) -> None:
    """Check a value against the examples of this name."""
    wrong = misfits(examples(name), value)
    assert [] == wrong[:10], f"{len(wrong)} places of {name} differ"


class Foreign:
    """A client of its own: httpx and what the contract says."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.url, self.http = url, http
        token = http.post(f"{url}/na/auth/o2/token", data=FORM)
        assert_fits("lwa_res", token.json())
        self.headers = {
            "Authorization": f"Bearer {token.json()['access_token']}",
            "Amazon-Ads-ClientId": FORM["client_id"],
        }

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Post JSON, with more headers."""
        given = {"Content-Type": "application/json"} | self.headers | headers
        return self.http.post(self.url + path, content=json.dumps(body), headers=given)

    def accounts(self, region: str = "na") -> Any:
        """Ask for the first page of accounts."""
        path, media = f"/{region}/adsAccounts/list", {"Content-Type": LIST_MEDIA}
        return self.post(path, example("list_req"), **media).json()

    def create(self, fields: list[str] | None = None) -> httpx.Response:
        """Post the example of a create call, for an account that exists and, where given, with other fields."""
        body = example("create_req")
        account_id = self.accounts()["adsAccounts"][0]["adsAccountId"]
        body["accessRequestedAccounts"][0]["advertiserAccountId"] = account_id
        if fields:
            query = body["reports"][0]["query"]
            query["fields"] = fields
            if "adGroup.id" in fields:
                query["filter"]["on"]["values"] = ["SPONSORED_PRODUCTS"]
        return self.post("/na/adsApi/v1/create/reports", body)

    def retrieve(self, created: httpx.Response) -> httpx.Response:
        """Post the example of a retrieve call, for the report that was made."""
        body = example("retrieve_req")
        body["reportIds"] = [created.json()["success"][0]["report"]["reportId"]]
        return self.post("/na/adsApi/v1/retrieve/reports", body)

    def export_headers(self, kind: str) -> dict[str, str]:
        """Return the headers that an export call needs besides."""
        media = f"application/vnd.{kind.lower()}export.v1+json"
        profile = self.accounts()["adsAccounts"][0]["alternateIds"][0]["profileId"]
        return {
            "Content-Type": media,
            "Accept": media,
            "Amazon-Advertising-API-Scope": str(profile),
        }

    def file(self, url: str) -> Any:
        """Download a file, without any header of the API."""
        return json.loads(gzip.decompress(self.http.get(url).content))


@pytest.fixture
def world(start: Callable[..., Any]) -> Any:
    """A sandbox in the time of the examples, with more accounts than fit a page."""
    return start(accounts=400, rows_per_day=120, clock_start=datetime(2025, 12, 30, 8, tzinfo=UTC))


@pytest.fixture
def foreign(world: Any) -> Foreign:
    """A foreign client of it."""
    return Foreign(world.url, world.http)


def test_accounts(foreign: Foreign) -> None:
    """A page of accounts has the example's shape in each of its hundred accounts, and so have profiles."""
    page = foreign.accounts()
    assert 100 == len(page["adsAccounts"])
    assert_fits("list_res", page)
    for region in ("na", "eu", "fe"):
        profiles = foreign.http.get(
            f"{foreign.url}/{region}/v2/profiles", headers=foreign.headers
        ).json()
        assert len(profiles) > 100
        assert_fits("profiles_res", profiles)


def test_report_to_its_end(foreign: Foreign, world: Any) -> None:
    """The example's report is accepted with 207, completes, and create and retrieve answer in the examples' shapes."""
    created = foreign.create()
    world.state.clock.advance(120)
    done = foreign.retrieve(created)
    assert [207, 207] == [created.status_code, done.status_code]
    assert_fits("create_res", created.json())
    assert_fits("retrieve_res_completed", done.json())
    report = done.json()["success"][0]["report"]
    assert report["query"]["fields"] == example("create_req")["reports"][0]["query"]["fields"]
    assert report["periods"] == example("create_req")["reports"][0]["periods"]


def test_requests_as_they_are(foreign: Foreign) -> None:
    """The examples themselves are refused for nothing but their made-up ids: nobody has that account, or made that report."""
    created = foreign.post("/na/adsApi/v1/create/reports", example("create_req"))
    assert (403, "Not authorized for this advertiser account") == (
        created.status_code,
        created.json()["message"],
    )
    retrieved = foreign.post("/na/adsApi/v1/retrieve/reports", example("retrieve_req"))
    assert_fits("error_res", retrieved.json())
    [failed] = retrieved.json()["error"]
    assert ["NOT_FOUND"] == [error["code"] for error in failed["errors"]]


def test_failed_report(foreign: Foreign, world: Any) -> None:
    """A report that failed is answered in the example's shape, and a part of a 207 that failed in its own."""
    world.breaks("report_ends", times=1)
    created = foreign.create()
    world.state.clock.advance(120)
    assert_fits("retrieve_res_failed", foreign.retrieve(created).json())
    world.breaks("refuse", times=1, code="500000", as_207=True)
    assert_fits("error_res", foreign.create().json())


@pytest.mark.parametrize("name", ROWS)
def test_rows(foreign: Foreign, world: Any, name: str) -> None:
    """A report with the fields of an example's rows has rows of that shape, with these fields and no others."""
    created = foreign.create(list(example(name)[0]))
    world.state.clock.advance(120)
    parts = foreign.retrieve(created).json()["success"][0]["report"]["completedReportParts"]
    rows = [row for part in parts for row in foreign.file(part["url"])]
    assert len(rows) > 10
    assert_fits(name, rows)
    assert {frozenset(row) for row in rows} == {frozenset(example(name)[0])}


@pytest.mark.parametrize("body", [example("export_req"), {}])
@pytest.mark.parametrize("kind", KINDS)
def test_exports(foreign: Foreign, world: Any, kind: str, body: Any) -> None:
    """Each kind's export is accepted with 202, completes, and its file has the examples' shape in every entity."""
    headers = foreign.export_headers(kind)
    created = foreign.post(f"/na/{kind}/export", body, **headers)
    assert 202 == created.status_code
    assert_fits("export_res", created.json())
    world.state.clock.advance(60)
    url = f"{foreign.url}/na/exports/{created.json()['exportId']}"
    done = foreign.http.get(url, headers=foreign.headers | headers).json()
    assert_fits("export_status_completed", done)
    entities = foreign.file(done["url"])
    assert entities
    assert_fits(f"file_{kind.lower()}", entities)


def test_failed_export(foreign: Foreign, world: Any) -> None:
    """An export that failed is answered in the example's shape."""
    world.breaks("export_ends", times=1, code="TIMED_OUT")
    headers = foreign.export_headers("ads")
    created = foreign.post("/na/ads/export", example("export_req"), **headers).json()
    world.state.clock.advance(60)
    url = f"{foreign.url}/na/exports/{created['exportId']}"
    failed = foreign.http.get(url, headers=foreign.headers | headers).json()
    assert_fits("export_status_failed", failed)
    assert "TIMED_OUT" == failed["error"]["errorCode"]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"a": 1, "b": [{"c": "x"}]}, []),
        ({"a": 1.5, "b": [], "n": {"any": "thing"}, "z": None}, []),
        ({"b": []}, ["$.a is missing"]),
        ({"a": "1", "b": []}, ["$.a is string, expected ['number']"]),
        ({"a": True, "b": []}, ["$.a is boolean, expected ['number']"]),
        ({"a": None, "b": []}, ["$.a is null, expected ['number']"]),
        ({"a": 1, "b": [], "z": 0}, ["$.z is unknown"]),
        ({"a": 1, "b": [{"c": "x"}, {}]}, ["$.b[].c is missing"]),
        ([], ["$ is array, expected ['object']"]),
    ],
)
def test_shapes_are_told_apart(value: Any, wrong: list[str]) -> None:
    """The comparison finds a missing and an unknown key, another type, and a bad item; null allows anything."""
    assert wrong == misfits([{"a": 7, "b": [{"c": "text"}], "n": None}], value)
