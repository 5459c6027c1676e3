"""The stream's filters: each lets through what the list shows for it, and nothing else, though both ask the database in other words."""

from datetime import date
from typing import Any

import pytest

from bidbeacon_sessions import SessionStore, Subject
from tests.stream.reading import Stream, position_of
from tests.stream.writing import is_step_due
from tests.support.recorded_sessions import LoafBaked, LoafBurnt, record
from tests.support.waiting import wait_until

EARLY, MIDDLE, LATE = "early", "middle", "late"
ENDED = {EARLY: "failed", MIDDLE: "succeeded", LATE: "succeeded"}


def record_all(store: SessionStore) -> None:
    """Record three sessions, a quarter of an hour apart; the middle one has two references."""
    two = (
        ("DE.b", "daily_targets", date(2026, 7, 24)),
        ("GB.d", "hourly_targets", date(2026, 7, 22)),
    )
    elsewhere = (("FR.c", "daily_products", date(2026, 7, 23)),)
    french = Subject("FR.a")
    record(store, EARLY, LoafBurnt(what="toast"), fails=True, account=french)
    pumpernickel = LoafBaked(what="a dark pumpernickel", about=two)
    record(store, MIDDLE, pumpernickel, minute=15, run_id="run-1", input={"flour": "type 15"})
    rolls = LoafBaked(what="rolls", about=elsewhere)
    record(store, LATE, LoafBurnt(what="a dark baguette"), rolls, minute=30, account=french)


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"job": MIDDLE}, {MIDDLE}),
    ({"account": "US.a"}, {MIDDLE}),
    ({"account": "FR.a"}, {EARLY, LATE}),
    ({"account": "DE.b"}, {MIDDLE}),
    ({"status": "succeeded"}, {MIDDLE, LATE}),
    ({"status": "failed"}, {EARLY}),
    ({"outcome": "ok"}, {MIDDLE}),
    ({"outcome": "problems", "status": "succeeded"}, {LATE}),
    ({"outcome": "problems", "account": "FR.c"}, set()),
    ({"outcome": "problems", "account": "FR.a"}, {EARLY, LATE}),
    ({"outcome": "ok", "account": "FR.c"}, {LATE}),
    ({"outcome": "ok", "account": "FR.c", "job": MIDDLE}, set()),
    ({"type": "loaf-baked"}, {MIDDLE, LATE}),
    ({"type": "loaf-burnt"}, {EARLY, LATE}),
    ({"dataset": "daily_targets"}, {MIDDLE}),
    ({"window": "2026-07-24"}, {MIDDLE}),
    ({"account": "FR.c", "dataset": "daily_products"}, {LATE}),
    ({"account": "DE.b", "dataset": "daily_targets", "window": "2026-07-24"}, {MIDDLE}),
    ({"account": "DE.b", "window": "2026-07-22"}, set()),
    ({"dataset": "daily_targets", "window": "2026-07-22"}, set()),
    ({"account": "US.a", "dataset": "daily_targets"}, set()),
    ({"run": "run-1"}, {MIDDLE}),
    ({"since": "2026-07-25T12:15:00Z"}, {MIDDLE, LATE}),
    ({"before": "2026-07-25T12:15:00Z"}, {EARLY}),
    ({"since": "2026-07-25T12:10:00Z", "before": "2026-07-25T12:20:00Z"}, {MIDDLE}),
    ({"text": "pumpernickel"}, {MIDDLE}),
    ({"text": "dark bag"}, {LATE}),
    ({"text": "type 15"}, {MIDDLE}),
    ({"text": "Disk is FULL"}, {EARLY}),
    ({"text": "loaf-burnt"}, {EARLY, LATE}),
    ({"text": "burnt-nothing"}, set()),
    ({"text": "%"}, set()),
    ({"text": "' & | :*"}, set()),
    ({"text": "dark", "type": "loaf-burnt", "status": "succeeded"}, {LATE}),
]


@pytest.mark.parametrize(
    ("query", "matching"),
    FILTERS,
    ids=[" ".join(f"{name}:{value}" for name, value in query.items()) for query, _ in FILTERS],
)
def test_a_filtered_stream_tells_of_what_the_list_shows_and_of_nothing_else(
    stream: Stream, query: dict[str, str], matching: set[str]
) -> None:
    """Of three sessions that are recorded while it is open, those that match are heard of; one may have another outcome as long as it runs."""
    reader, watching = stream.follow(**query), stream.follow()
    record_all(stream.store)
    wait_until(
        lambda: (
            ENDED
            == {one["job_name"]: one["status"] for one in list(watching.view.sessions.values())}
        )
    )
    wait_until(lambda: not is_step_due(stream.store))
    newest = position_of(stream.load()["cursor"])
    wait_until(lambda: reader.view.position >= newest)

    shown = {one["id"]: one for one in stream.load(**query)["sessions"]}
    assert matching == {one["job_name"] for one in shown.values()}
    told = [data["session"] for _, _, data in reader.events("job-sessions:updated")]
    assert matching == {
        one["job_name"] for one in told if "outcome" not in query or one["status"] != "running"
    }
    assert _revisions(shown) == _revisions(reader.view.sessions)
    assert [] == reader.view.faults


def _revisions(sessions: dict[str, Any]) -> dict[str, int]:
    return {session_id: one["revision"] for session_id, one in sessions.items()}
