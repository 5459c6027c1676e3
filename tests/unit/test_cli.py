"""What the command line understands, without a database."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.cli.options import parse_days, parse_windows
from bidbeacon_sessions.errors import UsageError


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ("2026-11-23", [date(2026, 11, 23)]),
        ("2026-11-23..2026-11-23", [date(2026, 11, 23)]),
        ("2026-02-27..2026-03-01", [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]),
    ],
)
def test_a_window_is_a_day_or_days_with_both_ends(given: str, days: list[date]) -> None:
    """Both ends of a range belong to it, over the end of a month too."""
    assert days == parse_days(given)


@pytest.mark.parametrize("given", ["yesterday", "2026-02-30", "..", "2026-11-23..soon"])
def test_what_is_no_day_is_refused_with_what_was_expected(given: str) -> None:
    """The message names the two forms, and what came."""
    with pytest.raises(UsageError) as caught:
        parse_days(given)
    expected = f"window: expected 2026-11-23 or 2026-11-01..2026-11-07, got: {given!r}."
    assert expected == str(caught.value)


def test_more_days_than_can_be_meant_are_refused() -> None:
    """Before anything is opened, however many ranges they come in."""
    with pytest.raises(UsageError) as caught:
        parse_windows(["1970-01-01..1989-12-31", "1980-01-01..2026-11-23"])
    assert "window: expected at most 10,000 days, got: 20,781." == str(caught.value)


def test_without_a_command_the_help_is_shown() -> None:
    """`bidbeacon` alone lists its commands, a group its own, each with its first sentence."""
    assert "Bring an account up to date" in CliRunner().invoke(app, []).output
    assert "Stop refreshing an account" in CliRunner().invoke(app, ["accounts"]).output


def test_a_misspelt_command_is_refused_with_the_nearest() -> None:
    """Of a group too."""
    for arguments, nearest in ((["acounts", "list"], "accounts"), (["accounts", "puase"], "pause")):
        result = CliRunner().invoke(app, arguments)
        assert 2 == result.exit_code
        assert f"Did you mean '{nearest}'?" in " ".join(result.output.replace("│", " ").split())


INTERRUPTED_WHILE_FREEING = """
import signal, sys, time
from bidbeacon_pipelines import cli
from bidbeacon_pipelines.__main__ import main

class Freed:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

@cli.app.command()
def wait():
    Freed()
    time.sleep(30)

sys.argv = ["bidbeacon", "wait"]
main()
"""


def test_ctrl_c_while_an_object_is_freed_ends_any_command() -> None:
    """Python ignores what a destructor raises, so the signal is sent again."""
    command = [sys.executable, "-c", INTERRUPTED_WHILE_FREEING]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (130, "") == (ended.returncode, ended.stderr)


def test_a_shell_completes_commands() -> None:
    """Of a group too, by the installed program."""
    asked = {"_BIDBEACON_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    environment = os.environ | asked | {"COMP_WORDS": "bidbeacon accounts re"}
    program = Path(sys.executable).with_name("bidbeacon")
    completed = subprocess.run(
        [program], env=environment, capture_output=True, text=True, check=True
    )
    assert ["resume", "rename"] == completed.stdout.split()
