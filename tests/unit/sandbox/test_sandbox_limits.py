"""How many calls a second, and how many reports at once: the limits, and what the ledger says of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_sandbox.faults import Operation
from bidbeacon_sandbox.state import Rates

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def profiles(caller: Any, region: str = "na") -> int:
    """Make a call of the class `other`, and return its status."""
    return int(
        caller.http.get(f"{caller.url}/{region}/v2/profiles", headers=caller.headers).status_code
    )


def test_calls_per_second(start: Callable[..., Any]) -> None:
    """More calls of a class in a second than the limit are a 429 with Retry-After; a second later there is room."""
    caller = start(calls_per_second=3)
    assert [200, 200, 200, 429, 429] == [profiles(caller) for _ in range(5)]
    caller.state.clock.advance(0.9)
    refused = caller.http.get(f"{caller.url}/na/v2/profiles", headers=caller.headers)
    assert (429, "1") == (refused.status_code, refused.headers["retry-after"])
    caller.state.clock.advance(0.1)
    assert [200, 200, 200, 429] == [profiles(caller) for _ in range(4)]


def test_no_limit_unless_set(caller: Any) -> None:
    """Without a limit any number of calls is let in during a second."""
    assert {200} == {profiles(caller) for _ in range(40)}


def test_each_region_and_class_has_its_own_limit(start: Callable[..., Any]) -> None:
    """Calls of another region or another class have their own room."""
    caller = start(calls_per_second=1)
    assert [200, 429, 200] == [profiles(caller), profiles(caller), profiles(caller, "eu")]
    report_id = caller.create_id()
    assert 207 == caller.retrieve(report_id).status_code
    assert 202 == caller.export("ads", "POST", "/ads/export").status_code
    assert 429 == caller.create().status_code


def test_tokens_and_downloads_have_no_limit(start: Callable[..., Any]) -> None:
    """The token endpoint and the file store are other hosts, and not limited."""
    caller = start(calls_per_second=1)
    url = caller.completed()["completedReportParts"][0]["url"]
    assert {200} == {caller.ask_token().status_code for _ in range(5)}
    assert {200} == {caller.http.get(url).status_code for _ in range(5)}


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ("create_export", "get_export", True),
        ("list_accounts", "list_profiles", True),
        ("create_report", "retrieve_report", False),
        ("retrieve_report", "get_export", False),
    ],
)
def test_classes_of_calls(one: Operation, other: Operation, share: bool) -> None:  # noqa: FBT001 - a table's column
    """Exports are one class, lists one, creating a report and retrieving one are a class each."""
    rates = Rates(1)
    assert rates.lets_in("NA", one, NOON)
    assert share != rates.lets_in("NA", other, NOON)


def test_a_second_slides() -> None:
    """A second is any second, not one of the clock: three calls at its end leave no room at the next one's beginning."""
    rates = Rates(3)
    offsets = (0.0, 0.7, 0.8, 0.9, 1.0, 1.1, 1.7, 1.75)
    let_in = [
        rates.lets_in("NA", "create_report", NOON + timedelta(seconds=offset)) for offset in offsets
    ]
    assert [True, True, True, False, True, False, True, False] == let_in


def test_a_clock_set_back_does_not_lock_out() -> None:
    """Calls counted before the clock was set back don't stand in the way for ever."""
    rates = Rates(1)
    assert rates.lets_in("NA", "create_report", NOON)
    assert rates.lets_in("NA", "create_report", NOON - timedelta(days=30))


def test_ledger_summary(caller: Any) -> None:
    """The ledger's summary counts calls by operation and status, throttled ones, and each account's peak in flight."""
    url = f"{caller.url}/sandbox/ledger"
    caller.http.delete(url)
    one, other = caller.account(), caller.account(1)
    for account in (one, one, one, other):
        caller.create(account=account)
    caller.http.get(f"{caller.url}/na/nothing")
    assert {
        "calls": {"create_report": {"207": 3, "429": 1}, "other": {"404": 1}},
        "throttled": 1,
        "peak_in_flight": {one.account_id: 2, other.account_id: 1},
    } == caller.http.get(url).json()["summary"]
    of_one = caller.http.get(url, params={"account": other.account_id}).json()["summary"]
    assert ({"create_report": {"207": 1}}, {other.account_id: 1}) == (
        of_one["calls"],
        of_one["peak_in_flight"],
    )


def test_peaks_stay_until_the_ledger_is_cleared(caller: Any) -> None:
    """A peak stays when its reports are complete, and goes with the ledger."""
    account_id = caller.account().account_id
    caller.create_id()
    caller.completed()
    assert {account_id: 2} == caller.state.ledger.summary()["peak_in_flight"]
    caller.create_id()
    assert {account_id: 2} == caller.state.ledger.summary()["peak_in_flight"]
    caller.state.ledger.clear()
    caller.state.clock.advance(120)
    caller.create_id()
    assert {account_id: 1} == caller.state.ledger.summary()["peak_in_flight"]
