"""`bidbeacon accounts cadence`: what it sets, shows and refuses."""

from collections.abc import Sequence

import pytest

from tests.support.commands import json_of, run_command, unwrapped
from tests.support.world import World


def cadence(world: World, *options: str) -> tuple[str, ...]:
    """Return the words of the command for the US account."""
    return ("accounts", "cadence", world.account("US").account_key, *options)


def shown(world: World) -> tuple[str, bool]:
    """Return what the command shows: the cadence, and whether a next round is known."""
    told = json_of(*cadence(world))
    return told["cadence"], told["next_run_at"] is not None


def test_a_cadence_is_set_shown_and_taken_away(stocked: World) -> None:
    """A duration, a cron in the account's time zone, and the default again; `accounts list` tells it too."""
    assert shown(stocked) == ("as soon as due", False)
    run_command(*cadence(stocked, "--every", "6h"))
    assert shown(stocked) == ("every 6 hours", True)
    said = unwrapped(run_command(*cadence(stocked, "--cron", "0 6 * * *")).stdout)
    assert "Acme Merch is refreshed cron 0 6 * * *, next at" in said
    assert "06:00 (America/Los_Angeles)" in said
    listed = {account["schedule"]["cadence"] for account in json_of("accounts", "list")}
    assert {"cron 0 6 * * *", "as soon as due"} == listed
    run_command(*cadence(stocked, "--as-soon-as-due"))
    assert shown(stocked) == ("as soon as due", False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--every", "soon"], "expected a duration like 6h"),
        (["--every", "1m"], "expected an interval of 5 minutes to 31 days"),
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
    run_command(*cadence(stocked, "--every", "2h"))
    refused = run_command(*cadence(stocked, *options), code=2)
    assert said in unwrapped(refused.stderr)
    assert shown(stocked) == ("every 2 hours", True)
