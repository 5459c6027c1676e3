"""Each fault over the wire, and when rules strike."""

import gzip
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.faults import FAULTS, BadRow, options_of


def profiles(caller: Any, region: str = "na") -> httpx.Response:
    """Make a call that any sandbox answers."""
    answer: httpx.Response = caller.http.get(
        f"{caller.url}/{region}/v2/profiles", headers=caller.headers
    )
    return answer


def test_throttle_with_seconds(caller: Any) -> None:
    """A throttled call is a 429 with Retry-After in seconds, as often as the rule says."""
    caller.fault("throttle", times=2, options={"seconds": 7})
    answers = [profiles(caller) for _ in range(3)]
    assert [429, 429, 200] == [answer.status_code for answer in answers]
    assert answers[0].headers["retry-after"] == "7"


def test_throttle_with_a_date_and_without(caller: Any) -> None:
    """Retry-After may be an HTTP date of real time, or not be there at all."""
    caller.fault("throttle", times=1, options={"retry_after": "http-date", "seconds": 30})
    caller.fault("throttle", options={"retry_after": "none"})
    dated, bare = profiles(caller), profiles(caller)
    wait = parsedate_to_datetime(dated.headers["retry-after"]) - datetime.now(UTC)
    assert timedelta(seconds=20) < wait <= timedelta(seconds=31)
    assert (429, False) == (bare.status_code, "retry-after" in bare.headers)


def test_throttle_spares_tokens_and_downloads(caller: Any) -> None:
    """A throttle rule without an operation strikes neither the token endpoint nor the file store."""
    report = caller.completed()
    caller.fault("throttle")
    assert caller.ask_token().status_code == 200
    assert caller.rows_of(report)


def test_throttled_but_accepted(caller: Any) -> None:
    """With throttle_accepted the create is a 429, and the report is there all the same."""
    caller.fault("throttle_accepted", times=1)
    assert caller.create().status_code == 429
    account = caller.account()
    assert len(caller.state.reports.in_flight(account, caller.state.clock.now())) == 1


def test_failed_report(caller: Any) -> None:
    """With report_failed a report ends FAILED with its code and reason, and frees its place."""
    caller.fault("report_failed", times=1, options={"code": "TIMEOUT", "reason": "Took too long"})
    report = caller.completed()
    assert ("FAILED", "TIMEOUT", "Took too long") == (
        report["status"],
        report["failureCode"],
        report["failureReason"],
    )
    assert "completedReportParts" not in report
    assert caller.completed()["status"] == "COMPLETED"


def test_pending_for_a_while_and_for_ever(caller: Any) -> None:
    """With report_pending a report stays PENDING for the seconds given, or for ever."""
    caller.fault("report_pending", times=1, options={"seconds": 7200})
    caller.fault("report_pending")
    for_hours, for_ever = caller.create_id(), caller.create_id()
    caller.state.clock.advance(7100)
    assert caller.report(for_hours)["status"] == "PENDING"
    caller.state.clock.advance(10**6)
    assert ["COMPLETED", "PENDING"] == [
        caller.report(number)["status"] for number in (for_hours, for_ever)
    ]


def test_empty_where_rows_were(caller: Any) -> None:
    """With empty_report a report of a day that has rows is an empty array."""
    caller.fault("empty_report", times=1)
    report = caller.completed()
    assert [22] == [part["sizeInBytes"] for part in report["completedReportParts"]]
    assert caller.rows()


def test_vanished_rows(start: Callable[..., Any]) -> None:
    """With vanish_rows the share that is given is missing from a report."""
    caller = start(rows_per_day=400)
    caller.fault("vanish_rows", times=1, options={"share": 0.9})
    few, all_rows = caller.rows(), caller.rows()
    assert 0.05 < len(few) / len(all_rows) < 0.15
    assert all(row in all_rows for row in few)


def test_unknown_targets(caller: Any) -> None:
    """With unknown_target a share of rows names targets that nobody has; their numbers are the same."""
    caller.fault("unknown_target", times=1, options={"share": 0.5})
    spoiled, good = caller.rows(), caller.rows()
    assert any(row["target.value"].startswith("unknown ") for row in spoiled)
    assert [row["metric.sales"] for row in spoiled] == [row["metric.sales"] for row in good]


