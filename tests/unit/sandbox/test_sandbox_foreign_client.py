"""Each of the contract's requests is posted, and each answer has the shape of the contract's.

`contract_examples/` are the contract's own bodies, one a call, as they are. `more_examples/` show
what it tells of in words alone: calls without an example, accounts without errors, the entities of
Sponsored Brands and Display.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator

from tests.unit.sandbox.conftest import read_rows

CONTRACT = Path(__file__).parent / "contract_examples"
MORE = Path(__file__).parent / "more_examples"
LIST_MEDIA = "application/vnd.listaccountsresource.v1+json"
KINDS = ["campaigns", "adGroups", "ads", "targets"]
ROWS = sorted(path.stem for folder in (CONTRACT, MORE) for path in folder.glob("row_*.json"))
TYPES = {bool: "boolean", int: "number", float: "number", str: "string"}
TYPES |= {list: "array", dict: "object", type(None): "null"}
OTHER_FORMS = {"campaign.id": "1", "adGroup.id": "1", "ad.id": "1", "hour.value": 9}
"""Ids are numbers or text, hours too; the examples of rows show one form each."""


def examples(name: str) -> list[Any]:
    """Read the contract's example of this name and what may come besides, as far as there are such."""
    paths = (folder / f"{name}.json" for folder in (CONTRACT, MORE))
    found = [json.loads(path.read_text()) for path in paths if path.exists()]
    if name in ROWS:
        return found + [list(map(in_other_form, rows)) for rows in found]
    if name.startswith("retrieve_res"):
        with_filter = example(name)
        [create] = example("create_req")["reports"]
        with_filter["success"][0]["report"]["query"] = create["query"]
        found.append(with_filter)
    return found


def example(name: str) -> Any:
    """Read an example, the contract's where it has one."""
    paths = (folder / f"{name}.json" for folder in (CONTRACT, MORE))
    return json.loads(next(path for path in paths if path.exists()).read_text())


