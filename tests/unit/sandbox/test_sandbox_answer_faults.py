"""The faults of single answers and downloads, beyond those of any call."""

import socket
import time
from datetime import date
from typing import Any

import httpx
import pytest

from bidbeacon_sandbox.faults import every_fault


def depths(value: Any) -> list[dict[str, Any]]:
    """Return every object in a JSON value."""
    if isinstance(value, list):
        return [found for item in value for found in depths(item)]
    if not isinstance(value, dict):
        return []
    return [value, *(found for item in value.values() for found in depths(item))]


def test_wrong_region_of_reports(caller: Any) -> None:
    """With wrong_region a report call on the right host is answered as on a wrong one, once; the next is good."""
    caller.fault("wrong_region", times=2)
    refused, retrieved = caller.create(), caller.retrieve("0b6f7c1e")
    assert [(400, "400000")] * 2 == [
        (one.status_code, one.json()["code"]) for one in (refused, retrieved)
    ]
    assert caller.create().status_code == 207


def test_wrong_region_of_exports(caller: Any) -> None:
    """With wrong_region an export call is a 404, as where the profile is of another region."""
    natural = caller.export("ads", "POST", "/ads/export", region="eu")
    caller.fault("wrong_region", times=1)
    struck = caller.export("ads", "POST", "/ads/export")
    assert (404, 404) == (natural.status_code, struck.status_code)
    assert set(natural.json()) == set(struck.json())


def test_wrong_region_spares_lists(caller: Any) -> None:
    """The lists of accounts and profiles are about no account, and wrong_region doesn't strike them."""
    caller.fault("wrong_region")
    assert (
        caller.http.get(f"{caller.url}/na/v2/profiles", headers=caller.headers).status_code == 200
    )


def test_too_old_on_demand(caller: Any) -> None:
    """With too_old any period is refused with the words of one that is too old, and no report is made."""
    natural = caller.create(start=date(2024, 1, 1), end=date(2024, 1, 2))
    caller.fault("too_old", times=1)
    struck = caller.create()
    assert (natural.status_code, natural.json()) == (struck.status_code, struck.json())
    assert caller.state.reports.summary() == []


def test_too_old_by_one_account(caller: Any) -> None:
    """A rule about one account refuses that account's periods only."""
    caller.fault("too_old", account=caller.account().account_id)
    assert [400, 207] == [
        caller.create().status_code,
        caller.create(account=caller.account(1)).status_code,
    ]


def test_partial_failure_of_a_create(caller: Any) -> None:
    """With partial_failure a create is a 207 that holds an error and no report, and none is made."""
    caller.fault("partial_failure", times=1)
    answer = caller.create()
    entry = answer.json()["error"][0]
    assert (207, []) == (answer.status_code, answer.json()["success"])
    assert (0, {"code", "fieldLocation", "message"}) == (entry["index"], set(entry["errors"][0]))
    assert caller.state.reports.summary() == []


def test_partial_failure_of_a_retrieve(caller: Any) -> None:
    """A retrieve can fail inside its 207 with the code and reason that are given."""
    options = {"code": "429000", "reason": "Slow down"}
    caller.fault("partial_failure", operation="retrieve_report", times=1, options=options)
    report_id = caller.create_id()
    error = caller.retrieve(report_id).json()["error"][0]["errors"][0]
    assert ("429000", "Slow down") == (error["code"], error["message"])
    assert caller.report(report_id)["status"] == "PENDING"


def test_unknown_fields_in_answers(caller: Any) -> None:
    """With unknown_field each object of an answer has a field more; the rest is the same, to the last digit of an id."""
    url = f"{caller.url}/na/adsAccounts/list"
    headers = caller.headers | {"Content-Type": "application/vnd.listaccountsresource.v1+json"}
    plain = caller.http.post(url, content="{}", headers=headers)
    caller.fault("unknown_field", times=2)
    answer, created = caller.http.post(url, content="{}", headers=headers), caller.create()
    body, new = answer.json(), {"value": 1}
    by_country = body["adsAccounts"][0]["errors"]
    maps = [account["errors"] for account in body["adsAccounts"]]
    assert all("newField" in one for one in depths(body) if one != new and one not in maps)
    assert {"MX"} == set(by_country) == set(plain.json()["adsAccounts"][0]["errors"])
    assert plain.text == answer.text.replace(',"newField":{"value":1}', "")
    assert 207 == created.status_code
    assert all("newField" in one for one in depths(created.json()) if one != new)


