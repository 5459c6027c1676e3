"""The data of the queue: every open request in its state, and what limits them all."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.requests.gate import lock_gate
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from tests.support.rows import ONE, add_account, add_request, add_windows
from tests.web.test_product_routes import client_of

DAY = date(2026, 11, 23)
TWO = "amzn1.ads-account.g.two"
AT_AMAZON: dict[str, Any] = {"status": "in_flight", "report_id": "r1", "attempts": 1}


@pytest.fixture
def queue(session_store: SessionStore, engine: Engine) -> Iterator[httpx.Client]:
    """A client of the server, whose database has two ads accounts with requests in every state."""
    now = utc_now()
    late, soon = now - timedelta(minutes=1), now + timedelta(hours=1)
    account = add_account(engine)
    add_account(engine, "CA")
    add_account(engine, "US", TWO)
    add_windows(engine, account, [DAY], wanted_by="ana", wanted_at=now)
    add_request(engine, ONE, DAY - timedelta(days=9))
    add_request(engine, ONE, DAY, by_hand=True)
    add_request(engine, ONE, DAY, "daily_campaigns", status="sent", attempts=1, sent_at=now)
    add_request(engine, ONE, DAY, attempts=2, cause=cause("report-unanswered"), next_step_at=soon)
    add_request(engine, TWO, DAY, sent_at=now, late_at=soon, next_step_at=soon, **AT_AMAZON)
    add_request(engine, TWO, DAY, sent_at=now, late_at=late, next_step_at=soon, **AT_AMAZON)
    add_request(engine, TWO, DAY, **AT_AMAZON | {"status": "completed"})
    add_request(engine, TWO, DAY, status="loaded", finished_at=now)
    with engine.begin() as connection:
        lock_gate(connection, "client", "NA", now=now, first_limit=4)
    with (
        with_job_session("poll_reports", store=session_store) as session,
        client_of(session_store) as client,
    ):
        loading = AT_AMAZON | {"status": "completed", "locked_by": session.session_id}
        add_request(engine, TWO, DAY, "hourly_targets", **loading)
        yield client


def read(queue: httpx.Client, **query: Any) -> dict[str, Any]:
    """Return the queue that a query selects."""
    found: dict[str, Any] = queue.get("/api/queue", params=query).raise_for_status().json()
    return found


def test_every_open_request_is_in_one_state(queue: httpx.Client) -> None:
    """Nearest to its end first, those wanted by users first in each; ended ones are left out."""
    found = read(queue)
    expected = {
        "planned": 2,
        "to be requested again": 1,
        "sent": 1,
        "at Amazon": 1,
        "late at Amazon": 1,
        "ready": 1,
        "loading": 1,
    }
    assert (expected, 8) == (found["counts"], found["matching"])
    states = [one["state"] for one in found["requests"]]
    assert [*reversed(expected), "planned"] == states
    assert [["ana"], []] == [one["wanted_by"] for one in found["requests"][-2:]]


def test_a_request_says_whose_it_is_and_what_happens(queue: httpx.Client) -> None:
    """One request serves all countries; its last failure is a sentence; a running load has its session."""
    loading, *_, again, by_hand, _ = read(queue)["requests"]
    assert [("CA.one", "One · CA"), ("US.one", "One · US")] == [
        (one["key"], one["label"]) for one in by_hand["accounts"]
    ]
    assert ("One", "2026-11-23", 1, "SP+SB+SD") == (
        by_hand["name"],
        by_hand["from"],
        by_hand["days"],
        by_hand["report"],
    )
    assert (2, 5, "It is loaded right now.") == (
        again["attempt"],
        again["attempts"],
        loading["next_step"],
    )
    assert again["failure"].endswith(".")
    assert "/sessions/" in loading["session"]


def test_limits_are_those_of_now(queue: httpx.Client) -> None:
    """Slots of the gate, a request without an answer among them, and loads at once."""
    found = read(queue)
    [gate] = found["gates"]
    assert ("NA", 4, 3) == (gate["region"], gate["places"], gate["planned"])
    assert {
        "running": 1,
        "at_once": 2,
        "last_hour": 0,
        "rows_last_hour": 0,
        "limit": None,
    } == found["loads"]


@pytest.mark.parametrize(
    ("query", "matching", "counted"),
    [
        ({"account": "One · CA"}, 4, 4),
        ({"dataset": "hourly_targets"}, 1, 1),
        ({"state": "late at Amazon"}, 1, 8),
        ({"account": "US.two", "state": "planned"}, 0, 4),
        ({"limit": 2}, 8, 8),
    ],
)
def test_requests_are_selected(
    queue: httpx.Client, query: dict[str, Any], matching: int, counted: int
) -> None:
    """By account, which selects its ads account, by dataset and by state; the counts are those of all states."""
    found = read(queue, **query)
    assert (matching, counted) == (found["matching"], sum(found["counts"].values()))
    assert min(matching, query.get("limit", 200)) == len(found["requests"])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"account": "nope"}, 404),
        ({"dataset": "nope"}, 404),
        ({"state": "nope"}, 400),
        ({"limit": 0}, 400),
    ],
)
def test_what_does_not_exist_is_refused(
    queue: httpx.Client, query: dict[str, Any], status: int
) -> None:
    """With what to do."""
    answer = queue.get("/api/queue", params=query)
    assert (status, True) == (answer.status_code, bool(answer.json()["what_to_do"]))
