"""Amazon's places don't stand empty while reports are loaded: planned reports are created first, and between two loads."""

from datetime import date, timedelta

from bidbeacon_pipelines.requests.drive import drive_request
from tests.support.world import World

TODAY = date(2026, 1, 15)


def ask_for_three(world: World) -> list[int]:
    """Request two reports, as many as the gate has places, and plan a third one; return the ids of the two."""
    account = world.account()
    asked = [world.ask(account, TODAY - timedelta(days=ago)) for ago in (3, 30)]
    world.ask(account, TODAY - timedelta(days=60))
    world.advance(minutes=2)
    return asked


def order_of_calls(world: World) -> list[str]:
    """Step all reports once; return which were created and downloaded, in Amazon's order."""
    before = len(world.sandbox.state.ledger.calls())
    world.step()
    calls = world.sandbox.state.ledger.calls()[before:]
    return [c.operation for c in calls if c.operation in {"create_report", "download"}]


def test_planned_report_is_created_before_completed_ones_are_loaded(world: World) -> None:
    """Two completed reports wait to be loaded, so there is a place for the planned one, which comes first."""
    for request_id in ask_for_three(world):
        with world.session() as session:
            status = drive_request(world.context, session, request_id, loads=False)
            assert "completed" == status
    assert ["create_report", "download", "download"] == order_of_calls(world)


def test_place_that_becomes_free_is_used_before_the_next_load(world: World) -> None:
    """The first poll finds its report complete, so the planned one is created before the second is loaded."""
    ask_for_three(world)
    assert ["download", "create_report", "download"] == order_of_calls(world)
