"""Whole jobs against the sandbox over HTTP: what the tables say is what Amazon knows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.dispatch import step_requests
from tests.support.reading import tuples
from tests.support.world import World

TODAY = date(2026, 1, 15)


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 300}], indirect=True)
def test_a_new_target_is_resolved_when_an_export_has_it(world: World) -> None:
    """Rows of targets that the last export lacked have them after the next one."""
    account, day = world.account("JP"), TODAY - timedelta(days=3)
    world.break_with("rows", of="targets", change="vanish", share=0.2)
    world.sync_entities(account)
    asked_at = world.context.now()
    world.load(account, day)
    assert world.true_rows(account, day, asked_at) != world.stored_rows(account, day)
    world.sandbox.state.rules.clear()
    world.advance(days=1)
    world.sync_entities(account)
    assert world.true_rows(account, day, asked_at) == world.stored_rows(account, day)


@pytest.mark.parametrize(
    ("country", "last", "due"),
    [
        ("US", date(2026, 1, 14), datetime(2026, 1, 15, 8, tzinfo=UTC)),
        ("JP", date(2026, 1, 15), datetime(2026, 1, 15, 15, tzinfo=UTC)),
    ],
)
def test_days_are_the_accounts_own(world: World, country: str, last: date, due: datetime) -> None:
    """At 03:00 UTC it is yesterday evening in Los Angeles and noon in Tokyo; a day is due at the next local midnight."""
    world.sandbox.state.clock.set(datetime(2026, 1, 15, 3, tzinfo=UTC))
    account = world.account(country)
    world.refresh(account)
    newest = "SELECT dataset, max(window_date) FROM report_windows GROUP BY dataset"
    assert dict.fromkeys(DATASETS, last) == dict(tuples(world.engine, newest))
    assert due == world.window(account, last).next_refresh_at


def test_run_of_a_stopping_worker_takes_no_further_request(world: World) -> None:
    """A complete report stays for the next run, which loads it."""
    account, day = world.account(), TODAY - timedelta(days=3)
    world.ask(account, day)
    world.advance(minutes=2)
    stopping = replace(world.context, is_stopping=lambda: True)
    with world.session() as session:
        assert 0 == step_requests(stopping, session)
    assert 1 == world.step()
    assert "loaded" == world.window(account, day).status
