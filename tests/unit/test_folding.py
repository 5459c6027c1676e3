"""Runs of actions that are told as one in a terminal, and names that stand side by side."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from bidbeacon_pipelines.actions import ReportFailed, ReportsPlanned, RequestRetried
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.cli.folding import fold_runs, shorten_names
from bidbeacon_sessions import Action
from bidbeacon_sessions.presentation import action_json
from bidbeacon_sessions.sentences import plain_text

ACCOUNT, LABELS = "acme.1kc1bk21", {"acme.1kc1bk21": "Acme Merch"}


def stored(*actions: Action) -> list[dict[str, Any]]:
    """Return actions as a session's are read."""
    return [
        action_json(
            {
                "session_id": UUID(int=1),
                "ord": place,
                "type": action.type,
                "at": datetime(2026, 7, 25, 12, 0, place, tzinfo=UTC),
                "tone": action.tone,
                "payload": action.model_dump(mode="json"),
            },
            LABELS,
        )
        for place, action in enumerate(actions, start=1)
    ]


def told(actions: Sequence[Any]) -> list[str]:
    """Return the sentences as a terminal has them."""
    return [plain_text(shorten_names(action["parts"])) for action in fold_runs(actions)]


def planned(dataset: str, *, windows: int, start: int, end: int) -> ReportsPlanned:
    """Return that a report of so many windows was planned, of days of July."""
    days = {"start": date(2026, 7, start), "end": date(2026, 7, end)}
    return ReportsPlanned(account=ACCOUNT, dataset=dataset, reports=1, windows=windows, **days)


def test_a_run_is_the_first_ones_sentence_with_a_count() -> None:
    """Whatever its counts, names and days are."""
    actions = stored(*(planned(f"d{n}", windows=n, start=1, end=9) for n in (1, 2, 3)))
    [folded] = fold_runs(actions)
    assert (3, actions[0]["at"]) == (folded["folded"], folded["at"])
    assert [
        "Planned 1 report of d1 for 1 due window of Acme Merch, 2026-07-01 to 2026-07-09"
    ] == told(actions)


def test_two_alike_stand_by_themselves() -> None:
    """A run begins with three."""
    actions = stored(*(planned(f"d{n}", windows=n, start=1, end=2) for n in (1, 2)))
    assert 2 == len(told(actions))


def test_what_says_something_else_ends_a_run() -> None:
    """Another cause, another type, and an error, which never folds."""
    shared = {"account": "US.a", "dataset": "daily_targets", "windows": [date(2026, 7, 1)]}
    again = {"request_id": 1, "attempt": 1, "retry_at": datetime(2026, 7, 1, tzinfo=UTC)}
    retried = [
        RequestRetried(**shared, **again, cause=cause(code))
        for code in ["throttled"] * 3 + ["unreachable"] * 3
    ]
    failed = [ReportFailed(**shared, request_id=1, cause=cause("throttled")) for _ in range(3)]
    folded = [action.get("folded") for action in fold_runs(stored(*retried, *failed))]
    assert [3, 3, None, None, None] == folded


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, "of a."), (2, "of a and b."), (4, "of a, b, c and d."), (5, "of a, b, c and 2 more.")],
)
def test_names_are_listed(count: int, expected: str) -> None:
    """As people write them."""
    names = [{"kind": "badge", "text": name, "value": name} for name in "abcde"[:count]]
    spaced = [part for name in names for part in ({"kind": "text", "text": " "}, name)][1:]
    parts = [{"kind": "text", "text": "of "}, *spaced, {"kind": "text", "text": "."}]
    assert expected == plain_text(shorten_names(parts))
