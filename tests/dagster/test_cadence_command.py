"""`bidbeacon accounts cadence`: what it sets, shows and refuses."""

import json
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner, Result

from bidbeacon_pipelines.cli import app
from tests.support.world import World


def cadence(world: World, *options: str) -> Result:
    """Run the command for the US account."""
    return CliRunner().invoke(
        app, ["accounts", "cadence", world.account("US").account_key, *options]
    )


def as_json(world: World) -> tuple[str, bool]:
    """Return what the command shows: the cadence, and whether a next round is known."""
    told = json.loads(cadence(world, "--json").stdout)
    return told["cadence"], told["next_look_at"] is not None


def test_the_default_is_as_soon_as_due(stocked: World) -> None:
    """Without options the command shows, and changes nothing."""
    assert as_json(stocked) == ("as soon as due", False)


def test_a_cadence_is_set_shown_and_taken_away(stocked: World) -> None:
    """A duration, a cron in the account's time zone, and the default again; `accounts list` tells it too."""
    assert cadence(stocked, "--every", "6h").exit_code == 0
    assert as_json(stocked) == ("every 6 hours", True)
    said = " ".join(cadence(stocked, "--cron", "0 6 * * *").stdout.split())
    assert "Acme Merch is refreshed cron 0 6 * * *, next at" in said
    assert "06:00 (America/Los_Angeles)" in said
    listed = json.loads(CliRunner().invoke(app, ["accounts", "list", "--json"]).stdout)
    assert {"cron 0 6 * * *", "as soon as due"} == {
        account["schedule"]["cadence"] for account in listed
    }
    assert cadence(stocked, "--as-soon-as-due").exit_code == 0
    assert as_json(stocked) == ("as soon as due", False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--every", "soon"], "expected a duration like 6h"),
        (["--every", "1m"], "expected a time from 5 minutes to 31 days"),
        (["--cron", "0 6 * *"], "expected five fields"),
        (
            ["--cron", "0 6 * * *", "--every", "6h"],
            "expected one of --every, --cron and --as-soon-as-due",
        ),
    ],
)
def test_what_is_no_cadence_changes_nothing(
    stocked: World, options: Sequence[str], said: str
) -> None:
    """One line that says what is expected, exit code 2, and the old cadence stays."""
    cadence(stocked, "--every", "2h")
    result = cadence(stocked, *options)
    assert result.exit_code == 2
    assert said in result.stderr.replace("\n", " ")
    assert as_json(stocked) == ("every 2 hours", True)
