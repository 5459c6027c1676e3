"""An account that Amazon throttles holds up nobody else, and people are told what it delays."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import SHORT_WAITS
from bidbeacon_pipelines.entities.sync import ExportNotReadyError, sync_entities
from bidbeacon_pipelines.problems.home import read_home
from bidbeacon_sandbox.rules import Operation
from tests.support.checking import assert_has
from tests.support.rows import change_requests
from tests.support.world import World, open_context

DAYS = (date(2026, 1, 12), date(2026, 1, 10), date(2026, 1, 8))
ASKED_SECONDS = 40
LONGEST_INLINE_SECONDS = 5

SLOW_EXPORTS = {"max_reports_in_flight": 9, "export_seconds": 60}
pytestmark = pytest.mark.parametrize("sandbox", [SLOW_EXPORTS], indirect=True)


@pytest.fixture
def throttled_world(world: World) -> Iterator[World]:
    """Yield a world whose client waits as those of jobs do, on the sandbox's clock, and logs its calls."""
    settings = world.context.settings.model_copy(update={"first_reports_in_flight": 9})
    shared: dict[str, Any] = {"engine": world.engine, "retry": SHORT_WAITS}
    with open_context(world.engine, world.sandbox, settings, **shared) as context:
        yield replace(world, context=context)


def throttle(world: World, account: Account, operation: Operation, seconds: float) -> None:
    """Let Amazon answer an account's calls of one kind with 429 and this `Retry-After`."""
    own: dict[str, Any] = {"account": account.account_id, "status": 429, "retry_after": seconds}
    world.break_with("answer", operation, **own)


def step_for(world: World) -> float:
    """Poll and create once; return how many seconds it took."""
    began = world.context.now()
    world.step()
    return (world.context.now() - began).total_seconds()


@pytest.fixture
def requests(throttled_world: World) -> tuple[list[int], int]:
    """Return three requests of an account whose polls are throttled, and a later one of another; all are due for a poll."""
    mine, other = throttled_world.account("US"), throttled_world.account("JP")
    throttled = [throttled_world.ask(mine, day) for day in DAYS]
    others = throttled_world.ask(other, DAYS[0])
    throttled_world.advance(minutes=2)
    throttle(throttled_world, mine, "retrieve_report", ASKED_SECONDS)
    return throttled, others


def test_a_throttled_account_does_not_hold_up_others(
    throttled_world: World, requests: tuple[list[int], int]
) -> None:
    """In one run the other account's report is loaded; the throttled one's are put off until Amazon's time, after one 429."""
    world, (throttled, others) = throttled_world, requests
    until = world.context.now() + timedelta(seconds=ASKED_SECONDS)

    assert step_for(world) <= LONGEST_INLINE_SECONDS

    assert world.request(others).status == "loaded"
    assert all((world.request(one).next_step_at or until) >= until for one in throttled)
    polls = world.sandbox.state.ledger.calls("retrieve_report")
    assert [429, 207] == [call.status for call in polls]
    assert len(throttled) == len(world.actions("report-pending"))


def test_a_throttled_report_is_loaded_after_the_time_that_amazon_asked_for(
    throttled_world: World, requests: tuple[list[int], int]
) -> None:
    """Polls that were never sent count as none, so the next ones come as soon as Amazon allows."""
    world, (throttled, _) = throttled_world, requests
    world.step()
    world.sandbox.state.rules.clear()

    world.advance(seconds=ASKED_SECONDS - 1)
    world.step()
    assert {"in_flight"} == {world.request(one).status for one in throttled}
    assert [1, 0, 0] == [world.request(one).polls for one in throttled]

    world.advance(seconds=1)
    world.step()
    assert {"loaded"} == {world.request(one).status for one in throttled}


def test_short_waits_add_up_to_five_seconds_in_a_run(
    throttled_world: World, requests: tuple[list[int], int]
) -> None:
    """However many reports are throttled, and however short each wait is."""
    world, (throttled, others) = throttled_world, requests
    world.sandbox.state.rules.clear()
    throttle(world, world.account("US"), "retrieve_report", 2)
    assert step_for(world) <= LONGEST_INLINE_SECONDS
    assert world.request(others).status == "loaded"
    assert {"in_flight"} == {world.request(one).status for one in throttled}


