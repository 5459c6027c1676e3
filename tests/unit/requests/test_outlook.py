"""What an open request does or waits for, and when its next step is."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.requests.gate import GateState
from bidbeacon_pipelines.requests.outlook import (
    Outlook,
    QueueState,
    limit_of,
    limit_of_cadence,
    limit_of_loads,
)
from bidbeacon_pipelines.requests.tables import ReportGate, ReportRequest

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SOON, AGO = NOW + timedelta(minutes=1), NOW - timedelta(hours=2)
UNANSWERED = cause("report-unanswered")
SENT: dict[str, Any] = {"status": "sent", "sent_at": AGO, "attempts": 1}
AT_AMAZON = SENT | {"status": "in_flight", "report_id": "r", "late_at": SOON, "next_step_at": SOON}
READY = SENT | {"status": "completed", "report_id": "r"}


def gate(in_flight: int = 0, planned: int = 1, **columns: Any) -> GateState:
    """A gate with four slots that is open and creates a report every two seconds."""
    usual = {"next_create_at": NOW, "refusals": 0, "in_flight_limit": 4.7}
    values = usual | {"pace": timedelta(seconds=2)} | columns
    return GateState(in_flight, planned, ReportGate(client_id="c", region="NA", **values))


def outlook(
    *,
    state: GateState | None = None,
    loads_full: int | None = None,
    locked: bool = False,
    **row: Any,
) -> Outlook:
    """A request's outlook; it is planned unless told otherwise."""
    usual = {"status": "planned", "attempts": 0, "loads": 0, "created_at": AGO}
    day = date(2026, 1, 30)
    request = ReportRequest(
        account_id="a",
        dataset="daily_targets",
        report="SP",
        start_date=day,
        end_date=day,
        **usual | row,
    )
    return Outlook(request, locked, state or gate(), "NA", NOW, loads_full)


CLOSED = gate(refusals=1, next_create_at=SOON)


@pytest.mark.parametrize(
    ("found", "state", "next_step"),
    [
        (outlook(), "planned", "It is requested within two minutes."),
        (outlook(next_step_at=SOON), "planned", "It is requested at 2026-01-31 12:01:00 UTC."),
        (outlook(locked=True), "planned", "It is requested right now."),
        (
            outlook(state=gate(in_flight=4)),
            "planned",
            "It is requested when one of the 4 report slots of NA is free.",
        ),
        (
            outlook(state=gate(planned=5)),
            "planned",
            "It is requested in order, with loads by hand and newer days first.",
        ),
        (
            outlook(state=CLOSED),
            "planned",
            "It is requested after 2026-01-31 12:01:00 UTC, since Amazon throttled report creation in NA (429).",
        ),
        (
            outlook(attempts=1, cause=UNANSWERED, next_step_at=SOON),
            "to be requested again",
            "It is requested again at 2026-01-31 12:01:00 UTC.",
        ),
        (
            outlook(**SENT, next_step_at=SOON),
            "sent",
            "It is requested again at 2026-01-31 12:01:00 UTC.",
        ),
        (
            outlook(**SENT, cause=UNANSWERED),
            "to be requested again",
            "It is requested again within two minutes.",
        ),
        (outlook(**AT_AMAZON), "at Amazon", "The next poll is at 2026-01-31 12:01:00 UTC."),
        (
            outlook(**AT_AMAZON | {"late_at": NOW}),
            "late at Amazon",
            "The next poll is at 2026-01-31 12:01:00 UTC; it is requested again at 2026-02-01 10:00:00 UTC.",
        ),
        (outlook(**READY), "ready", "It is loaded within two minutes."),
        (
            outlook(**READY, loads=1, next_step_at=SOON),
            "ready",
            "It is loaded at 2026-01-31 12:01:00 UTC (attempt 2 of 3).",
        ),
        (
            outlook(**READY, loads_full=2),
            "ready",
            "It is loaded when one of the 2 parallel loads has ended.",
        ),
        (outlook(**READY, locked=True, loads_full=2), "loading", "It is loaded right now."),
    ],
)
def test_a_request_says_what_happens_next(found: Outlook, state: str, next_step: str) -> None:
    """In every state, with the reason why it waits."""
    assert (QueueState(state), next_step) == (found.state, found.next_step)


@pytest.mark.parametrize(
    ("found", "limit"),
    [
        (gate(planned=0, in_flight=4), None),
        (gate(pace=timedelta(seconds=1)), None),
        (
            gate(),
            "Amazon has throttled report creation (429): at most one report every 2 s is requested.",
        ),
        (gate(in_flight=4), "No slot is free until Amazon completes a report."),
        (CLOSED, "Amazon throttles report creation (429): none until 2026-01-31 12:01:00 UTC."),
    ],
)
def test_a_gate_says_what_delays_its_reports(found: GateState, limit: str | None) -> None:
    """Nothing delays it while nothing is planned."""
    assert limit == limit_of(found, NOW)


@pytest.mark.parametrize(
    ("loads", "limit"),
    [
        ((2, 2, 0), None),
        ((1, 2, 5), None),
        ((2, 2, 1), "1 complete report waits until one of the 2 parallel loads"),
        ((1, 1, 5), "5 complete reports wait until the running load"),
    ],
)
def test_complete_reports_wait_only_if_no_further_load_may_run(
    loads: tuple[int, int, int], limit: str | None
) -> None:
    """The sentence names the setting."""
    ended = f"{limit} has ended (BIDBEACON_LOADS_AT_ONCE)."
    assert limit_of_loads(*loads) == (ended if limit else None)


def test_accounts_wait_for_their_cadence() -> None:
    """The sentence has the earliest time."""
    waits = [limit_of_cadence(count, SOON) for count in (0, 1, 2)]
    assert waits == [
        None,
        "1 ads account waits for its cadence, until 2026-01-31 12:01:00 UTC.",
        "2 ads accounts wait for their cadence, the first until 2026-01-31 12:01:00 UTC.",
    ]