def is_missing_a_field(row: dict[str, Any], good: dict[str, Any]) -> bool:
    """A field of the good row is gone."""
    return set(row) < set(good)


def has_another_type(row: dict[str, Any], good: dict[str, Any]) -> bool:
    """A metric is no number."""
    return any(
        isinstance(row[key], str | list | dict | bool) for key in good if key.startswith("metric.")
    )


def has_an_unknown_key(row: dict[str, Any], good: dict[str, Any]) -> bool:
    """There is a key more."""
    return set(row) > set(good)


def has_no_such_date(row: dict[str, Any], good: dict[str, Any]) -> bool:
    """The date is another."""
    return str(row["date.value"]) != str(good["date.value"])


def has_no_such_hour(row: dict[str, Any], good: dict[str, Any]) -> bool:
    """The hour is none."""
    return row["hour.value"] in {24, "-1", "noon", "2025-12-29T25:00:00"}


def has_a_negative_metric(row: dict[str, Any], good: dict[str, Any]) -> bool:
    """A metric is below zero."""
    return any((row[key] or 0) < 0 for key in good if key.startswith("metric."))


@pytest.mark.parametrize(
    ("kind", "is_bad"),
    [
        ("missing_field", is_missing_a_field),
        ("wrong_type", has_another_type),
        ("unknown_key", has_an_unknown_key),
        ("impossible_date", has_no_such_date),
        ("impossible_hour", has_no_such_hour),
        ("negative_metric", has_a_negative_metric),
    ],
)
def test_bad_rows(
    caller: Any, kind: str, is_bad: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> None:
    """Each kind of bad row is bad in its own way, and the other rows are untouched."""
    caller.fault("bad_rows", times=1, options={"share": 0.3, "kinds": [kind]})
    fields = [
        "date.value",
        "hour.value",
        "campaign.id",
        "ad.id",
        "target.value",
        "target.matchType",
        "metric.clicks",
    ]
    spoiled, good = caller.rows(fields=fields), caller.rows(fields=fields)
    changed = [(bad, was) for bad, was in zip(spoiled, good, strict=True) if bad != was]
    assert 0.15 < len(changed) / len(good) < 0.45
    assert all(is_bad(bad, was) for bad, was in changed)


def test_duplicate_keys_add_up(caller: Any) -> None:
    """A duplicated row comes as two rows of one key that add up to it."""
    caller.fault("bad_rows", times=1, options={"share": 0.3, "kinds": ["duplicate_key"]})
    spoiled, good = caller.rows(), caller.rows()
    assert len(spoiled) > len(good)
    for metric in ("metric.clicks", "metric.sales", "metric.totalCost"):
        assert sum(Decimal(row[metric] or 0) for row in spoiled) == sum(
            Decimal(row[metric] or 0) for row in good
        )


def test_default_bad_rows(start: Callable[..., Any]) -> None:
    """Without options about one row of a hundred is bad, and which ones is the same for the same report."""
    sandboxes = [start(rows_per_day=600) for _ in range(2)]
    for caller in sandboxes:
        caller.fault("bad_rows")
    one, other = (caller.rows() for caller in sandboxes)
    good = start(rows_per_day=600).rows()
    assert one == other
    assert 0.003 < sum(row not in good for row in one) / len(good) < 0.03


def test_expired_url_once(caller: Any) -> None:
    """With expired_url a retrieve gives a url that is a 403; the next retrieve cures it."""
    caller.fault("expired_url", times=1)
    report = caller.completed()
    url = report["completedReportParts"][0]["url"]
    assert caller.http.get(url).status_code == 403
    assert caller.rows_of(caller.report(report["reportId"]))


def test_no_resign(start: Callable[..., Any]) -> None:
    """With no_resign a retrieve gives the url that was given first, dead or not."""
    caller = start(url_seconds=60)
    caller.fault("no_resign")
    report = caller.completed()
    caller.state.clock.advance(61)
    again = caller.report(report["reportId"])
    assert again["completedReportParts"] == report["completedReportParts"]
    assert caller.http.get(again["completedReportParts"][0]["url"]).status_code == 403


def test_truncated_gzip_once(caller: Any) -> None:
    """With truncated_gzip a download is whole as HTTP but half a file; the next one is good."""
    caller.fault("truncated_gzip", times=1)
    part = caller.completed()["completedReportParts"][0]
    half, whole = (caller.http.get(part["url"]) for _ in range(2))
    assert (200, part["sizeInBytes"] // 2) == (half.status_code, len(half.content))
    with pytest.raises(EOFError):
        gzip.decompress(half.content)
    assert json.loads(gzip.decompress(whole.content))


@pytest.mark.parametrize(("options", "missing"), [({}, -1), ({"part": 1}, 1)])
def test_missing_part(start: Callable[..., Any], options: dict[str, int], missing: int) -> None:
    """With part_missing one part, the last or that of the rule, is a 404 with XML; the others are there."""
    caller = start(part_rows=20)
    caller.fault("part_missing", options=options)
    answers = [caller.http.get(part["url"]) for part in caller.completed()["completedReportParts"]]
    expected = [200] * len(answers)
    expected[missing] = 404
    assert len(answers) > 2
    assert expected == [answer.status_code for answer in answers]
    assert "NoSuchKey" in answers[missing].text


def test_server_errors(caller: Any) -> None:
    """With server_error a call is a 500, 502 or 503, or the status that is given."""
    caller.fault("server_error", times=6)
    caller.fault("server_error", options={"status": 504})
    statuses = [profiles(caller).status_code for _ in range(7)]
    assert set(statuses[:6]) == {500, 502, 503}
    assert statuses[6] == 504


def test_html_bodies(caller: Any) -> None:
    """With html_body a call answers HTML, with any status that is given."""
    caller.fault("html_body", times=1)
    caller.fault("html_body", options={"status": 200})
    first, second = profiles(caller), profiles(caller)
    assert [503, 200] == [first.status_code, second.status_code]
    assert "text/html" in first.headers["content-type"]
    assert second.text.startswith("<html>")


def test_profile_without_rights(caller: Any) -> None:
    """With forbidden a call about the rule's account is a 403, and other accounts' calls are not."""
    caller.fault("forbidden", account=caller.account().account_id.rpartition(".")[2])
    assert [403, 207] == [
        caller.create().status_code,
        caller.create(account=caller.account(1)).status_code,
    ]


@pytest.mark.parametrize("operation", ["list_profiles", "download"])
def test_connection_cut(caller: Any, operation: str) -> None:
    """With connection_cut the connection is closed in the middle of the body; the next call is answered."""
    caller.fault("connection_cut", operation=operation, times=1)
    url = f"{caller.url}/na/v2/profiles"
    if operation == "download":
        url = caller.completed()["completedReportParts"][0]["url"]
    headers = {} if operation == "download" else caller.headers
    with pytest.raises(httpx.RemoteProtocolError):
        caller.http.get(url, headers=headers)
    assert caller.http.get(url, headers=headers).status_code == 200


def test_slow_answers(caller: Any) -> None:
    """With slow an answer takes at least the seconds that are given."""
    caller.fault("slow", times=1, options={"seconds": 0.3})
    began = time.monotonic()
    assert profiles(caller).status_code == 200
    assert time.monotonic() - began >= 0.3


def test_rules_of_a_country(caller: Any) -> None:
    """A rule about a country strikes its exports and the reports of accounts that are there, and no others."""
    caller.fault("throttle", country="CA")
    profiles_of = {
        country.country: str(country.profile_id) for country in caller.account().countries
    }
    path = "/ads/export"
    assert [202, 429] == [
        caller.export("ads", "POST", path, profile=profiles_of[code]).status_code
        for code in ("US", "CA")
    ]
    assert [429, 207] == [
        caller.create().status_code,
        caller.create(account=caller.account(1)).status_code,
    ]


def test_probability_is_deterministic(start: Callable[..., Any]) -> None:
    """A rule with a probability strikes some calls, the same ones for the same seed."""
    outcomes = []
    for seed in (1, 1, 2):
        caller = start(seed=seed)
        caller.fault("throttle", probability=0.5)
        outcomes.append([profiles(caller).status_code for _ in range(24)])
    assert outcomes[0] == outcomes[1] != outcomes[2]
    assert 4 < outcomes[0].count(429) < 20


def test_one_fault_ends_a_call(caller: Any) -> None:
    """Where two rules could end a call, the first does, and the other waits for the next call."""
    caller.fault("throttle", times=1)
    caller.fault("unauthorized", times=1)
    assert [429, 401, 200] == [profiles(caller).status_code for _ in range(3)]


def test_a_cut_create_is_accepted(caller: Any) -> None:
    """A create whose answer is cut off has made its report all the same."""
    caller.fault("connection_cut", operation="create_report", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        caller.create()
    assert len(caller.state.reports.in_flight(caller.account(), caller.state.clock.now())) == 1


def test_faults_file(start: Callable[..., Any], tmp_path: Path) -> None:
    """A sandbox starts with the rules of its faults file in force."""
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"fault": "throttle", "operation": "list_profiles"}]))
    assert profiles(start(faults_file=file)).status_code == 429


