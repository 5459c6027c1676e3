"""How sessions and their actions are printed in a terminal of 80 columns."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console
from rich.text import Text

from bidbeacon_pipelines.actions import (
    AccountsSynced,
    ReportFailed,
    ReportsPlanned,
    RequestRetried,
)
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.cli.output import print_hanging
from bidbeacon_pipelines.cli.session_output import print_actions, session_line
from bidbeacon_sessions import Action
from bidbeacon_sessions.presentation import action_json

SENTENCE = "Queued 14 report windows of daily_targets, which is a long sentence that has to be broken at 80 columns"


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
            {"acme.1kc1bk21": "Acme Merch"},
        )
        for place, action in enumerate(actions, start=1)
    ]


def printed(actions: Sequence[Any], width: int = 300) -> list[str]:
    """Return the lines of a session's actions."""
    out = StringIO()
    print_actions(Console(file=out, width=width), actions, "US.a")
    return out.getvalue().splitlines()


def shown(accounts: str = "DE.b") -> dict[str, Any]:
    """Return an action with a long sentence."""
    return {
        "ord": 1,
        "type": "windows-queued",
        "at": "2026-07-25T12:00:00+00:00",
        "tone": "neutral",
        "accounts": [{"key": accounts, "label": "Other · DE"}],
        "parts": [{"kind": "text", "text": SENTENCE}],
        "payload": {},
    }


def test_a_broken_sentence_hangs_below_its_beginning() -> None:
    """Nothing of it stands below the time, and it is whole."""
    first, second = printed([shown()], width=80)
    assert first[12:].startswith("│ Other · DE Queued 14")
    assert (" " * 14, True) == (second[:14], second[14] != " ")
    assert max(len(first), len(second)) <= 80
    assert f"Other · DE {SENTENCE}" == " ".join([first[14:].strip(), second.strip()])


def test_the_sessions_own_account_is_not_repeated() -> None:
    """Only another one is named."""
    assert "Other" not in "".join(printed([shown("US.a")]))


def planned(dataset: str, windows: int) -> ReportsPlanned:
    """Return that a report of so many windows was planned."""
    days = {"start": date(2026, 7, 1), "end": date(2026, 7, 9)}
    return ReportsPlanned(
        account="acme.1kc1bk21", dataset=dataset, reports=1, windows=windows, **days
    )


def test_three_equal_actions_are_the_first_ones_sentence_with_a_count() -> None:
    """Whatever its counts, names and days are; two stand by themselves."""
    actions = stored(*(planned(f"d{n}", n) for n in (1, 2, 3)))
    [line] = printed(actions)
    assert line.endswith(
        "│ Planned 1 report of d1 for 1 due window of Acme Merch, 2026-07-01 to 2026-07-09 (3 ×)"
    )
    assert 2 == len(printed(actions[:2]))


def test_what_says_something_else_ends_a_run() -> None:
    """Another cause, another type, and an error, which never folds."""
    shared = {"account": "US.a", "dataset": "daily_targets", "windows": [date(2026, 7, 1)]}
    again = {"request_id": 1, "attempt": 1, "retry_at": datetime(2026, 7, 1, tzinfo=UTC)}
    retried = [
        RequestRetried(**shared, **again, cause=cause(code))
        for code in ["throttled"] * 3 + ["unreachable"] * 3
    ]
    failed = [ReportFailed(**shared, request_id=1, cause=cause("throttled")) for _ in range(3)]
    folded = [line.endswith("(3 ×)") for line in printed(stored(*retried, *failed))]
    assert [True, True, False, False, False] == folded


@pytest.mark.parametrize(("count", "end"), [(4, ": a b c d"), (5, ": a b c and 2 more")])
def test_of_many_accounts_three_are_named(count: int, end: str) -> None:
    """And how many more there are."""
    [line] = printed(stored(AccountsSynced(accounts=9, added_keys=tuple("abcde"[:count]))))
    assert line.split("Synced")[1].endswith(end)


@pytest.mark.parametrize("head", ["", "2026-07-25 12:00:00 "])
def test_a_long_line_of_a_session_hangs_two_columns_further_in(head: str) -> None:
    """Behind its time, or without one: no line is wider than the terminal, and the mark stands alone at the left."""
    session: dict[str, object] = {
        "status": "failed",
        "outcome": "ok",
        "mark": "retried",
        "recovered_by": "later",
        "id": "i" * 36,
    }
    session |= {
        "job_name": "load-windows",
        "account": "US.a",
        "account_label": "Acme · US",
        "duration": 5.9,
    }
    out = StringIO()
    print_hanging(Console(file=out, width=80), Text(head), session_line(session), indent=2)
    first, *others = out.getvalue().splitlines()
    assert first.startswith(f"{head}↻ failed, recovered by a later attempt  load-windows")
    margin = " " * (len(head) + 2)
    assert [(margin, False)] == [(line[: len(margin)], line[len(margin)] == " ") for line in others]
    assert max(map(len, [first, *others])) <= 80


@pytest.mark.parametrize(
    ("status", "outcome", "mark", "recovered_by", "line"),
    [
        ("succeeded", "ok", "succeeded", None, "✔ succeeded  bake  s"),
        ("succeeded", "problems", "problems", None, "✘ finished, with problems  bake  s"),
        ("cancelled", "warnings", "cancelled", None, "■ cancelled, with warnings  bake  s"),
        ("failed", "problems", "failed", None, "✘ failed  bake  s"),
        ("failed", "ok", "retried", "later", "↻ failed, recovered by a later attempt  bake  s"),
        ("failed", "problems", "failed", "later", "✘ failed, a later attempt succeeded  bake  s"),
        ("crashed", "warnings", "retried", None, "↻ crashed, retried  bake  s"),
    ],
)
def test_the_line_of_a_session_says_what_became_of_it(
    status: str, outcome: str, mark: str, recovered_by: str | None, line: str
) -> None:
    """A failed attempt whose work another one took up is no problem."""
    session: dict[str, object] = {
        "status": status,
        "outcome": outcome,
        "mark": mark,
        "recovered_by": recovered_by,
        "id": "s",
    }
    session |= {"job_name": "bake", "account": None, "duration": None}
    assert line == session_line(session).plain
