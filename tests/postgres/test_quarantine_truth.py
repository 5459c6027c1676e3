"""Good rows that a check refused, replayed with one that understands them: the tables say then what Amazon knows, row by row."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from types import SimpleNamespace
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
from tests.dataset_truth import Question
from tests.support.world import World

TODAY = date(2026, 1, 15)
pytestmark = pytest.mark.parametrize("sandbox", [{"rows_per_day": 400}], indirect=True)
each_dataset = pytest.mark.parametrize(
    "dataset",
    [DAILY_TARGETS, DAILY_PURCHASED_PRODUCTS, HOURLY_TARGETS],
    ids=lambda dataset: dataset.name,
)
"""One of a single report, one of three, and one of hours."""


def _other_count(value: object) -> int | None:
    count = as_count(value)
    if count is not None and count % 32 == 3:
        raise FieldError("a count that does not leave 3 when divided by 32", value)
    return count


@contextmanager
def refusing_some_counts() -> Iterator[None]:
    """Let good rows with some counts, small and large ones, be refused: some rows of every dataset have them, and most don't."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rows.CHECKS, "count", _other_count)
        yield


def ask_about(world: World, dataset: Dataset, ago: int = 3) -> Question:
    """Ask about a day of an account."""
    day = TODAY - timedelta(days=ago)
    return Question(world.engine, world.sandbox.url, world.account(), dataset, day)


def load_strictly(world: World, question: Question) -> datetime:
    """Load the day with the check that refuses some of its rows, however many; return when it was asked for."""
    asked_at = world.context.now()
    lenient = replace(
        world.context, settings=world.context.settings.model_copy(update={"bad_row_share": 1.0})
    )
    with refusing_some_counts():
        replace(world, context=lenient).load(
            question.account, question.day, dataset=question.dataset
        )
    return asked_at


def replay(world: World, question: Question) -> list[QuarantineReplayed]:
    """Replay the account's quarantine with the real check; return what each report told."""
    with world.session("replay-quarantine") as session:
        told = replay_quarantine(world.engine, session, account=question.account.account_key)
    assert told
    return list(told)


def window_of(world: World, question: Question) -> SimpleNamespace:
    """Return the sums of the day's windows."""
    return world.sums(question.account, question.day, question.dataset)


@each_dataset
def test_a_replayed_day_is_amazons_to_the_last_decimal(world: World, dataset: Dataset) -> None:
    """Before the replay the good rows that were refused are missing and nothing else is; after it nothing is."""
    question = ask_about(world, dataset)
    world.sync_entities(question.account)
    true = question.true(load_strictly(world, question))
    refused = window_of(world, question).quarantined_count or 0
    before = question.stored()
    assert refused > 0
    assert 0 < len(before) < len(true)
    assert before.items() <= true.items()
    told = replay(world, question)
    assert (refused, 0) == (sum(one.rows for one in told), sum(one.left for one in told))
    assert all([question.day] == one.windows for one in told)
    assert true == question.stored()
    after = window_of(world, question)
    assert (len(true), 0, question.total(true, "spend"), question.total(true, "sales")) == (
        after.row_count,
        after.quarantined_count,
        after.spend,
        after.sales,
    )


def test_rows_of_targets_that_came_meanwhile_are_replayed_as_theirs(world: World) -> None:
    """Loaded and refused before the first export, synced, then replayed: each row is its target's, and none is lost or counted twice."""
    question = ask_about(world, HOURLY_TARGETS)
    asked_at = load_strictly(world, question)
    world.sync_entities(question.account)
    replay(world, question)
    assert question.true(asked_at) == question.stored()


def test_rows_that_were_replayed_first_are_resolved_by_the_next_sync(world: World) -> None:
    """Replayed before the first export they have no targets, and have their targets' after it."""
    question = ask_about(world, DAILY_TARGETS)
    asked_at = load_strictly(world, question)
    replay(world, question)
    world.sync_entities(question.account)
    assert question.true(asked_at) == question.stored()


def test_a_replayed_restatement_tells_the_whole_difference(world: World) -> None:
    """A later report, whose refused rows are replayed, leaves the truth of then; its restatements lead from the first truth to it."""
    question = ask_about(world, DAILY_PURCHASED_PRODUCTS, ago=1)
    world.sync_entities(question.account)
    load_strictly(world, question)
    replay(world, question)
    world.advance(days=8)
    world.sync_entities(question.account)
    first = question.stored()
    later = question.true(load_strictly(world, question))
    assert later != question.stored()
    replay(world, question)
    assert later == question.stored()
    restated: list[Mapping[str, Any]] = world.query("SELECT * FROM restatements ORDER BY id")
    assert question.without_targets(later) == question.applied(
        question.without_targets(first), restated
    )