def test_faults_at_run_time(caller: Any) -> None:
    """Rules are added, counted and removed over HTTP while the sandbox runs."""
    url = f"{caller.url}/sandbox/faults"
    added = caller.http.post(url, json={"fault": "throttle", "times": 1})
    assert (201, 1) == (added.status_code, len(added.json()["faults"]))
    assert (
        caller.http.post(url, json=[{"fault": "slow"}, {"fault": "no_resign"}]).status_code == 201
    )
    assert profiles(caller).status_code == 429
    rules = caller.http.get(url).json()["faults"]
    assert [("throttle", 1), ("slow", 1), ("no_resign", 0)] == [
        (rule["fault"], rule["struck"]) for rule in rules
    ]
    assert caller.http.delete(url).status_code == 204
    assert profiles(caller).status_code == 200


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "earthquake"},
        {"fault": "slow", "account": "nobody"},
        {"fault": "slow", "options": {"hours": 1}},
        {"fault": "slow", "probability": 2},
        7,
    ],
)
def test_bad_rules(caller: Any, rule: Any) -> None:
    """A rule that isn't one is a 400 that says what is wrong, and changes nothing."""
    answer = caller.http.post(f"{caller.url}/sandbox/faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert caller.http.get(f"{caller.url}/sandbox/faults").json() == {"faults": []}


@pytest.mark.parametrize("is_list", [False, True])
def test_a_misspelt_fault_is_answered_with_the_nearest_one(caller: Any, *, is_list: bool) -> None:
    """In one sentence, whether or not it comes in a list."""
    rule = {"fault": "throtle"}
    answer = caller.http.post(f"{caller.url}/sandbox/faults", json=[rule] if is_list else rule)
    assert ["There is no fault 'throtle'. The nearest is throttle."] == answer.json()["errors"]


def test_an_unknown_account_is_answered_with_the_nearest_one(caller: Any) -> None:
    """An account's name is none of its ids, but finds them."""
    account = caller.account()
    rule = {"fault": "slow", "account": account.name.upper()}
    [told] = caller.http.post(f"{caller.url}/sandbox/faults", json=rule).json()["errors"]
    assert told.endswith(f"The nearest is {account.account_id} ({account.name}).")


def options_in(cell: str) -> list[str]:
    """Return the options that a cell of the table names, leaving out the values in brackets."""
    return re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", cell))


def test_docs_list_every_fault_and_setting() -> None:
    """The sandbox's page lists exactly the faults there are with their options, every kind of bad row, every setting."""
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
    table = page.partition("| fault |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| `")]
    told = {name.split("`")[1]: options_in(options) for name, _, options in rows}
    assert set(FAULTS) == set(told)
    assert told == {fault: list(options_of(fault)) for fault in FAULTS}
    assert all(f"`{word}`" in page for word in (*get_args(BadRow), *SandboxConfig.model_fields))