@pytest.mark.parametrize(
    ("options", "announced"), [({}, 0.5), ({"factor": 3}, 3), ({"factor": 1}, None)]
)
def test_wrong_size(caller: Any, options: dict[str, int], announced: float | None) -> None:
    """With wrong_size a part's announced size isn't its true one: a multiple, or a byte more."""
    caller.fault("wrong_size", times=1, options=options)
    report = caller.completed()
    part = report["completedReportParts"][0]
    size = len(caller.http.get(part["url"]).content)
    assert part["sizeInBytes"] == (size + 1 if announced is None else round(size * announced))
    assert size == caller.report(report["reportId"])["completedReportParts"][0]["sizeInBytes"]


def test_wrong_size_of_an_export(caller: Any) -> None:
    """An export's fileSize can be wrong too."""
    caller.fault("wrong_size", operation="get_export", times=1)
    export_id = caller.export("ads", "POST", "/ads/export").json()["exportId"]
    caller.state.clock.advance(60)
    wrong, right = (caller.export("ads", "GET", f"/exports/{export_id}").json() for _ in range(2))
    assert wrong["fileSize"] < right["fileSize"] == len(caller.http.get(right["url"]).content)


def test_trickle(caller: Any) -> None:
    """With trickle a download comes in pieces at the pace that is given, whole in the end."""
    part = caller.completed()["completedReportParts"][0]
    pace = part["sizeInBytes"] * 2
    caller.fault("trickle", times=1, options={"bytes_per_second": pace})
    began = time.monotonic()
    with caller.http.stream("GET", part["url"]) as answer:
        pieces = list(answer.iter_raw())
    assert time.monotonic() - began >= 0.45
    assert len(pieces) > 2
    assert int(answer.headers["content-length"]) == part["sizeInBytes"]
    assert b"".join(pieces) == caller.http.get(part["url"]).content


def test_redirect_to_another_host(caller: Any) -> None:
    """With redirect a download is sent to another host, where nobody listens; the next answers."""
    url = caller.completed()["completedReportParts"][0]["url"]
    caller.fault("redirect", times=1)
    answer = caller.http.get(url)
    there = httpx.URL(answer.headers["location"])
    assert (302, "127.0.0.2") == (answer.status_code, there.host)
    assert (httpx.URL(url).raw_path, httpx.URL(url).port) == (there.raw_path, there.port)
    with socket.socket() as probe:
        assert probe.connect_ex((there.host, there.port or 0)) != 0
    assert caller.http.get(url).status_code == 200


def test_redirect_to_a_given_place(caller: Any) -> None:
    """A redirect can lead wherever the rule says."""
    url = caller.completed()["completedReportParts"][0]["url"]
    caller.fault("redirect", options={"location": "http://localhost:1"})
    assert (
        caller.http.get(url).headers["location"].startswith("http://localhost:1/downloads/reports/")
    )


def test_faults_of_files_strike_exports_too(caller: Any) -> None:
    """A redirect or a trickle concerns the files of exports as well as those of reports."""
    export_id = caller.export("ads", "POST", "/ads/export").json()["exportId"]
    caller.state.clock.advance(60)
    url = caller.export("ads", "GET", f"/exports/{export_id}").json()["url"]
    caller.fault("redirect", times=1)
    caller.fault("trickle", times=1, options={"bytes_per_second": 10**9})
    assert [302, 200] == [caller.http.get(url).status_code for _ in range(2)]
    assert [1, 1] == [rule["struck"] for rule in caller.state.faults.overview()]


def test_every_fault_at_once_is_repeatable(start: Any) -> None:
    """Every fault at a tenth strikes the same calls for the same seed, and others for another."""
    outcomes = []
    for seed in (3, 3, 4):
        caller = start(seed=seed)
        caller.state.faults.add(
            *(rule for rule in every_fault(0.1) if rule.fault not in {"slow", "connection_cut"})
        )
        outcomes.append(
            [caller.create(account=caller.account(n % 3)).status_code for n in range(20)]
        )
    assert outcomes[0] == outcomes[1] != outcomes[2]
