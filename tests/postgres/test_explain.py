"""Why a window is as it is: state, severity, sentences, and the session that proves them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.explain import NO_WINDOW_STATE, Question, explain_worst
from bidbeacon_pipelines.requests.queries import lock_request
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import want_windows
from bidbeacon_sessions import SessionStore
from tests.postgres.explaining import explained, explained_json
from tests.postgres.test_window_states import (
    DAY,
    HOUR_AGO,
    LONG_AGO,
    NOW,
    REFUSED,
    SOON,
    SUSPICIOUS,
    WANTED,
    add_window,
)
from tests.postgres.test_window_states import LOADED as LOADED_ONCE
from tests.support.rows import add_account, change_windows, remove_requests
from tests.support.world import DATASET, World

pytestmark = pytest.mark.datasets(DATASET.name)
T14, T30 = (datetime(2026, 7, day, 7, tzinfo=UTC) for day in (15, 31))
INSTANTS = {"SOON": SOON, "HOUR AGO": HOUR_AGO, "LONG AGO": LONG_AGO, "T30": T30, "T14": T14}
LOADED = LOADED_ONCE | {"row_count": 1_200}
FAILED = {"cause": {"code": "report-failed", "status": "FAILED", "detail": {"reason": "No ink"}}}
LOST = {"cause": {"code": "rows-lost", "detail": {"new_rows": 1, "old_rows": 11}}}
IN_FLIGHT = {"sent_at": LONG_AGO, "amazon_status": "PENDING", "next_step_at": SOON}
SENT = {"status": "sent", "report_id": None, "attempts": 1, "sent_at": HOUR_AGO}
PLANNED = {"status": "planned", "report_id": None, "created_at": HOUR_AGO}
BROKEN = {"status": "completed", "loads": 1, "next_step_at": SOON}
PLANS = "The next refresh, within a minute, plans a report for it."

CASES: dict[str, tuple[dict[str, Any], Severity, str]] = {
    "it follows its offsets": (
        LOADED | {"data_as_of": T14, "next_refresh_at": T30},
        Severity.FINE,
        "It has 1,200 rows as of T14. The refresh T+30 follows at T30.",
    ),
    "final": (
        LOADED,
        Severity.FINE,
        "It has 1,200 rows as of HOUR AGO. No further refresh is scheduled.",
    ),
    "not due yet": (
        {"next_refresh_at": SOON},
        Severity.FINE,
        "It has no data yet, as expected. The refresh T+14 is the first, at SOON.",
    ),
    "due": (
        {"next_refresh_at": HOUR_AGO},
        Severity.WAITING,
        f"Its first report has been due since HOUR AGO. {PLANS}",
    ),
    "due by its cadence": (
        {"next_refresh_at": HOUR_AGO, "next_run_at": SOON},
        Severity.WAITING,
        (
            "Its first report has been due since HOUR AGO. "
            "It is requested at SOON, the next refresh of its ads account."
        ),
    ),
    "loaded and overdue": (
        LOADED | {"data_as_of": T14, "next_refresh_at": LONG_AGO},
        Severity.ERROR,
        f"A refresh has been overdue since LONG AGO. {PLANS}",
    ),
    "wanted though it is fresh": (
        LOADED | WANTED | {"next_refresh_at": SOON},
        Severity.WAITING,
        "Ann has requested it. The next run, within a minute, requests it.",
    ),
    "planned": (
        {"request": PLANNED},
        Severity.WAITING,
        (
            "A report for 2026-07-01 has been planned since HOUR AGO. "
            "It is requested within two minutes."
        ),
    ),
    "sent without an answer": (
        {"request": SENT | {"next_step_at": SOON}},
        Severity.WAITING,
        (
            "It was requested at HOUR AGO, and no response arrived (attempt 1 of 5). "
            "Amazon may still create the report; it is requested again at SOON."
        ),
    ),
    "in flight": (
        {"request": IN_FLIGHT},
        Severity.WAITING,
        (
            "Amazon has been creating report r for 2026-07-01 since LONG AGO (PENDING). "
            "The next poll is at SOON."
        ),
    ),
    "in flight for long": (
        {"request": IN_FLIGHT | {"late_at": HOUR_AGO}},
        Severity.WARNING,
        (
            "Amazon has been creating report r for 2026-07-01 since LONG AGO, far longer than usual "
            "(PENDING). The next poll is at SOON; it is requested again at 2026-07-25 23:00:00 UTC."
        ),
    ),
    "to be requested again": (
        {"request": PLANNED | FAILED | {"attempts": 1, "next_step_at": SOON}} | FAILED,
        Severity.WARNING,
        "Attempt 1 of 5 failed: Amazon reported FAILED (No ink). It is requested again at SOON.",
    ),
    "complete": (
        {"request": {"status": "completed"}},
        Severity.WAITING,
        "Report r is complete at Amazon. It is loaded within two minutes.",
    ),
    "complete, with a broken file": (
        {"request": BROKEN},
        Severity.WAITING,
        "Attempt 1 of 3 to load report r failed. BidBeacon tries again at SOON.",
    ),
    "failed": (
        {"status": "failed", "next_refresh_at": SOON} | FAILED,
        Severity.ERROR,
        "Its report failed: Amazon reported FAILED (No ink). It is requested again at SOON.",
    ),
    "suspicious": (
        LOADED | SUSPICIOUS | LOST | {"next_refresh_at": SOON},
        Severity.WARNING,
        (
            "Its last report is suspicious: The report lost nearly all rows: 1 instead of 11. "
            "It is requested again at SOON."
        ),
    ),
    "never loaded in time": (
        {"expires_at": HOUR_AGO},
        Severity.ERROR,
        "It was never loaded, and Amazon has not served it since HOUR AGO.",
    ),
    "paused": (
        LOADED | {"paused": True},
        Severity.WARNING,
        "It is not requested: The account is paused. It keeps its 1,200 rows as of HOUR AGO.",
    ),
    "disabled": (
        {"amazon_status": "DISABLED"},
        Severity.WARNING,
        "It is not requested: Amazon has disabled the account.",
    ),
    "refused": (REFUSED, Severity.ERROR, "It is not requested: Amazon refused the account."),
}
"""Columns of a window, its account and its request; what is said of it, instants by their names."""


@pytest.mark.parametrize(("columns", "severity", "said"), CASES.values(), ids=CASES)
def test_a_window_says_why_it_is_as_it_is_and_what_happens_next(
    session_store: SessionStore, columns: dict[str, Any], severity: Severity, said: str
) -> None:
    """In two sentences."""
    with session_store.begin() as connection:
        add_window(connection, 0, columns)
        asked = Question(get_account(connection, "US.one0"), DATASET, DAY, NOW)
        told = explain_worst(connection, Settings(), asked)
    sentence = told.sentence
    for name, at in INSTANTS.items():
        sentence = sentence.replace(f"{at:%Y-%m-%d %H:%M:%S} UTC", name)
    assert (severity, said) == (told.severity, sentence)


@pytest.mark.parametrize(
    ("day", "columns", "severity", "said"),
    [
        (date(2020, 2, 29), {}, Severity.FINE, "Amazon serves daily_targets only back to"),
        (date(2026, 7, 26), {}, Severity.FINE, "is requested at 2026-07-27 07:00:00 UTC."),
        (DAY, {}, Severity.WAITING, "The account's next refresh creates and requests it."),
        (DAY, {"paused": True}, Severity.WARNING, "It is not requested: The account is paused."),
    ],
    ids=["past the history", "tomorrow", "of a new account", "of a paused account"],
)
def test_a_day_without_a_window_says_why(
    session_store: SessionStore, day: date, columns: dict[str, Any], severity: Severity, said: str
) -> None:
    """A day that Amazon does not serve stays empty; others come."""
    with session_store.begin() as connection:
        asked = Question(add_account(connection, **columns), DATASET, day, NOW)
        told = explain_worst(connection, Settings(), asked)
    assert (NO_WINDOW_STATE, severity, True) == (told.state, told.severity, said in told.sentence)


TODAY = date(2026, 1, 15)
AT_AMAZON = TODAY - timedelta(days=3)
"""A day of the tests with a sandbox."""


def says(world: World, account: Account, state: str, said: str, day: date = AT_AMAZON) -> None:
    """Check the state of a window, and what its sentences have."""
    told = explained(world, account, day)
    assert (state, True) == (told.state, said in told.sentence), told.sentence


def proves(world: World, account: Account, kind: str) -> bool:
    """Return whether the session that proves an explanation recorded an action of this type."""
    session = explained_json(world, account, AT_AMAZON)["verdict"]["session"]
    found = "SELECT FROM session_actions WHERE type = :kind AND session_id = CAST(:id AS uuid)"
    return bool(world.query(found, kind=kind, id=session["id"]))


def test_a_planned_window_waits_for_a_place_at_the_gate(world: World) -> None:
    """With two reports in flight the oldest windows wait for one of them to end."""
    account = world.account("JP")
    world.refresh(account)
    due = "SELECT min(window_date) FROM report_windows WHERE request_id IS NULL AND next_refresh_at < :now"
    said = "is planned, and is requested when one of the 2 report slots of FE is free"
    says(world, account, "due", said, world.value(due, now=world.context.now()))


def test_a_planned_window_waits_while_amazon_refuses_to_make_more(world: World) -> None:
    """After a 429 the sentence says until when nothing is created, and why."""
    world.break_with("answer", "create_report", times=1, status=429, retry_after=1800)
    account = world.account("JP")
    world.refresh(account)
    said = "after 2026-01-15 12:30:00 UTC, since Amazon throttled report creation in FE (429)"
    says(world, account, "due", said, TODAY - timedelta(days=300))


def test_a_due_window_waits_for_the_other_countries(world: World) -> None:
    """London's midnight is an hour after Berlin's: one report serves both, and Berlin's window waits for it."""
    germany, britain = world.account("DE"), world.account("GB")
    for account in (germany, britain):
        world.sync_entities(account)
    world.plan(germany)
    remove_requests(world.engine)
    change_windows(world.engine, ReportWindow.window_date < TODAY, next_refresh_at=None)
    night = datetime(2026, 1, 15, 23, 1, tzinfo=UTC)
    world.jump(night)
    world.plan(germany)
    said = "It waits for other countries that the same report covers, until 2026-01-16 05:00:00 UTC"
    says(world, germany, "due", said, TODAY)
    with world.engine.begin() as connection:
        want_windows(connection, germany, DATASET.name, [TODAY], "maria", now=night)
    says(world, germany, "due", "The next run, within a minute", TODAY)