@pytest.mark.parametrize("operation", ["download", "retrieve_report"])
def test_a_throttled_load_is_no_failed_load(throttled_world: World, operation: Operation) -> None:
    """A 429 on the way to a completed report puts its load off, as often as it takes, and it is not requested again."""
    world, account = throttled_world, throttled_world.account("US")
    request = world.ask(account, DAYS[0])
    world.advance(minutes=2)
    if operation == "retrieve_report":
        change_requests(world.engine, status="completed")
    throttle(world, account, operation, ASKED_SECONDS)
    for _ in range(4):
        assert step_for(world) <= LONGEST_INLINE_SECONDS
        at = world.request(request).next_step_at
        assert at is not None
        assert at >= world.context.now() + timedelta(seconds=ASKED_SECONDS - 5)
        world.advance(seconds=ASKED_SECONDS)
    assert_has(world.request(request), status="completed", loads=0, attempts=1)
    world.sandbox.state.rules.clear()
    world.step()
    assert world.request(request).status == "loaded"


def test_a_throttled_token_is_no_failed_attempt(throttled_world: World) -> None:
    """A create that had to renew the token first, and was refused with 429 there, was not sent."""
    world, account = throttled_world, throttled_world.account("US")
    world.break_with("answer", "token", status=429, retry_after=ASKED_SECONDS)
    request = world.ask(account, DAYS[0])
    stored = world.request(request)
    assert ("planned", 0) == (stored.status, stored.attempts)
    assert stored.next_step_at is not None
    assert stored.next_step_at >= stored.created_at + timedelta(seconds=ASKED_SECONDS)


def throttling_at_home(world: World) -> list[dict[str, Any]]:
    """Return the findings on throttling that Home shows; it counts the one 429, also once all is over."""
    store = world.sessions
    home = read_home(store, world.context.settings, world.context.now())
    assert 1 == home["limits"]["calls"]["throttled"]
    return [one for one in home["findings"] if one["code"] == "throttled"]


def test_home_names_what_throttling_delays(
    throttled_world: World, requests: tuple[list[int], int]
) -> None:
    """Whose polls, how often, until when, and how many reports wait; after ten minutes it is a warning, and when the reports are loaded nothing."""
    world, _ = throttled_world, requests
    mine, until = world.account("US"), world.context.now() + timedelta(seconds=ASKED_SECONDS)
    world.step()
    [finding] = throttling_at_home(world)
    assert ("waiting", mine.name) == (finding["severity"], *finding["names"])
    assert finding["sentence"].startswith("Amazon throttled")
    assert "NA: 1 call to poll reports failed, 3 reports waiting" == finding["effects"][0]["text"]
    assert until == datetime.fromisoformat(finding["next_at"])
    world.advance(minutes=10)
    [later] = throttling_at_home(world)
    assert "warning" == later["severity"]
    world.sandbox.state.rules.clear()
    world.step()
    assert [] == throttling_at_home(world)


def test_exports_that_amazon_is_still_making_are_left_to_the_next_sync(
    throttled_world: World,
) -> None:
    """A sync waits for five seconds in all; the next one takes the four exports over, and asks for none."""
    world, account = throttled_world, throttled_world.account("US")
    began, longest = world.context.now(), timedelta(seconds=LONGEST_INLINE_SECONDS)
    with pytest.raises(ExportNotReadyError), world.session() as session:
        sync_entities(world.context, session, account, longest_wait=longest)
    assert world.context.now() - began <= longest
    pending = [action["kind"] for action in world.actions("export-pending")]
    assert ["campaigns", "adGroups", "ads", "targets"] == pending
    world.advance(minutes=1)
    assert world.sync_entities(account)["campaigns"] > 0
    assert 4 == len(world.sandbox.state.ledger.calls("create_export"))
