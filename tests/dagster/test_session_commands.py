"""`bidbeacon sessions list` and `show`: filters, and progress of what runs."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest

from bidbeacon_pipelines.actions import ReportFailed, ReportProcessed, WindowsQueued
from bidbeacon_pipelines.cli.sessions import complete_filter
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.filters import parse_terms
from tests.support.commands import json_of, run_command, unwrapped

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FACTS = {"account": "US.a", "dataset": "daily_targets", "windows": [date(2026, 11, 23)]}


@pytest.fixture
def store(
    session_store: SessionStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> SessionStore:
    """Return a store that the command line works on too: one session failed a report, an older one of another account loaded one."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    get_settings.cache_clear()
    long_ago = datetime.now(UTC) - timedelta(days=2)
    other = {"account": "DE.b", "dataset": "hourly_targets", "windows": [date(2026, 11, 20)]}
    with with_job_session("poll-reports", store=session_store, clock=lambda: long_ago) as session:
        session.add(ReportProcessed(**other, request_id=2, report_id="rpt-2", rows=3))

    with with_job_session(
        "refresh-account", store=session_store, account=Subject("US.a"), run_id="run-1"
    ) as session:
        session.add(WindowsQueued(**FACTS, request_id=1))
        failed = {"code": "report-failed", "status": "FAILED"}
        session.add(ReportFailed(**FACTS, request_id=1, cause=failed))
    return session_store


@pytest.mark.parametrize(
    "terms",
    [
        "window:2026-11-23 account:US.a",
        "since:1d",
        "FAILED",
        "account:US.a status:succeeded outcome:problems type:windows-queued run:run-1 since:1h queued",
    ],
)
def test_each_term_finds_the_one_session_that_matches(store: SessionStore, terms: str) -> None:
    """Of two."""
    listed = json_of("sessions", "list", *terms.split())
    assert ["refresh-account"] == [session["job_name"] for session in listed]


def test_a_filter_that_nothing_matches_says_so(store: SessionStore) -> None:
    """Account and window are of one reference: another account's day does not count."""
    nothing = run_command("sessions", "list", "account:US.a", "window:2026-11-20")
    assert "No session matches." in nothing.stdout


def test_list_and_show_say_the_outcome(store: SessionStore) -> None:
    """In words, where it is not ok; the newest comes first."""
    bad, good = json_of("sessions", "list")
    assert ["ok", "problems"] == [good["outcome"], bad["outcome"]]
    shown = run_command("sessions", "show", bad["id"]).stdout
    assert "✘ finished, with problems  refresh-account" in shown
    assert "✔ succeeded  poll-reports" in run_command("sessions", "list").stdout
    missing = run_command("sessions", "show", str(UUID(int=0)), code=1)
    assert "`bidbeacon sessions list` shows the newest" in unwrapped(missing.stderr)


def test_a_running_session_shows_its_last_action(store: SessionStore) -> None:
    """Below its line."""
    with with_job_session("load-windows", store=store) as session:
        session.add(WindowsQueued(**FACTS))
        told = run_command("sessions", "list", "status:running").stdout
    first, _, last = told.rstrip().partition("\n")
    assert "● running  load-windows" in first
    assert "│ US.a Queued 1 report window of daily_targets 2026-11-23" in unwrapped(last)


def test_a_list_says_when_sessions_began(session_store: SessionStore, store: SessionStore) -> None:
    """It is in that order, so a long one is not listed by its end."""
    yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011 - as the list shows it
    noon = datetime.combine(yesterday, time(12)).astimezone()
    times = iter([noon, noon + timedelta(hours=3)])
    with with_job_session("long", store=session_store, clock=lambda: next(times)):
        pass
    line = f"{yesterday} 12:00:00 ✔ succeeded  long  3 h 00 min"
    assert line in run_command("sessions", "list").stdout


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("1d12h", NOW - timedelta(hours=36)),
        ("today", datetime(2026, 11, 23, tzinfo=UTC)),
        ("yesterday", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T05:00:00+02:00", datetime(2026, 11, 20, 3, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_instant_or_how_long_ago(value: str, instant: datetime) -> None:
    """Days and times without a zone are UTC."""
    assert instant == parse_terms([f"since:{value}"], NOW).since


@pytest.mark.parametrize(
    ("begun", "completed"),
    [
        ("st", ["status:"]),
        ("status:c", ["status:cancelled", "status:crashed"]),
        ("since:y", ["since:yesterday"]),
        ("job:x", []),
    ],
)
def test_a_shell_completes_terms(begun: str, completed: list[str]) -> None:
    """Their names, and the values that are few."""
    assert completed == complete_filter(begun)
