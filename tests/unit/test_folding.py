"""Runs of actions that are told as one in a terminal, and names that stand side by side."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from bidbeacon_pipelines.actions import ReportFailed, ReportRequested, ReportsPlanned, WindowsQueued
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
                "schema_version": action.schema_version,
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


def test_plans_of_many_datasets_are_one_sentence() -> None:
    """Counts are added up, the range goes from the first day to the last, of many names three are told, and accounts keep theirs."""
    days = [(3, 9), (1, 8), (5, 12), (4, 9), (4, 9)]
    actions = stored(
        *(
            planned(f"d{n}", windows=n, start=first, end=last)
            for n, (first, last) in enumerate(days, 1)
        )
    )
    assert [
        "Planned 5 reports of d1, d2, d3 and 2 more for 15 due windows of Acme Merch, 2026-07-01 to 2026-07-12"
    ] == told(actions)
    [folded] = fold_runs(actions)
    assert (5, actions[0]["at"]) == (folded["folded"], folded["at"])


def test_accounts_of_a_run_are_counted_once() -> None:
    """Three reports of two accounts each are about three accounts."""
    pairs = (("US.a", "CA.a"), ("CA.a", "MX.a"), ("US.a", "MX.a"))
    actions = stored(
        *(
            ReportRequested(
                account=ACCOUNT,
                dataset="daily_targets",
                windows=[date(2026, 7, n)],
                accounts={key: [date(2026, 7, n)] for key in pair},
                request_id=n,
                report_id=f"r{n}",
            )
            for n, pair in enumerate(pairs, 1)
        )
    )
    assert [
        "Requested report r1, r2 and r3 of daily_targets for 3 windows in 3 accounts 2026-07-01 2026-07-02 2026-07-03"
    ] == told(actions)


def test_two_alike_stand_by_themselves() -> None:
    """A run begins with three."""
    actions = stored(*(planned(f"d{n}", windows=n, start=1, end=2) for n in (1, 2)))
    assert 2 == len(told(actions))


def test_what_says_something_else_ends_a_run() -> None:
    """A flag that is set, another type, and an error, which never folds."""
    shared = {"account": "US.a", "dataset": "daily_targets"}
    queued = [
        WindowsQueued(**shared, windows=[date(2026, 7, n)], by_hand=n > 3) for n in range(1, 7)
    ]
    failed = [
        ReportFailed(**shared, windows=[date(2026, 7, n)], request_id=n, reason="no ink")
        for n in (1, 2, 3)
    ]
    sentences = told(stored(*queued, *failed))
    assert [
        "Queued 3 report windows of daily_targets 2026-07-01 2026-07-02 2026-07-03",
        "Queued 3 report windows of daily_targets 2026-07-04 2026-07-05 2026-07-06 by hand",
    ] == sentences[:2]
    assert 3 == len(sentences[2:])


def test_what_cannot_be_read_stands_by_itself() -> None:
    """Payloads of an earlier version, and types that are not known."""
    actions = stored(*(planned(f"d{n}", windows=n, start=1, end=2) for n in (1, 2, 3)))
    for action in actions:
        action["payload"].pop("dataset")
    assert 3 == len(told(actions))
    assert 3 == len(told([action | {"known": False, "type": "of-another"} for action in actions]))


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
