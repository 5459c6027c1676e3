"""How the actions of a session and the loads of a window are printed in a terminal of 80 columns."""

from io import StringIO

from rich.console import Console

from bidbeacon_pipelines.cli.session_output import print_action

SENTENCE = (
    "Queued 14 report windows of daily_targets, which is a long sentence that has to be broken at 80 columns"
)


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


def test_the_sessions_own_account_is_not_repeated() -> None:
    """Only another one is named."""
    assert "US.a" not in "".join(printed(accounts=[{"key": "US.a", "label": None}]))
