"""Verdicts on facts that the pipeline makes only for an instant, or never; and that every cause is documented."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS
from bidbeacon_pipelines.problems.explain_rules import explain
from bidbeacon_pipelines.problems.verdicts import Cause, Severity, Verdict
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.windows.facts import (
    AccountFacts,
    GateFacts,
    OpenRequest,
    ReferenceFact,
    StoredWindow,
    WindowFacts,
)

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
ACCOUNT = AccountFacts(
    account_key="US.one",
    countries=1,
    planned_at=None,
    time_zone="America/Los_Angeles",
    paused=False,
    amazon_status="CREATED",
    needs_attention=None,
    needs_attention_for=None,
    first_seen_at=NOW - timedelta(days=30),
    entities_synced_at=NOW,
    last_look_at=None,
    next_round_at=None,
)
WINDOW = StoredWindow(
    report="SP+SB+SD",
    status="requested",
    next_refresh_at=NOW - timedelta(days=1),
    expires_at=NOW + timedelta(days=600),
    request_id=7,
    last_requested_at=NOW,
    last_loaded_at=None,
    data_as_of=None,
    load_count=0,
    loaded_by_request=None,
    row_count=None,
    quarantined_count=None,
    unresolved_count=None,
    spend=None,
    sales=None,
    failure_reason=None,
    suspicious_digest=None,
    suspicious_rows=None,
    wanted_by=None,
)
REQUEST = OpenRequest(
    id=7,
    start_date=date(2026, 1, 10),
    end_date=date(2026, 1, 12),
    status="in_flight",
    by_hand=False,
    report_id="rpt-7",
    amazon_status="PENDING",
    attempts=1,
    polls=0,
    loads=0,
    created_at=NOW - timedelta(minutes=2),
    sent_at=NOW - timedelta(minutes=2),
    next_step_at=NOW + timedelta(minutes=1),
    failure_code=None,
    failure_reason=None,
    requested_by=ONE,
    locked_by=None,
    lock_is_alive=False,
    session_status=None,
    heartbeat_at=None,
)
FACTS = WindowFacts(
    account_key="US.one",
    dataset_name="daily_targets",
    window_date=date(2026, 1, 12),
    known_datasets=("daily_targets",),
    account=ACCOUNT,
    dataset=DAILY_TARGETS,
    window=WINDOW,
    request=REQUEST,
)


def verdict_of(facts: WindowFacts = FACTS, now: datetime = NOW, **request: object) -> Verdict:
    """Explain facts whose open request differs in some fields."""
    changed = replace(facts, request=replace(REQUEST, **request)) if request else facts  # type: ignore[arg-type]  # fields by name
    return explain(changed, now)


@pytest.mark.parametrize(
    ("request_fields", "expected"),
    [
        ({}, Cause.IN_FLIGHT),
        ({"sent_at": NOW - timedelta(minutes=30)}, Cause.IN_FLIGHT),
        ({"sent_at": NOW - timedelta(minutes=31)}, Cause.LATE_AT_AMAZON),
        ({"status": "planned"}, Cause.REQUESTED),
        ({"status": "planned", "failure_reason": "no"}, Cause.RETRYING),
        ({"status": "sent"}, Cause.ANSWER_UNKNOWN),
        ({"status": "completed"}, Cause.READY_TO_LOAD),
        ({"status": "completed", "loads": 1}, Cause.LOAD_RETRYING),
        (
            {"status": "completed", "loads": 1, "locked_by": TWO, "lock_is_alive": True},
            Cause.BEING_LOADED,
        ),
        ({"status": "completed", "locked_by": TWO, "lock_is_alive": True}, Cause.BEING_WORKED_ON),
        ({"locked_by": TWO, "lock_is_alive": True}, Cause.BEING_WORKED_ON),
        ({"locked_by": TWO}, Cause.ABANDONED),
        ({"status": "loaded"}, Cause.UNKNOWN),
        ({"status": "failed"}, Cause.UNKNOWN),
        ({"status": "newer code's"}, Cause.UNKNOWN),
    ],
)
def test_each_place_of_a_request_is_its_own_cause(
    request_fields: dict[str, object], expected: Cause
) -> None:
    """The bound between in flight and late is 30 minutes where the usual time is three; an ended request fits nothing."""
    assert expected == verdict_of(**request_fields).cause


def test_a_due_window_waits_for_its_accounts_own_round() -> None:
    """The cadence is named with its instant, and no daemon is suspected; what a person wants doesn't wait for it, nor what the last round lacks."""
    round_at = NOW + timedelta(hours=6)
    due = replace(WINDOW, status="missing", request_id=None)
    account = replace(ACCOUNT, next_round_at=round_at)
    facts = replace(FACTS, account=account, window=due, request=None)
    verdict = verdict_of(facts)
    assert (verdict.cause, verdict.severity, verdict.next_at) == (
        Cause.WAITING_FOR_ROUND,
        Severity.WAITING,
        round_at,
    )
    assert "its cadence" in verdict.sentence
    assert Cause.DUE == verdict_of(replace(facts, window=replace(due, wanted_by="maria"))).cause
    assert Cause.DUE == verdict_of(facts, round_at).cause
    late = verdict_of(
        replace(facts, account=replace(account, last_look_at=NOW - timedelta(hours=3)))
    )
    assert (Cause.DUE, Severity.WARNING) == (late.cause, late.severity)


def test_a_window_whose_request_is_gone_is_unknown() -> None:
    """No cause is invented for what no code makes."""
    assert Cause.UNKNOWN == verdict_of(replace(FACTS, request=None)).cause


