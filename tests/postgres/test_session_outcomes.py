"""The outcome of sessions, beside the status they ended with."""

from contextvars import copy_context
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from bidbeacon_sessions import Action, SessionStore, Subject, with_job_session
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.dagster import session_metadata
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.listing import read_sessions
from bidbeacon_sessions.queries import list_sessions
from bidbeacon_sessions.statistics import Span, count_by_interval
from tests.support.recorded_sessions import (
    LoafBaked,
    LoafBurnt,
    LoafDropped,
    execute,
    record,
    recorded,
)

OWN = Subject("US.own")


def _of(account: str) -> tuple[tuple[str, None, None], ...]:
    return ((account, None, None),)


def outcomes(store: SessionStore) -> list[tuple[str, str]]:
    """Status and outcome of each session, as the view has them."""
    return [(row.status, row.outcome) for row in recorded(store)]


def by_account(store: SessionStore) -> dict[str, str]:
    """The outcome for each account of the only session."""
    rows = execute(store, "SELECT account_key, outcome FROM job_session_accounts")
    return {row.account_key: row.outcome for row in rows}


def matching(store: SessionStore, **wanted: str) -> list[str]:
    """The jobs that a filter lists, newest first."""
    with store.snapshot() as connection:
        return [row["job_name"] for row in list_sessions(connection, SessionFilter(**wanted))]


@pytest.mark.parametrize(
    ("actions", "outcome"),
    [
        ([], "ok"),
        ([LoafBaked()], "ok"),
        ([LoafDropped(), LoafBaked()], "warnings"),
        ([LoafBurnt(), LoafDropped()], "problems"),
    ],
    ids=["nothing", "good", "doubtful", "bad"],
)
def test_outcome_is_the_worst_tone_while_it_runs_and_afterwards(
    session_store: SessionStore, actions: list[Action], outcome: str
) -> None:
    """A session that ran to its end although something failed has problems."""
    with with_job_session("x", store=session_store) as session:
        for action in actions:
            session.add(action)
        assert [("running", outcome)] == outcomes(session_store)
    assert [("succeeded", outcome)] == outcomes(session_store)


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [(LookupError, "failed", "problems"), (KeyboardInterrupt, "cancelled", "warnings")],
)
def test_failed_session_has_problems_and_cancelled_one_warnings(
    session_store: SessionStore, error: type[BaseException], status: str, outcome: str
) -> None:
    """Even where all of its actions are good: it did not finish."""
    with pytest.raises(error), with_job_session("x", store=session_store, account=OWN) as session:
        session.add(LoafBaked())
        raise error
    assert [(status, outcome)] == outcomes(session_store)
    assert {"US.own": outcome} == by_account(session_store)


def attempt(
    store: SessionStore,
    run_id: str,
    retry: int,
    *actions: Action,
    fails: bool,
    retry_of: str | None = None,
) -> None:
    """Record an attempt of the step that bakes."""
    options: dict[str, Any] = {"run_id": run_id, "step_key": "bake", "retry_number": retry}
    if retry_of is not None:
        options["labels"] = {"retry_of": retry_of}
    told = actions or (LoafBaked(),)
    record(store, "bake", *told, fails=fails, clock=utc_now, account=OWN, **options)


def test_failed_attempts_are_no_problem_once_a_retry_succeeded(session_store: SessionStore) -> None:
    """They stay failed, without problems: in filters, by account and in the histogram; another step's failure stays."""
    other: dict[str, Any] = {"run_id": "run", "step_key": "other", "account": None}
    record(session_store, "y", fails=True, clock=utc_now, **other)
    for retry, fails in enumerate([True, True, False]):
        problems = ["bake", "bake", "y"][-(retry + 1) :]
        assert problems == matching(session_store, outcome="problems")
        attempt(session_store, "run", retry, fails=fails)
    ends = [("failed", "problems"), ("failed", "ok"), ("failed", "ok"), ("succeeded", "ok")]
    assert ends == outcomes(session_store)
    assert ["y"] == matching(session_store, outcome="problems")
    assert {"US.own": "ok"} == by_account(session_store)
    now = utc_now()
    span = Span(now - timedelta(hours=1), now + timedelta(hours=1), timedelta(hours=2))
    with session_store.snapshot() as connection:
        marks = count_by_interval(connection, SessionFilter(), span)
    counted = {row["mark"]: row["sessions"] for row in marks or ()}
    assert {"failed": 1, "retried": 2, "succeeded": 1} == counted


def test_a_recovered_attempt_names_the_one_that_did_its_step(session_store: SessionStore) -> None:
    """In the view, in the list and in Dagster's metadata; of an unrecovered one they say no more than how it ended."""
    attempt(session_store, "run", 0, fails=True)
    attempt(session_store, "run", 1, fails=False)
    attempt(session_store, "other", 0, fails=True)
    listed = read_sessions(session_store, SessionFilter(), 10)["sessions"]
    other, later, first = listed
    assert [UUID(later["id"]), None, None] == [row.recovered_by for row in recorded(session_store)]
    assert [None, None, later["id"]] == [session["recovered_by"] for session in listed]
    told = [session_metadata(session_store, UUID(session["id"])) for session in (first, other)]
    assert [("failed, recovered by a later attempt", "ok"), ("failed", "problems")] == [
        (one["session_status"].value, one["session_outcome"].value) for one in told
    ]


def test_a_run_that_retries_another_recovers_it(session_store: SessionStore) -> None:
    """Through all runs in between; other runs keep their problems, and so do errors that actions told."""
    attempt(session_store, "unrelated", 0, fails=True)
    attempt(session_store, "first", 0, fails=True)
    attempt(session_store, "second", 0, fails=True, retry_of="first")
    attempt(session_store, "second", 0, LoafBurnt(), fails=True)
    attempt(session_store, "third", 0, fails=False, retry_of="second")
    ends = [("failed", outcome) for outcome in ("problems", "ok", "ok", "problems")]
    assert [*ends, ("succeeded", "ok")] == outcomes(session_store)


def test_attempt_that_a_newer_one_follows_has_warnings(session_store: SessionStore) -> None:
    """The newer attempt closes it, and has problems of its own where it fails too."""
    dead = with_job_session("x", store=session_store, run_id="run", step_key="step")
    copy_context().run(dead.__enter__)
    with with_job_session("x", store=session_store, run_id="run", step_key="step", retry_number=1):
        pass
    assert [("crashed", "warnings"), ("succeeded", "ok")] == sorted(outcomes(session_store))


def test_each_account_has_an_outcome_of_its_own(session_store: SessionStore) -> None:
    """That of the actions that refer to it; the session's own account has the session's."""
    expected = {"US.own": "problems", "DE.b": "warnings", "JP.c": "ok", "FR.d": "problems"}
    with with_job_session("x", store=session_store, account=OWN) as session:
        session.add(LoafDropped(about=_of("DE.b")))
        session.add(LoafBaked(about=_of("DE.b")))
        session.add(LoafBaked(about=_of("JP.c")))
        session.add(LoafBurnt(about=_of("FR.d")))
        assert expected == by_account(session_store)
    assert expected == by_account(session_store)
