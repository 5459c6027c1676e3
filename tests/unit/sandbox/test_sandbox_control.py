"""The sandbox's own pages: health, ledger, clock and truth."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_sandbox.state import SandboxClock


def test_health(caller: Any) -> None:
    """The health page needs no token and tells the seed and the sandbox's time."""
    assert caller.http.get(f"{caller.url}/healthz").json() == {
        "status": "ok",
        "now": "2026-01-15T12:00:00+00:00",
        "seed": 1,
    }


def test_ledger_names_every_call(caller: Any) -> None:
    """The ledger has each call with its operation, account, country, status and request id, refused ones too."""
    url = f"{caller.url}/sandbox/ledger"
    assert caller.http.delete(url).status_code == 204
    created = caller.create()
    caller.export("ads", "POST", "/ads/export", headers={"Accept": "*/*"})
    caller.http.get(f"{caller.url}/na/nothing")
    calls = caller.http.get(url).json()["calls"]
    account_id = caller.account().account_id
    assert [
        (call["operation"], call["account"], call["country"], call["status"]) for call in calls
    ] == [
        ("create_report", account_id, None, 207),
        ("create_export", account_id, "US", 406),
        (None, None, None, 404),
    ]
    assert calls[0]["request_id"] == created.headers["x-amz-rid"]
    assert (calls[0]["method"], calls[0]["path"]) == ("POST", "/na/adsApi/v1/create/reports")
    assert calls[0]["time"] == "2026-01-15T12:00:00+00:00"


def test_ledger_filters(caller: Any) -> None:
    """The ledger can be asked for one operation or one account."""
    caller.create()
    caller.create(account=caller.account(1))
    url, account_id = f"{caller.url}/sandbox/ledger", caller.account(1).account_id
    counts = [
        caller.http.get(url, params=params).json()["count"]
        for params in (
            {"operation": "create_report"},
            {"account": account_id},
            {"operation": "token"},
        )
    ]
    assert counts == [2, 1, 1]


def test_clock_over_http(caller: Any) -> None:
    """The clock can be set, advanced, frozen and accelerated over HTTP."""
    url = f"{caller.url}/sandbox/clock"
    assert caller.http.get(url).json() == {"now": "2026-01-15T12:00:00+00:00", "rate": 0.0}
    moved = caller.http.post(url, json={"set": "2026-02-01T00:00:00Z", "advance_seconds": 90})
    assert moved.json() == {"now": "2026-02-01T00:01:30+00:00", "rate": 0.0}
    assert caller.http.post(url, json={"rate": 3600}).json()["rate"] == 3600
    frozen = caller.http.post(url, json={"freeze": True}).json()
    assert frozen == caller.http.get(url).json()
    assert frozen["now"] > "2026-02-01T00:01:30"


@pytest.mark.parametrize(
    "change",
    [
        *({"set": "2026-02-01T00:00:00"}, {"rate": -1}, {"rewind": 1}),
        *({"set": "9999-12-31T23:59:59Z"}, {"rate": 1e300}, {"advance_seconds": 1e300}),
    ],
)
def test_bad_clock_changes(caller: Any, change: dict[str, Any]) -> None:
    """An instant without a zone, a negative rate, an unknown word or what no clock can tell is a 400 and moves nothing."""
    assert caller.http.post(f"{caller.url}/sandbox/clock", json=change).status_code == 400
    assert caller.state.clock.now().isoformat() == "2026-01-15T12:00:00+00:00"


def test_clock_runs_at_its_rate() -> None:
    """An accelerated clock runs its rate's multiple of real time, aware and in UTC."""
    clock = SandboxClock(datetime(2026, 1, 1, tzinfo=UTC), rate=10**6)
    first = clock.now()
    while clock.now() - first < timedelta(hours=1):
        assert clock.rate == 10**6
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"account": "nobody"}, 404),
        ({"country": "FR"}, 404),
        ({"date": "x"}, 400),
        ({"grain": "x"}, 400),
    ],
)
def test_bad_truth_queries(caller: Any, change: dict[str, str], status: int) -> None:
    """The truth of an unknown account or country is a 404, a query that can't be understood a 400."""
    asked = {"account": caller.account().account_id, "country": "US", "date": "2026-01-10"}
    assert caller.http.get(f"{caller.url}/sandbox/truth", params=asked).status_code == 200
    assert (
        caller.http.get(f"{caller.url}/sandbox/truth", params=asked | change).status_code == status
    )
