"""The stream's filters: each lets through what the list shows for it, and nothing else, though both ask the database in other words."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from bidbeacon_sessions import Action, Reference, SessionStore, Subject, with_job_session

Follow = Callable[..., Any]
WaitUntil = Callable[..., None]

NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
EARLY, MIDDLE, LATE = "early", "middle", "late"
ENDED = {EARLY: "failed", MIDDLE: "succeeded", LATE: "succeeded"}


class LoafBaked(Action):
    """Some bread is ready."""

    sentence = "Baked {what}"
    tone = "success"

    what: str
    about: tuple[tuple[str, str, date], ...] = ()

    def references(self) -> list[Reference]:
        """As it is told to."""
        return [Reference(account, "baked", dataset, str(day)) for account, dataset, day in self.about]


class LoafBurnt(Action):
    """Some bread is black."""

    sentence = "Burnt {what}"
    tone = "error"

    what: str


class _OvenError(Exception):
    """The session fails."""


def record_all(store: SessionStore) -> None:
    """Record three sessions, a quarter of an hour apart; the middle one has two references."""
    two = (
        ("DE.b", "daily_targets", date(2026, 7, 24)),
        ("GB.d", "hourly_targets", date(2026, 7, 22)),
    )
    elsewhere = (("FR.c", "daily_products", date(2026, 7, 23)),)
    with suppress(_OvenError), _session(store, EARLY, 0, "FR") as session:
        session.add(LoafBurnt(what="toast"))
        raise _OvenError("the oven is cold")
    with _session(store, MIDDLE, 15, "US") as session:
        session.add(LoafBaked(what="a dark pumpernickel", about=two))
    with _session(store, LATE, 30, "FR") as session:
        session.add(LoafBurnt(what="a dark baguette"))
        session.add(LoafBaked(what="rolls", about=elsewhere))


def _session(store: SessionStore, job: str, minute: int, country: str) -> Any:
    account = Subject(f"{country}.a")
    start = NOON + timedelta(minutes=minute)
    return with_job_session(
        job,
        store=store,
        clock=lambda: start,
        run_id=f"run-{job}",
        account=account,
        input={"flour": f"type {minute}"},
    )


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
    ({"type": "loaf-baked"}, {MIDDLE, LATE}),
    ({"type": "loaf-burnt"}, {EARLY, LATE}),
    ({"dataset": "daily_targets"}, {MIDDLE}),
    ({"window": "2026-07-24"}, {MIDDLE}),
    ({"account": "FR.c", "dataset": "daily_products"}, {LATE}),
    ({"account": "DE.b", "dataset": "daily_targets", "window": "2026-07-24"}, {MIDDLE}),
    ({"account": "DE.b", "window": "2026-07-22"}, set()),
    ({"dataset": "daily_targets", "window": "2026-07-22"}, set()),
    ({"account": "US.a", "dataset": "daily_targets"}, set()),
    ({"run": "run-middle"}, {MIDDLE}),
    ({"since": "2026-07-25T12:15:00Z"}, {MIDDLE, LATE}),
    ({"before": "2026-07-25T12:15:00Z"}, {EARLY}),
    ({"since": "2026-07-25T12:10:00Z", "before": "2026-07-25T12:20:00Z"}, {MIDDLE}),
    ({"text": "pumpernickel"}, {MIDDLE}),
    ({"text": "dark bag"}, {LATE}),
    ({"text": "type 15"}, {MIDDLE}),
    ({"text": "oven is cold"}, {EARLY}),
    ({"text": "%"}, set()),
    ({"text": "dark", "type": "loaf-burnt", "status": "succeeded"}, {LATE}),
]


@pytest.mark.parametrize(
    ("query", "matching"),
    FILTERS,
    ids=[" ".join(f"{name}:{value}" for name, value in query.items()) for query, _ in FILTERS],
)
def test_a_filtered_stream_tells_of_what_the_list_shows_and_of_nothing_else(
    session_store: SessionStore,
    http: httpx.Client,
    follow: Follow,
    wait_until: WaitUntil,
    query: dict[str, str],
    matching: set[str],
) -> None:
    """Of three sessions that are recorded while it is open, those that match are heard of."""
    loaded = http.get("/api/job-sessions", params=query).json()
    reader, watching = follow("sse", loaded, **query), follow("sse", loaded | {"sessions": []})
    record_all(session_store)
    wait_until(lambda: ENDED == _heard_statuses(watching))
    newest = watching.events("job-sessions:updated")[-1][1]
    wait_until(
        lambda: any(_position(identity) >= _position(newest) for _, identity, _ in reader.events("sync"))
    )

    shown = {one["id"]: one for one in http.get("/api/job-sessions", params=query).json()["sessions"]}
    assert matching == {one["job_name"] for one in shown.values()}
    assert matching == {data["session"]["job_name"] for _, _, data in reader.events("job-sessions:updated")}
    assert _revisions(shown) == _revisions(reader.sessions)
    assert [] == reader.faults


def _heard_statuses(reader: Any) -> dict[str, str]:
    updates = [data["session"] for _, _, data in reader.events("job-sessions:updated")]
    return {session["job_name"]: session["status"] for session in updates}


def _position(cursor: str) -> int:
    return int(cursor.partition(".")[2])


def _revisions(sessions: dict[str, Any]) -> dict[str, int]:
    return {session_id: one["revision"] for session_id, one in sessions.items()}
