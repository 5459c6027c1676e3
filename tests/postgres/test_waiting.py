"""What a session tells of its waiting for Amazon."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bidbeacon_pipelines.actions import WaitedForAmazon
from bidbeacon_pipelines.amazon_ads.api_ledger import PostgresCallLog
from bidbeacon_pipelines.amazon_ads.call_queries import summarize_calls
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, RetryPolicy
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import CallIntervals, LocalRateLimits
from bidbeacon_pipelines.amazon_ads.waits import WaitCause, Waits, WaitSummary
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.problems.health_checks import check_calls
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.refresh import plan_backfill
from bidbeacon_pipelines.sandbox.faults import FaultName
from bidbeacon_pipelines.wait_log import job_session, waited
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import want_windows
from bidbeacon_sessions.sentences import plain_text
from tests.postgres.job_world import DATASET, BenchWorld


def sentence(action: WaitedForAmazon | None) -> str:
    """Return the sentence that people read."""
    assert action is not None
    return plain_text(action.parts())


def told(world: BenchWorld) -> list[Mapping[str, Any]]:
    """Return what was told of waits."""
    return world.actions("waited-for-amazon")


def test_waits_for_one_cause_are_told_with_it() -> None:
    """How long in all, how often, what for, and why."""
    waits = Waits()
    for _ in range(3):
        waits.add("create a report", "HTTP 429", 64)
    assert sentence(waited(waits.summary())) == (
        "Waited 3 min 12 s for Amazon: 3 waits to create a report (HTTP 429)"
    )


def test_waits_for_several_causes_are_told_with_the_dearest() -> None:
    """The cause that cost most time is named, and what our own queue cost."""
    waits = Waits()
    waits.add("look at a report", "our own queue", 40)
    for _ in range(12):
        waits.add("create a report", "HTTP 429", 16)
    assert sentence(waited(waits.summary())) == (
        "Waited 3 min 52 s for Amazon, 40 s of it in our own queue: "
        "13 waits, 12 of them to create a report (HTTP 429)"
    )


def test_who_did_not_wait_tells_nothing(world: BenchWorld) -> None:
    """No wait, no action; and waits of an earlier session are not this one's."""
    world.context.client.waits.add("create a report", "HTTP 429", 5)
    with job_session(world.context, "test"):
        assert told(world) == []
    assert told(world) == []


def test_a_session_that_fails_tells_its_waits_too(world: BenchWorld) -> None:
    """What it waited for may be why it failed."""
    with pytest.raises(ZeroDivisionError), job_session(world.context, "test"):
        world.context.client.waits.add("create a report", "HTTP 429", 5)
        raise ZeroDivisionError
    assert [(5, 1)] == [(action["seconds"], action["waits"]) for action in told(world)]
    assert [{"status": "failed"}] == world.query(
        "SELECT status FROM job_sessions WHERE job_name = 'test'"
    )


def test_an_entity_sync_tells_each_of_its_waits_once(world: BenchWorld) -> None:
    """Whether the client waited or the sync itself, since Amazon may have accepted an export."""
    world.break_with("throttle", operation="create_export", times=2, seconds=3)
    with AdsApiClient(
        SANDBOX_CREDENTIALS,
        Endpoints.sandbox(world.sandbox.url),
        retry=RetryPolicy(attempts=1),
        rate_limits=LocalRateLimits(CallIntervals.none(), world.context.now),
    ) as client:
        context = replace(world.context, client=client)
        with job_session(context, "sync-entities") as session:
            sync_entities(context, session, world.account())
    [action] = told(world)
    assert (action["waits"], action["seconds"]) == (2, 6)


def test_what_older_versions_stored_still_reads() -> None:
    """Their action had the seconds and a reason, and nothing else."""
    stored = WaitedForAmazon.from_stored(
        1, {"seconds": 4.0, "reason": "Amazon answered: slow down"}
    )
    assert sentence(stored) == "Waited 4.0 s for Amazon: Amazon answered: slow down"


@pytest.mark.parametrize("fault", ["throttle", "throttle_accepted"])
def test_a_throttled_report_tells_for_how_long_it_rests(
    world: BenchWorld, fault: FaultName
) -> None:
    """Nobody sits it out: the session that met it tells it, the next attempt's record has it, and the doctor adds it up."""
    with PostgresCallLog(world.engine) as log:
        world.context.client.log = log
        world.break_with(fault, operation="create_report", times=1, retry_after="none")
        with job_session(world.context, "refresh-account") as session:
            account, days = world.account(), [date(2026, 1, 12)]
            keep_windows(world.context, session, account, DATASET, again=True)
            with world.engine.begin() as connection:
                want_windows(connection, account, DATASET.name, days, session.session_id)
            [request_id] = plan_backfill(world.context, session, account, DATASET, days)
            drive_request(world.context, session, request_id)
        assert "sent" == world.request(request_id).status
        world.advance(minutes=10)
        with job_session(world.context, "poll-requests"):
            world.step()
    [action] = told(world)
    assert (600, 600, 1) == (action["seconds"], action["rested_seconds"], action["waits"])
    assert "1 wait to create a report (HTTP 429)" == action["reason"]
    creates = world.query(
        "SELECT status, waited, retry_count FROM api_calls WHERE call = 'create_report' ORDER BY id"
    )
    assert [(429, 0, 0), (207, 600, 1)] == [
        (each["status"], each["waited"].total_seconds(), each["retry_count"]) for each in creates
    ]
    with world.engine.begin() as connection:
        calls = summarize_calls(connection, datetime(2000, 1, 1, tzinfo=UTC))
        found = check_calls(calls, [], world.context.now())
    assert "1 × 429; waited 10 min 00 s for Amazon" in found.found


def test_a_report_that_our_own_queue_holds_back_tells_it_too(world: BenchWorld) -> None:
    """What Amazon asked for after another report of the account keeps this one from being sent: nothing was asked."""
    account = world.account()
    world.break_with("throttle", operation="create_report", times=1, seconds=900)
    world.ask(account, date(2026, 1, 12))
    world.context.client.waits.take()
    world.execute("DELETE FROM report_gates")
    world.ask(account, date(2026, 1, 9))
    assert WaitSummary((WaitCause("create a report", "our own queue", 1, 900.0),), 900.0) == (
        world.context.client.waits.take()
    )
    assert 1 == len(world.sandbox.state.ledger.calls("create_report"))


def test_waits_that_nobody_sits_out_are_told_apart() -> None:
    """A request that rests keeps no process waiting."""
    waits = Waits()
    waits.add("retrieve a report", "HTTP 429", 3)
    waits.add("create a report", "HTTP 429", 600, rests=True)
    assert sentence(waited(waits.take())) == (
        "Waited 10 min 03 s for Amazon, 10 min 00 s of it between attempts: "
        "2 waits, 1 of them to create a report (HTTP 429)"
    )
    assert WaitSummary() == waits.take()
