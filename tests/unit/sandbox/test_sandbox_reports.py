"""The life of a report over the wire: what is accepted, refused, and how it comes to its end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bidbeacon_sandbox.config import StateFolderError

TODAY = date(2026, 1, 15)
FEW = ["date.value", "campaign.id", "metric.clicks"]


def status_of(caller: Any, report_id: str) -> str:
    """Ask for a report's status."""
    return str(caller.report(report_id)["status"])


def test_life_of_a_report(caller: Any) -> None:
    """A report is PENDING, then PROCESSING, then COMPLETED with its parts."""
    report_id = caller.create_id()
    seen = [status_of(caller, report_id)]
    for _ in range(12):
        caller.state.clock.advance(10)
        seen.append(status_of(caller, report_id))
    assert list(dict.fromkeys(seen)) == ["PENDING", "PROCESSING", "COMPLETED"]
    report = caller.report(report_id)
    assert report["completedDateTime"] > report["creationDateTime"]
    assert len(report["completedReportParts"]) == 1


def test_answer_repeats_the_request(caller: Any) -> None:
    """The answer of create is a 207 that repeats account, period and fields."""
    answer = caller.create(fields=FEW)
    body = answer.json()
    report = body["success"][0]["report"]
    assert (207, None, 0) == (answer.status_code, body["error"], body["success"][0]["index"])
    assert report["periods"] == [
        {"datePeriod": {"startDate": "2026-01-10", "endDate": "2026-01-10"}}
    ]
    assert report["query"]["fields"] == FEW
    assert report["linkedAccounts"] == [{"advertiserAccountId": caller.account().account_id}]


def test_third_report_in_flight(caller: Any) -> None:
    """A third report of an account is a 429 until one of the two is complete; other accounts are free."""
    caller.create_id()
    caller.create_id(fields=FEW)
    third = caller.create()
    assert (429, {"message": "Too Many Requests"}) == (third.status_code, third.json())
    assert caller.create(account=caller.account(1)).status_code == 207
    caller.state.clock.advance(120)
    assert caller.create().status_code == 207


def two_reports(body: dict[str, Any]) -> None:
    """Ask for two reports."""
    body["reports"] *= 2


def two_periods(body: dict[str, Any]) -> None:
    """Ask for two periods."""
    body["reports"][0]["periods"] *= 2


def two_accounts(body: dict[str, Any]) -> None:
    """Ask for two accounts."""
    body["accessRequestedAccounts"] *= 2


def other_format(body: dict[str, Any]) -> None:
    """Ask for a format that isn't served."""
    body["reports"][0]["format"] = "XLSX"


def no_fields(body: dict[str, Any]) -> None:
    """Ask for nothing."""
    body["reports"][0]["query"]["fields"] = []


def no_date(body: dict[str, Any]) -> None:
    """Ask for a month that doesn't exist."""
    body["reports"][0]["periods"][0]["datePeriod"]["endDate"] = "2026-13-01"