@pytest.mark.parametrize(
    "window",
    [{"status": "loaded"}, {"status": "failed"}, {"status": "missing", "next_refresh_at": None}],
)
def test_windows_that_contradict_themselves_are_unknown(window: dict[str, object]) -> None:
    """Loaded without data, failed without a reason, missing and never due."""
    undue: dict[str, object] = {"request_id": None, "next_refresh_at": NOW + timedelta(days=1)}
    stored = replace(WINDOW, **(undue | window))  # type: ignore[arg-type]  # fields by name
    verdict = verdict_of(replace(FACTS, window=stored, request=None))
    assert (Cause.UNKNOWN, Severity.ERROR) == (verdict.cause, verdict.severity)


DUE = replace(FACTS, request=None, window=replace(WINDOW, status="missing", request_id=None))
HOUR = timedelta(hours=1)
GATE = GateFacts(region="EU", in_flight=1, places=2, closed_until=None, planned=1)
PLANNED = replace(REQUEST, status="planned", report_id=None, attempts=0, sent_at=None)
JUST_NOW = ReferenceFact(
    at=NOW - timedelta(minutes=9), effect="skipped", session_id=ONE, reason="no slot"
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (DUE, Severity.WARNING),
        (replace(DUE, planned=PLANNED), Severity.WAITING),
        (
            replace(DUE, waits_until=NOW + HOUR, account=replace(ACCOUNT, planned_at=NOW)),
            Severity.WAITING,
        ),
        (replace(DUE, references=[JUST_NOW]), Severity.WAITING),
        (
            replace(DUE, account=replace(ACCOUNT, first_seen_at=NOW - timedelta(minutes=9))),
            Severity.WAITING,
        ),
        (
            replace(DUE, window=replace(DUE.window, next_refresh_at=NOW - timedelta(minutes=9))),
            Severity.WAITING,
        ),  # type: ignore[type-var]  # it is there
    ],
)
def test_a_due_window_that_nobody_asks_for_is_a_warning(
    facts: WindowFacts, expected: Severity
) -> None:
    """Due for ten minutes, in no plan, waiting for no other country, and nothing refers to it: is Dagster's daemon alive?"""
    verdict = verdict_of(facts)
    assert expected == verdict.severity
    assert (expected is Severity.WARNING) == (
        "check that Dagster's daemon is running" in verdict.sentence
    )


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (None, "created within two minutes"),
        (GATE, "created within two minutes"),
        (replace(GATE, planned=9), "created in order, with backfills and newer days first"),
        (replace(GATE, in_flight=2), "when one of the 2 reports in flight in EU is done"),
        (
            replace(GATE, closed_until=NOW + HOUR),
            "after 2026-01-15 13:00:00 UTC, since Amazon throttled report creation in EU (429)",
        ),
    ],
)
def test_a_planned_window_says_what_its_report_waits_for(gate: GateFacts | None, said: str) -> None:
    """Its turn, a place among the reports in flight, or the end of a pause that Amazon asked for."""
    verdict = verdict_of(replace(DUE, planned=PLANNED, gate=gate))
    assert (Cause.QUEUED, Severity.WAITING) == (verdict.cause, verdict.severity)
    assert "report 2026-01-10 to 2026-01-12 is planned for it" in verdict.sentence
    assert said in verdict.sentence


def test_a_request_that_our_queue_keeps_back_says_until_when() -> None:
    """Amazon asked us to slow down: nothing was sent, and the sentence says when it is."""
    verdict = verdict_of(status="planned", attempts=0, sent_at=None)
    assert "Amazon asked us to slow down: it is sent at 2026-01-15 12:01:00 UTC" in verdict.sentence
    assert verdict.next_at == NOW + timedelta(minutes=1)


def test_sessions_prove_by_the_last_action_of_each_effect_oldest_first() -> None:
    """An older request of the window proves nothing about the one in flight."""
    references = [
        ReferenceFact(
            at=NOW - timedelta(minutes=minutes), effect=effect, session_id=session, reason=None
        )
        for minutes, effect, session in [
            (900, "requested", UUID(int=9)),
            (3, "queued", ONE),
            (2, "requested", ONE),
            (1, "pending", TWO),
        ]
    ]
    assert (ONE, TWO) == verdict_of(replace(FACTS, references=references)).sessions


def test_who_adopted_a_report_proves_it_like_who_requested_one() -> None:
    """Nobody of ours requested a report that Amazon was making already."""
    references = [ReferenceFact(at=NOW, effect="adopted", session_id=TWO, reason=None)]
    verdict = verdict_of(replace(FACTS, references=references), status="completed")
    assert (Cause.READY_TO_LOAD, (TWO,)) == (verdict.cause, verdict.sessions)


@pytest.mark.parametrize(
    ("request_fields", "said"),
    [
        ({}, "for the 3 days 2026-01-10 to 2026-01-12"),
        ({"end_date": date(2026, 1, 10)}, "for 2026-01-10 has been in flight"),
        ({"next_step_at": NOW - timedelta(seconds=1)}, "The next check is within two minutes"),
    ],
)
def test_the_sentence_says_range_and_next_look(
    request_fields: dict[str, object], said: str
) -> None:
    """One day is no range, and a look that is due is not told as an instant of the past."""
    assert said in verdict_of(**request_fields).sentence


def test_every_cause_is_documented() -> None:
    """docs/explain.md has a line for each cause, and no other."""
    table = (PROJECT_ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    rows = dict(
        re.findall(r"^\| `([a-z-]+)` \| (fine|waiting|warning|error) \|", table, flags=re.MULTILINE)
    )
    assert {cause.value for cause in Cause} == set(rows)
