"""What a session tells of its waiting for Amazon."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bidbeacon_pipelines.actions import WaitedForAmazon
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, RetryPolicy
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import CallIntervals, LocalRateLimits
from bidbeacon_pipelines.amazon_ads.waits import Waits
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.wait_log import job_session, waited
from bidbeacon_sessions.sentences import plain_text
from tests.postgres.job_world import BenchWorld


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
