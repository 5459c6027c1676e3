"""Days that were final keep their rows, whatever comes later with far less: a person accepts it, or keeps ours."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.rules import NothingToDoError
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.problems import alerts
from bidbeacon_pipelines.problems.finding_actions import act
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.windows.wanted import decide_days
from bidbeacon_pipelines.windows.wanted_queries import (
    claim_windows,
    give_up_claims,
    list_wanted,
    want_windows,
)
from tests.postgres.explaining import explained, findings
from tests.support.commands import run_command
from tests.support.jobs import make_windows
from tests.support.reading import call
from tests.support.rows import simulate_time
from tests.support.world import DATASET, Row, World

TODAY = date(2026, 1, 15)
DAYS = [TODAY - timedelta(days=ago) for ago in (92, 91, 90)]
YOUNG = TODAY - timedelta(days=3)


@pytest.fixture
def account(world: World) -> Account:
    """Return an account with three final days and a young one, of which Amazon has no rows any more."""
    found = world.account()
    # Decisions use the database's time: later than the world's, the days would expire undecided.
    simulate_time(world.engine, ahead_by=world.context.now() - datetime.now(UTC))
    world.load(found, *DAYS)
    world.load(found, YOUNG)
    world.break_with("rows", change="vanish", share=1)
    return found


def load_again(world: World, account: Account, *days: date) -> None:
    """Load days again by hand, 25 minutes later."""
    world.advance(minutes=25)
    world.load(account, *(days or DAYS))


def stored(world: World, account: Account) -> list[set[Row]]:
    """Return the stored rows of the final days."""
    return [world.stored_rows(account, day) for day in DAYS]


def lost(world: World) -> list[Finding]:
    """Return what is wrong with rows that were lost."""
    return findings(world, "final-rows-lost", "rows-removed")


def sums(world: World, account: Account, *days: date) -> str:
    """Return the number of rows of some days, and their spend, as a finding shows them."""
    [found] = world.query(
        f"SELECT count(*), sum(spend) AS spend FROM {DATASET.name} WHERE account = :id AND window_date = ANY(:days)",
        id=account.id,
        days=list(days),
    )
    return f"{found['count']:,}, {found['spend']:,.2f} {account.currency_code}"


def decide(world: World, account: Account, *, accepts: bool) -> list[date]:
    """Decide about the final days."""
    asked = (world.sessions, world.context.settings, account, DATASET, DAYS)
    return decide_days(*asked, accepts=accepts, by="maria")


def actions(world: World, kind: str) -> list[Mapping[str, Any]]:
    """Return by whom and about which days an action was recorded."""
    return [{name: one[name] for name in ("by", "windows")} for one in world.actions(kind)]


DECIDED = [{"by": "maria", "windows": list(map(str, DAYS))}]


def test_final_days_keep_their_rows_whatever_comes_later(world: World, account: Account) -> None:
    """Equal empty reports confirm nothing: the days stay final and are suspicious, and no other report is asked for."""
    rows = stored(world, account)
    for _ in range(3):
        load_again(world, account)
        assert rows == stored(world, account)
    told = explained(world, account, DAYS[0])
    is_final = told.window and told.window["is_final"]
    assert ("suspicious", True, None) == (told.state, is_final, told.next_at)
    asked = world.reports_made()
    world.advance(days=2)
    make_windows(world, account, again=True)
    world.refresh(account)
    windows = world.windows(account, *DAYS)
    assert DAYS == [window.window_date for window in windows]
    for window in windows:
        assert ("loaded", None) == (window.status, window.next_refresh_at)
        assert window.request_id is None
    assert world.reports_made() > asked
    assert "suspicious" == explained(world, account, DAYS[0]).state


def test_a_finding_says_what_amazon_says_now_and_what_is_kept(
    world: World, account: Account
) -> None:
    """One of all days of a dataset of an account, with rows and money of both."""
    load_again(world, account)
    [found] = lost(world)
    rows, spend = sums(world, account, *DAYS).split(", ", 1)
    assert (
        f"A report has far fewer rows for final days of daily_targets than are loaded: 0 instead of {rows}, "
        f"spend 0.00 {account.currency_code} instead of {spend}."
    ) == found.sentence
    assert (3, "accept", (account.label,)) == (found.count, found.action, found.names)
    waiting = f"3 days waiting for a decision, {DAYS[0]} to {DAYS[2]}"
    assert waiting == found.effects[0].text


def test_an_accepted_report_is_taken_and_uses_the_acceptance_up(
    world: World, account: Account
) -> None:
    """The days are asked for; who accepted is stored with the removed rows, which nobody else has to acknowledge. Rows that come later are taken again."""
    load_again(world, account)
    kept, [found] = sums(world, account, *DAYS), lost(world)
    said = act(world.sessions, world.context.settings, found.key, by="maria")["message"]
    assert "Accepted 3 days" in said
    assert [] == lost(world)
    window = world.window(account, DAYS[0])
    assert ("accept", "maria", "maria") == (window.decision, window.decided_by, window.wanted_by)
    assert "within a minute" in explained(world, account, DAYS[0]).sentence
    load_again(world, account)
    assert [set(), set(), set()] == stored(world, account)
    window = world.window(account, DAYS[0])
    assert (None, None, None) == (window.decision, window.cause, window.suspicious_digest)
    [removed] = world.query("SELECT * FROM row_removals")
    assert f"{removed['rows']}, {removed['spend']:,.2f} {removed['currency_code']}" == kept
    assert ("maria", DAYS, []) == (removed["acknowledged_by"], removed["days"], lost(world))
    assert DECIDED == actions(world, "report-accepted")
    assert "fresh" == explained(world, account, DAYS[0]).state


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "report_ends", "status": "FAILED"}, id="the report fails"),
        pytest.param({"kind": "rows", "change": "negative_metric", "share": 1}, id="bad rows"),
    ],
)
def test_an_acceptance_waits_until_a_report_is_taken(
    world: World, account: Account, fault: dict[str, Any]
) -> None:
    """A report that fails, or whose rows are refused, uses nothing up: the finding comes back, and the question stays the same."""
    load_again(world, account)
    before, why = lost(world), world.window(account, DAYS[0]).cause
    decide(world, account, accepts=True)
    world.sandbox.state.rules.clear()
    world.break_with(**fault)
    load_again(world, account)
    for _ in range(10):
        world.advance(minutes=50)
        world.step()
    assert [one.key for one in before] == [one.key for one in lost(world)]
    window = world.window(account, DAYS[0])
    assert ("accept", why, None) == (window.decision, window.cause, window.next_refresh_at)


def test_accepted_days_are_free_of_a_claim_that_was_given_up(
    world: World, account: Account
) -> None:
    """Also while the session that gave them up still lives, so that another one loads them."""
    load_again(world, account)
    of = (account, DATASET.name)
    with world.session("load-windows") as session:
        call(world.engine, want_windows, *of, DAYS, "anna", now=world.context.now())
        call(world.engine, claim_windows, *of, DAYS, session.session_id, by="anna")
        call(world.engine, give_up_claims, *of, session.session_id)
        decide(world, account, accepts=True)
        [wanted] = call(world.engine, list_wanted)
    assert ("maria", DAYS, None) == (wanted["wanted_by"], wanted["windows"], wanted["session_id"])


def test_whoever_keeps_ours_is_asked_again_by_the_next_load(world: World, account: Account) -> None:
    """The days are fresh and final as before; the same report, loaded by hand later, is suspicious in its turn."""
    load_again(world, account)
    rows, [found] = stored(world, account), lost(world)
    act(world.sessions, world.context.settings, found.key, by="maria", keeps=True)
    assert ([], DECIDED) == (lost(world), actions(world, "rows-kept"))
    told, window = explained(world, account, DAYS[0]), world.window(account, DAYS[0])
    assert ("fresh", True) == (told.state, told.window and told.window["is_final"])
    assert ("keep", "maria", None) == (window.decision, window.decided_by, window.cause)
    load_again(world, account)
    assert ([found.key], rows) == ([one.key for one in lost(world)], stored(world, account))


def test_only_days_that_wait_for_a_decision_are_decided(world: World, account: Account) -> None:
    """Nothing is recorded for others, and nothing is accepted for a paused account."""
    for accepts in (True, False):
        with pytest.raises(NothingToDoError, match="No report of these days"):
            decide(world, account, accepts=accepts)
    load_again(world, account)
    world.pause(account)
    with pytest.raises(NothingToDoError, match="No reports are requested"):
        decide(world, world.account_in(*account.identity.values()), accepts=True)
    assert [] == world.query("SELECT 1 FROM session_headers WHERE job_name = 'decide-windows'")


def test_a_failed_load_leaves_final_days_final(world: World, account: Account) -> None:
    """So no retry can find them unprotected; who asked for it is told."""
    world.sandbox.state.rules.clear()
    world.break_with("rows", change="negative_metric", share=1)
    load_again(world, account)
    window = world.window(account, DAYS[0])
    assert ("loaded", None) == (window.status, window.next_refresh_at)
    assert "rows-invalid" == (window.cause or {})["code"]


def test_removed_rows_of_younger_days_stay_a_finding_until_acknowledged(
    world: World, account: Account
) -> None:
    """The second empty report is believed; what it removed is told with its spend, and who acknowledged it is stored."""
    rows, spend = sums(world, account, YOUNG).split(", ", 1)
    load_again(world, account, YOUNG)
    assert [] == lost(world)
    load_again(world, account, YOUNG)
    world.advance(days=30)
    [found] = lost(world)
    why = "because two reports in a row did not have them."
    assert f"Removed {rows} rows of daily_targets, spend {spend}, {why}" == found.sentence
    settings, now = world.context.settings, world.context.now()
    with world.engine.begin() as connection:
        alerts.acknowledge(connection, settings, now, found.key, by="maria", note="true")
    assert [] == lost(world)
    [removed] = world.query("SELECT acknowledged_by, acknowledged_at, note FROM row_removals")
    assert {"acknowledged_by": "maria", "acknowledged_at": now, "note": "true"} == removed


def test_commands_decide_as_the_buttons_do(
    world: World, account: Account, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a range of days those that wait for a decision; without any the command says so, and exits with 2."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    load_again(world, account)
    days = ("--account", account.account_key, "--window", f"{DAYS[0]}..{YOUNG}")
    for name, code, said in (
        ("accept", 0, f"Accepted 3 days of daily_targets of {account.label}"),
        ("keep", 0, f"Kept the rows of 3 days of daily_targets of {account.label}."),
        ("keep", 2, "waits for a decision"),
    ):
        assert said in " ".join(run_command("windows", name, *days, code=code).output.split())
    assert ["command line"] == [one["by"] for one in world.actions("rows-kept")]
    assert None is world.window(account, DAYS[0]).wanted_by


def test_what_was_accepted_is_not_lost_where_its_report_is_split(
    world: World, account: Account
) -> None:
    """A part that fails leaves the question, and since when it is asked."""
    load_again(world, account)
    [found] = lost(world)
    world.break_with("refuse", "create_report", times=1, reason="too_large")
    world.break_with("refuse", "create_report", code="400013", message="No", as_207=True)
    decide(world, account, accepts=True)
    load_again(world, account)
    assert {"final-rows-lost"} == {one.code for one in lost(world)}
    assert [found.since] == [one.since for one in lost(world)]
