"""How sessions and their actions are printed in a terminal of 80 columns."""

from collections.abc import Callable
from typing import Any

import pytest

from bidbeacon_pipelines.cli.output import print_lines
from bidbeacon_sessions.terminal import Line, action_line, session_line

AT = "2026-07-25T12:00:00+00:00"
SENTENCE = "Queued 14 report windows of daily_targets, which is a long sentence that has to be broken at 80 columns"


Printed = Callable[[Line], list[str]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """Return a function that returns a line as it is printed in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def lines(line: Line) -> list[str]:
        print_lines([line])
        return capsys.readouterr().out.splitlines()

    return lines


def shown(accounts: str = "DE.b") -> dict[str, Any]:
    """Return an action with a long sentence."""
    return {
        "ord": 1,
        "type": "windows-queued",
        "at": AT,
        "tone": "neutral",
        "accounts": [{"key": accounts, "label": "Other · DE"}],
        "parts": [{"kind": "text", "text": SENTENCE}],
        "payload": {},
    }


def test_a_broken_sentence_hangs_below_its_beginning(printed: Printed) -> None:
    """Nothing of it stands below the time, and it is whole."""
    first, second = printed(action_line(shown(), "US.a"))
    assert first[12:].startswith("│ Other · DE Queued 14")
    assert (" " * 14, True) == (second[:14], second[14] != " ")
    assert max(len(first), len(second)) <= 80
    assert f"Other · DE {SENTENCE}" == " ".join([first[14:].strip(), second.strip()])


def test_the_sessions_own_account_is_not_repeated(printed: Printed) -> None:
    """Only another one is named."""
    assert "Other" not in "".join(printed(action_line(shown("US.a"), "US.a")))


def test_a_long_line_of_a_session_hangs_behind_its_mark(printed: Printed) -> None:
    """No line is wider than the terminal, and time and mark stand alone at the left."""
    became = {"status": "failed", "outcome": "ok", "mark": "retried", "recovered_by": "later"}
    what = {"job_name": "load-windows", "account": "US.a", "account_label": "Acme · US"}
    session = became | what | {"id": "i" * 36, "duration": 5.9}
    first, *others = printed(session_line(session, AT))
    assert first[20:].startswith("↻ failed, recovered by a later attempt  load-windows")
    assert [(" " * 22, True)] == [(line[:22], line[22] != " ") for line in others]
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
    status: str, outcome: str, mark: str, recovered_by: str | None, line: str, printed: Printed
) -> None:
    """A failed attempt whose work another one took up is no problem."""
    became = {"status": status, "outcome": outcome, "mark": mark, "recovered_by": recovered_by}
    session = became | {"id": "s", "job_name": "bake", "account": None, "duration": None}
    [shown] = printed(session_line(session, AT))
    assert line == shown[20:]
