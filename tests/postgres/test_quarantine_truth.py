"""Good rows that a check refused, replayed with one that understands them: the tables say then what Amazon knows, row by row."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.actions import QuarantineReplayed
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PURCHASED_PRODUCTS,
    DAILY_TARGETS,
    HOURLY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.loading import rows
from bidbeacon_pipelines.loading.quarantine import replay_quarantine
from bidbeacon_pipelines.values.field_types import FieldError, as_count
from tests.support.truth import DayRows
from tests.support.world import World

TODAY = date(2026, 1, 15)
pytestmark = pytest.mark.parametrize("sandbox", [{"rows_per_day": 400}], indirect=True)


def _other_count(value: object) -> int | None:
    """Refuse some counts, small and large ones: some rows of every dataset have them, and most don't."""
    count = as_count(value)
    if count is not None and count % 32 == 3:
        raise FieldError("a count that does not leave 3 when divided by 32", value)
    return count


def rows_of(world: World, dataset: Dataset, ago: int = 3) -> DayRows:
    """Ask about a day of an account."""
    day = TODAY - timedelta(days=ago)
    return DayRows(world.engine, world.sandbox.state, world.account(), dataset, day)


def load_strictly(world: World, day_rows: DayRows) -> datetime:
    """Load the day with the check that refuses some of its rows, however many; return when it was asked for."""
    asked_at = world.context.now()
    settings = world.context.settings.model_copy(update={"bad_row_share": 1.0})
    lenient = replace(world, context=replace(world.context, settings=settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rows.CHECKS, "count", _other_count)
        patch.setitem(rows.USUAL, "count", b"(?!)")  # no count, so that each is checked
        lenient.load(day_rows.account, day_rows.day, dataset=day_rows.dataset)
    return asked_at


def replay(world: World, day_rows: DayRows) -> list[QuarantineReplayed]:
    """Replay the account's quarantine with the real check; return what each report told."""
    with world.session("replay-quarantine") as session:
        told = replay_quarantine(world.engine, session, account=day_rows.account.account_key)
    assert told
    return list(told)


@pytest.mark.parametrize(
    "dataset",
    [
        pytest.param(DAILY_TARGETS, id="one report"),
        pytest.param(DAILY_PURCHASED_PRODUCTS, id="three reports"),
        pytest.param(HOURLY_TARGETS, id="hours"),
    ],
)
def test_a_replayed_day_is_amazons_to_the_last_decimal(world: World, dataset: Dataset) -> None:
    """Before the replay the good rows that were refused are missing and nothing else is; after it nothing is."""
    day_rows = rows_of(world, dataset)
    world.sync_entities(day_rows.account)
    true = day_rows.true(load_strictly(world, day_rows))
    window = (day_rows.account, day_rows.day, dataset)
    refused = world.sums(*window).quarantined_count
    before = day_rows.stored()
    assert refused > 0
    assert 0 < len(before) < len(true)
    assert before.items() <= true.items()
    told = replay(world, day_rows)
    assert (refused, 0) == (sum(one.rows for one in told), sum(one.left for one in told))
    assert all([day_rows.day] == one.windows for one in told)
    assert true == day_rows.stored()
    after, summed = world.sums(*window), day_rows.sums(true)
    assert (after.row_count, after.quarantined_count) == (len(true), 0)
    assert (after.spend, after.sales) == (summed.spend, summed.sales)


def test_a_replayed_restatement_tells_the_whole_difference(world: World) -> None:
    """A later report, whose refused rows are replayed, leaves the truth of then; its restatements lead from the first truth to it."""
    day_rows = rows_of(world, DAILY_PURCHASED_PRODUCTS, ago=1)
    world.sync_entities(day_rows.account)
    load_strictly(world, day_rows)
    replay(world, day_rows)
    world.advance(days=8)
    world.sync_entities(day_rows.account)
    first = day_rows.stored()
    later = day_rows.true(load_strictly(world, day_rows))
    assert later != day_rows.stored()
    replay(world, day_rows)
    assert later == day_rows.stored()
    restated: list[Mapping[str, Any]] = world.query("SELECT * FROM restatements ORDER BY id")
    assert day_rows.without_targets(later) == day_rows.applied(
        day_rows.without_targets(first), restated
    )