@pytest.mark.parametrize(
    "spoil", [two_reports, two_periods, two_accounts, other_format, no_fields, no_date]
)
def test_exactly_one_of_each(caller: Any, spoil: Callable[[dict[str, Any]], None]) -> None:
    """Anything but one account, one report, one period of dates, a known format and some fields is 400000."""
    body = {
        "accessRequestedAccounts": [{"advertiserAccountId": caller.account().account_id}],
        "reports": [
            {
                "format": "GZIP_JSON",
                "periods": [{"datePeriod": {"startDate": "2026-01-10", "endDate": "2026-01-10"}}],
                "query": {"fields": FEW},
            }
        ],
    }
    assert caller.create(body=body).status_code == 207
    spoil(body)
    answer = caller.create(body=body)
    assert (400, "400000") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (["date.value", "campaign.id", "metric.nonsense"], "400005"),
        (["date.value", "campaign.name", "metric.clicks"], "400006"),
        (["date.value", "metric.sales"], "400006"),
        (["date.value", "metric.totalCost"], "400006"),
        (["campaign.id", "metric.clicks"], "400000"),
        (["date.value", "hour.value", "searchTerm.value", "metric.clicks"], "400004"),
        (["date.value", "campaign.id"], "400000"),
        (["date.value", "date.value", "metric.clicks"], "400000"),
    ],
)
def test_field_rules(caller: Any, fields: list[str], code: str) -> None:
    """Unknown fields, missing companions, fields that exclude each other and metricless queries have their codes."""
    answer = caller.create(fields=fields)
    assert (400, code) == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("hour", "first", "last", "accepted"),
    [
        ([], date(2025, 9, 18), date(2026, 1, 15), True),
        ([], date(2025, 9, 17), date(2026, 1, 15), False),
        ([], date(2024, 1, 15), date(2024, 1, 20), True),
        ([], date(2024, 1, 14), date(2024, 1, 20), False),
        ([], date(2026, 1, 11), date(2026, 1, 10), False),
        (["hour.value"], date(2026, 1, 1), date(2026, 1, 14), True),
        (["hour.value"], date(2026, 1, 1), date(2026, 1, 15), False),
        (["hour.value"], date(2025, 12, 31), date(2025, 12, 31), False),
    ],
)
def test_period_rules(
    caller: Any,
    hour: list[str],
    first: date,
    last: date,
    accepted: bool,  # noqa: FBT001 - a column
) -> None:
    """A daily report spans 120 days of the last 24 months, an hourly one 14 of the last 14 days, no day more."""
    answer = caller.create(fields=[*FEW, *hour], start=first, end=last)
    assert (207 if accepted else 400) == answer.status_code
    assert accepted or answer.json()["code"] == "400000"


def test_too_old_says_so(caller: Any) -> None:
    """The refusal of an old period names the first day that is served and where the mistake is."""
    body = caller.create(fields=FEW, start=date(2023, 1, 1), end=date(2023, 1, 2)).json()
    assert "too old" in body["message"]
    assert "2024-01-15" in body["message"]
    assert body["fieldLocation"].endswith("startDate")


def test_refusals_as_multi_status(start: Callable[..., Any]) -> None:
    """Where it is set so, a refused report is a 207 whose reason is in `error`."""
    answer = start(refusals="multi_status").create(fields=["date.value", "metric.nonsense"])
    body = answer.json()
    assert (207, []) == (answer.status_code, body["success"])
    assert body["error"][0]["errors"][0]["code"] == "400005"


def test_wrong_region(caller: Any) -> None:
    """An account's report on another region's host is a 400, and its id is not found there."""
    assert caller.create(region="eu").status_code == 400
    report_id = caller.create_id()
    assert caller.retrieve(report_id, "eu").json()["error"][0]["errors"][0]["code"] == "404000"


def test_unknown_and_disabled_accounts(caller: Any) -> None:
    """A report of an account that isn't ours, or that is disabled, is a 403."""
    unknown = replace(caller.account(), account_id="amzn1.ads-account.g.nobody")
    assert [403, 403] == [
        caller.create(account=account).status_code for account in (unknown, caller.account(3))
    ]


def test_no_scope_header(caller: Any) -> None:
    """A v1 report call that carries a scope header is a 400."""
    assert caller.create(headers={"Amazon-Advertising-API-Scope": "1"}).status_code == 400


def test_report_calls_are_json(caller: Any) -> None:
    """A v1 report call of another content type is a 415, and a body that isn't JSON is 400000."""
    url, headers = f"{caller.url}/na/adsApi/v1/create/reports", caller.headers
    text = caller.http.post(url, content="{}", headers=headers | {"Content-Type": "text/plain"})
    broken = caller.http.post(
        url, content="{", headers=headers | {"Content-Type": "application/json"}
    )
    assert [415, 400] == [text.status_code, broken.status_code]


def test_retrieve_takes_one_id(caller: Any) -> None:
    """Retrieving two reports at once is 400000; an unknown id is a 207 with the error 404000."""
    report_id = caller.create_id()
    both = caller.http.post(
        f"{caller.url}/na/adsApi/v1/retrieve/reports",
        json={"reportIds": [report_id, report_id]},
        headers=caller.headers,
    )
    assert (400, "400000") == (both.status_code, both.json()["code"])
    unknown = caller.retrieve("0b6f7c1e")
    assert (207, []) == (unknown.status_code, unknown.json()["success"])
    assert unknown.json()["error"][0]["errors"][0]["code"] == "404000"