def test_a_report_that_amazon_ended_is_explained_until_its_window_has_failed(world: World) -> None:
    """Amazon's own word and reason in both; the session that found it out proves it."""
    world.break_with("report_ends", reason="Out of ink")
    account = world.account()
    world.load(account, AT_AMAZON)
    says(world, account, "requested", "Out of ink). It is requested again at")
    assert proves(world, account, "request-retried")
    for _ in range(20):
        world.advance(minutes=50)
        world.step()
    says(world, account, "failed", "Its report failed: Amazon reported FAILED (")
    assert proves(world, account, "report-failed")


def test_a_living_session_that_works_on_a_request_proves_it(world: World) -> None:
    """Its step is taken right now; once the session has ended, at the instant that is stored."""
    account = world.account()
    world.break_with("answer", "create_report", times=1, status=429, retry_after=1)
    request_id = world.ask(account, AT_AMAZON)
    with world.session() as session:
        with world.engine.begin() as connection:
            assert lock_request(connection, request_id, session.session_id) is not None
        says(world, account, "requested", "it is requested again right now")
        proof = explained_json(world, account, AT_AMAZON)["verdict"]["session"]
        assert str(session.session_id) == proof["id"]
    says(world, account, "requested", "it is requested again at")


def test_the_answer_has_state_facts_and_timeline(world: World) -> None:
    """What refers to the window, oldest first, each with its session's address; instants in ISO 8601."""
    account = world.account()
    world.load(account, AT_AMAZON)
    world.load(account, AT_AMAZON - timedelta(days=1))
    told = explained_json(world, account, AT_AMAZON)
    assert ["queued", "requested", "loaded"] == [action["effect"] for action in told["timeline"]]
    assert all(action["url"].endswith(action["session_id"]) for action in told["timeline"])
    assert told["facts"]["window"]["row_count"] == world.window(account, AT_AMAZON).row_count
    assert told["facts"]["account"]["account_key"] == told["account"] == account.account_key
    assert datetime.fromisoformat(told["at"]) == world.context.now()
    verdict = told["verdict"]
    assert ("fresh", None, "") == (verdict["state"], verdict["cause"], verdict["advice"])
