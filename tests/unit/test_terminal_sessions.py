"""How the actions of a session and what refers to a window are printed in a terminal of 80 columns."""

import time
from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from bidbeacon_pipelines.cli.session_output import (
    StatusLine,
    print_action,
    print_hanging,
    session_line,
)
from bidbeacon_pipelines.cli.window_output import print_explanation

SENTENCE = "Queued 14 report windows of daily_targets, which is a long sentence that has to be broken at 80 columns"


def printed(**more: object) -> list[str]:
    """Return the lines of an action."""
    out = StringIO()
    action = {
        "at": "2026-07-25T12:00:00+00:00",
        "tone": "neutral",
        "accounts": [{"key": "DE.b", "label": "Other · DE"}],
        "parts": [{"kind": "text", "text": SENTENCE}],
    }
    print_action(Console(file=out, width=80), action | more, "US.a")
    return out.getvalue().splitlines()


def test_a_broken_sentence_hangs_below_its_beginning() -> None:
    """Nothing of it stands below the time, and it is whole."""
    first, second = printed()
    assert first[12:].startswith("│ Other · DE Queued 14")
    assert (" " * 14, True) == (second[:14], second[14] != " ")
    assert max(len(first), len(second)) <= 80
    assert f"Other · DE {SENTENCE}" == " ".join([first[14:].strip(), second.strip()])


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


def test_the_sessions_own_account_is_not_repeated() -> None:
    """Only another one is named."""
    assert "US.a" not in "".join(printed(accounts=[{"key": "US.a", "label": None}]))


@pytest.mark.parametrize(
    ("status", "outcome", "mark", "recovered_by", "line"),
    [
        ("succeeded", "ok", "succeeded", None, "✔ succeeded  bake  s"),
        ("succeeded", "problems", "problems", None, "✘ succeeded with problems  bake  s"),
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


def test_the_status_is_said_once_a_minute_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A log of a waiting command is neither silent nor full."""
    out = StringIO()
    status = StatusLine()
    status.text = "1 of 3 loaded, waiting for Amazon"
    started = time.monotonic()
    for seconds in (5, 30, 61, 62, 125):
        monkeypatch.setattr("time.monotonic", lambda now=started + seconds: now)
        status.print_regularly(Console(file=out, width=80))
    assert [
        "  ● running for 1 min 01 s: 1 of 3 loaded, waiting for Amazon",
        "  ● running for 2 min 05 s: 1 of 3 loaded, waiting for Amazon",
    ] == out.getvalue().splitlines()


def reference(second: int, told: str) -> dict[str, object]:
    """Return an action of a window's timeline."""
    return {
        "session_id": "s",
        "session_status": "succeeded",
        "session_mark": "succeeded",
        "job_name": "poll-reports",
        "url": "http://here/s",
        "type": "request-retried",
        "at": f"2026-07-25T12:00:{second:02}+00:00",
        "tone": "neutral",
        "text": told,
        "parts": [{"kind": "text", "text": told}],
    }


def test_an_explanation_tells_the_newest_first_and_what_repeats_once() -> None:
    """Actions that repeat are one line."""
    facts = dict.fromkeys(("status", "next_refresh_at", "as_of", "is_final", "row_count"))
    told = {
        "account": "US.a",
        "account_label": "Shop · US",
        "dataset": "daily_targets",
        "window": "2026-07-20",
        "verdict": {
            "severity": "fine",
            "state": "fresh",
            "sentence": "It is fresh.",
            "advice": "",
            "session": None,
        },
        "reports": {},
        "facts": {
            "window": facts,
            "request": None,
            "account": None,
            "gate": None,
        },
        "timeline": [
            reference(1, "Queued it"),
            *(reference(n, f"Attempt {n} failed") for n in (2, 3, 4)),
        ],
    }
    out = StringIO()
    print_explanation(Console(file=out, width=80), told)
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert [
        "2026-07-25 12:00:04 │ Attempt 4 failed (3 × like this)",
        "2026-07-25 12:00:01 │ Queued it",
    ] == lines[-2:]