def in_other_form(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it may come too: ids as text, hours as numbers, no value for any metric."""
    return {
        key: None if key.startswith("metric.") else OTHER_FORMS.get(key, row[key]) for key in row
    }


def schema_of(shown: list[Any]) -> dict[str, Any]:
    """Return the JSON schema of what examples show at one place; null alone allows anything.

    A key may be missing where an example lacks it or has null; a key that none has must be null.
    """
    if all(one is None for one in shown):
        return {}
    objects = [one for one in shown if isinstance(one, dict)]
    items = [item for one in shown if isinstance(one, list) for item in one]
    keys = {key for one in objects for key in one}
    return {
        "type": sorted({TYPES[type(one)] for one in shown}),
        "properties": {key: schema_of([one[key] for one in objects if key in one]) for key in keys},
        "required": [key for key in keys if all(one.get(key) is not None for one in objects)],
        "additionalProperties": {"type": "null"},
        "items": schema_of(items),
    }


def assert_fits(name: str, value: Any) -> None:
    """Check a value against the examples of this name."""
    wrong = [*OAS31Validator(schema_of(examples(name))).iter_errors(value)]
    assert [] == [f"{one.json_path}: {one.message}" for one in wrong[:10]], name


@pytest.fixture
def foreign(start: Callable[..., Any]) -> Any:
    """A caller of a sandbox in the time of the examples, with more accounts than fit a page."""
    return start(accounts=400, rows_per_day=120, clock_start=datetime(2025, 12, 30, 8, tzinfo=UTC))


def create(foreign: Any, fields: list[str] | None = None) -> httpx.Response:
    """Post the example of a create call, for an account that exists and, where given, with other fields."""
    body = example("create_req")
    body["accessRequestedAccounts"][0]["advertiserAccountId"] = foreign.account().account_id
    if fields:
        query = body["reports"][0]["query"]
        query["fields"] = fields
        if "adGroup.id" in fields:
            query["filter"]["on"]["values"] = ["SPONSORED_PRODUCTS"]
    answer: httpx.Response = foreign.create(body=body)
    return answer


def retrieve(foreign: Any, created: httpx.Response) -> httpx.Response:
    """Let two minutes pass, and post the example of a retrieve call for the report that was made."""
    foreign.state.clock.advance(120)
    body = example("retrieve_req")
    body["reportIds"] = [created.json()["success"][0]["report"]["reportId"]]
    answer: httpx.Response = foreign.post("/na/adsApi/v1/retrieve/reports", body)
    return answer


def test_accounts(foreign: Any) -> None:
    """A page of accounts has the example's shape in each of its hundred accounts, and so have profiles."""
    assert_fits("lwa_res", foreign.ask_token().json())
    media = {"Content-Type": LIST_MEDIA}
    page = foreign.post("/na/adsAccounts/list", example("list_req"), **media).json()
    assert 100 == len(page["adsAccounts"])
    assert_fits("list_res", page)
    headers = {"Authorization": f"Bearer {foreign.token}", "Amazon-Ads-ClientId": foreign.client}
    for region in ("na", "eu", "fe"):
        profiles = foreign.http.get(f"{foreign.url}/{region}/v2/profiles", headers=headers).json()
        assert len(profiles) > 100
        assert_fits("profiles_res", profiles)


def test_report_to_its_end(foreign: Any) -> None:
    """The example's report is accepted with 207, completes, and create and retrieve answer in the examples' shapes."""
    created = create(foreign)
    done = retrieve(foreign, created)
    assert [207, 207] == [created.status_code, done.status_code]
    assert_fits("create_res", created.json())
    assert_fits("retrieve_res_completed", done.json())
    report = done.json()["success"][0]["report"]
    assert report["query"]["fields"] == example("create_req")["reports"][0]["query"]["fields"]
    assert report["periods"] == example("create_req")["reports"][0]["periods"]


def test_requests_as_they_are(foreign: Any) -> None:
    """The examples themselves are refused for nothing but their made-up ids: nobody has that account, or made that report."""
    created = foreign.create(body=example("create_req"))
    assert 403 == created.status_code
    assert "Not authorized for this advertiser account" == created.json()["message"]
    retrieved = foreign.post("/na/adsApi/v1/retrieve/reports", example("retrieve_req"))
    assert_fits("error_res", retrieved.json())
    [failed] = retrieved.json()["error"]
    assert ["NOT_FOUND"] == [error["code"] for error in failed["errors"]]


def test_failed_report(foreign: Any) -> None:
    """A report that failed is answered in the example's shape, and a part of a 207 that failed in its own."""
    foreign.breaks("report_ends", times=1)
    assert_fits("retrieve_res_failed", retrieve(foreign, create(foreign)).json())
    foreign.breaks("refuse", times=1, code="500000", as_207=True)
    assert_fits("error_res", create(foreign).json())


@pytest.mark.parametrize("name", ROWS)
def test_rows(foreign: Any, name: str) -> None:
    """A report with the fields of an example's rows has rows of that shape, with these fields and no others."""
    created = create(foreign, list(example(name)[0]))
    rows = foreign.rows_of(retrieve(foreign, created).json()["success"][0]["report"])
    assert len(rows) > 10
    assert_fits(name, rows)
    assert {frozenset(row) for row in rows} == {frozenset(example(name)[0])}


@pytest.mark.parametrize("body", [example("export_req"), {}])
@pytest.mark.parametrize("kind", KINDS)
def test_exports(foreign: Any, kind: str, body: Any) -> None:
    """Each kind's export is accepted with 202, completes, and its file has the examples' shape in every entity."""
    created = foreign.export(kind, "POST", f"/{kind}/export", body=body)
    assert 202 == created.status_code
    assert_fits("export_res", created.json())
    foreign.state.clock.advance(60)
    done = foreign.export(kind, "GET", f"/exports/{created.json()['exportId']}").json()
    assert_fits("export_status_completed", done)
    entities = read_rows(foreign.http.get(done["url"]).content)
    assert entities
    assert_fits(f"file_{kind.lower()}", entities)


def test_failed_export(foreign: Any) -> None:
    """An export that failed is answered in the example's shape."""
    foreign.breaks("export_ends", times=1, code="TIMED_OUT")
    created = foreign.export("ads", "POST", "/ads/export", body=example("export_req")).json()
    foreign.state.clock.advance(60)
    failed = foreign.export("ads", "GET", f"/exports/{created['exportId']}").json()
    assert_fits("export_status_failed", failed)
    assert "TIMED_OUT" == failed["error"]["errorCode"]