def test_polling_too_fast(start: Callable[..., Any]) -> None:
    """With a shortest time between polls, a poll that comes sooner is a 429 and doesn't count."""
    caller = start(poll_min_seconds=60)
    report_id = caller.create_id()
    statuses = []
    for seconds in (0, 30, 31, 10):
        caller.state.clock.advance(seconds)
        statuses.append(caller.retrieve(report_id).status_code)
    assert statuses == [207, 429, 207, 429]


def test_duplicate_of_a_running_report(caller: Any) -> None:
    """With duplicate_refused the same report again is a 425 that names the running one; another one is not."""
    caller.fault("duplicate_refused")
    report_id = caller.create_id()
    again = caller.create()
    assert (425, f"The Request is a duplicate of : {report_id}") == (
        again.status_code,
        again.json()["detail"],
    )
    assert caller.create(fields=FEW).status_code == 207


def test_restart_forgets_reports(start: Callable[..., Any]) -> None:
    """Another sandbox of the same seed doesn't know the first one's reports."""
    report_id = start().create_id()
    assert "error" in start().retrieve(report_id).json()


def test_state_dir_keeps_reports(start: Callable[..., Any], tmp_path: Path) -> None:
    """With a state folder a restarted sandbox completes the report that it was asked for before."""
    report_id = start(state_dir=tmp_path).create_id()
    second = start(state_dir=tmp_path)
    second.state.clock.advance(120)
    assert second.rows_of(second.report(report_id)) == start().rows()


def test_a_state_dir_with_something_else_in_it_is_refused(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    """What to remove is named; nothing is overwritten."""
    (tmp_path / "reports.jsonl").write_bytes(b"\xff")
    with pytest.raises(
        StateFolderError, match=r"reports.jsonl holds something else than reports: remove it"
    ):
        start(state_dir=tmp_path)


def test_parts(start: Callable[..., Any]) -> None:
    """A report larger than a part has several, which together are what one part would be."""
    one, many = start().completed(), start(part_rows=10).completed()
    caller = start()
    parts = many["completedReportParts"]
    rows = caller.rows_of(many)
    assert len(parts) > 2
    assert all(len(caller.http.get(part["url"]).content) == part["sizeInBytes"] for part in parts)
    assert rows == caller.rows_of(one)


def test_empty_report_is_22_bytes(caller: Any) -> None:
    """A report of days that are still to come is the 22 bytes of an empty array."""
    report = caller.completed(start=date(2026, 2, 1), end=date(2026, 2, 2))
    assert [22] == [part["sizeInBytes"] for part in report["completedReportParts"]]
    assert caller.rows_of(report) == []


def test_urls_expire_and_are_signed_anew(start: Callable[..., Any]) -> None:
    """A download after the url's expiry is a 403 with XML; another retrieve gives a url that works."""
    caller = start(url_seconds=120)
    report = caller.completed()
    part = report["completedReportParts"][0]
    assert part["urlExpirationDateTime"] == "2026-01-15T12:04:00Z"
    caller.state.clock.advance(121)
    late = caller.http.get(part["url"])
    assert (403, "application/xml") == (
        late.status_code,
        late.headers["content-type"].partition(";")[0],
    )
    assert "<Code>AccessDenied</Code>" in late.text
    assert caller.rows_of(caller.report(report["reportId"]))


def test_download_rules(caller: Any) -> None:
    """A download takes no Authorization header and no url that wasn't signed."""
    url = caller.completed()["completedReportParts"][0]["url"]
    with_token = caller.http.get(url, headers=caller.headers)
    forged = caller.http.get(url.replace("0.json.gz", "1.json.gz"))
    assert [(400, True), (403, True)] == [
        (answer.status_code, answer.text.startswith("<?xml")) for answer in (with_token, forged)
    ]


def test_dropped_files_are_made_again(start: Callable[..., Any]) -> None:
    """Files dropped for want of room come again, the same to the byte."""
    caller = start(cache_bytes=0)
    url = caller.completed()["completedReportParts"][0]["url"]
    before = caller.http.get(url).content
    caller.completed(fields=FEW)
    assert before == caller.http.get(url).content
