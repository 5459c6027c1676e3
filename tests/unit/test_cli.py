"""What the command line understands, without a database."""

import os
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.cli.days import parse_days, parse_windows
from bidbeacon_sessions.errors import UsageError

TODAY = date(2026, 3, 4)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ("2026-11-23", (11, 23), (11, 23)),
        ("2026-11-23..2026-11-23", (11, 23), (11, 23)),
        ("2026-02-27..2026-03-01", (2, 27), (3, 1)),
        ("today", (3, 4), (3, 4)),
        ("yesterday", (3, 3), (3, 3)),
        ("2026-02-27..yesterday", (2, 27), (3, 3)),
        ("7d", (2, 25), (3, 3)),
        ("1w", (2, 25), (3, 3)),
        ("this-week", (3, 2), (3, 4)),
        ("last-week", (2, 23), (3, 1)),
        ("Last week", (2, 23), (3, 1)),
        ("this-month", (3, 1), (3, 4)),
        ("last-month", (2, 1), (2, 28)),
    ],
)
def test_a_window_is_a_day_or_days_with_both_ends(
    given: str, first: tuple[int, int], last: tuple[int, int]
) -> None:
    """Dates, and the words and ranges of the page; a span ends with the last day that is over."""
    days = parse_days(given, TODAY)
    assert (date(2026, *first), date(2026, *last)) == (days[0], days[-1])
    assert len(days) == (days[-1] - days[0]).days + 1


@pytest.mark.parametrize(
    "given",
    ["soon", "2026-02-30", "..", "2026-11-23..soon", "7d..today", "12h", "0d", "99999w99999d"],
)
def test_what_is_no_day_is_refused_with_what_was_expected(given: str) -> None:
    """The message names all forms, and what came."""
    with pytest.raises(UsageError) as caught:
        parse_days(given, TODAY)
    assert (
        "window: expected a day (2026-11-23, today, yesterday) or days (2026-11-01..2026-11-07, "
        f"7d, this-week, last-week, this-month, last-month), got: {given!r}." == str(caught.value)
    )


def test_more_days_than_can_be_meant_are_refused() -> None:
    """However many ranges they come in."""
    with pytest.raises(UsageError) as caught:
        parse_windows(["1970-01-01..1989-12-31", "1980-01-01..2026-11-23"], TODAY)
    assert "window: expected at most 10,000 days, got: 20,781." == str(caught.value)


@pytest.mark.parametrize("command", [(), ("accounts",), ("load",), ("db", "upgrade")])
def test_h_is_help_of_every_command(command: tuple[str, ...]) -> None:
    """The same as `--help`, for groups and their commands too."""
    short, long = (CliRunner().invoke(app, [*command, option]) for option in ("-h", "--help"))
    assert (0, long.output) == (short.exit_code, short.output)


def test_the_version_is_that_of_the_package() -> None:
    """One line, without a database."""
    assert f"bidbeacon {version('bidbeacon')}\n" == CliRunner().invoke(app, ["--version"]).output


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
