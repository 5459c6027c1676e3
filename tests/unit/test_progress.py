"""When work counts as moving, and whose."""

from contextvars import copy_context
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest

from bidbeacon_pipelines.amazon_ads.clock import SystemClock
from bidbeacon_sessions import progress
from bidbeacon_sessions.progress import Progress, find_session_id, note_progress, working
from tests.unit.amazon_ads.test_report_files import FakeBucket

LONG_AGO = 1_000.0


def stale() -> Progress:
    """Return the progress of work that has not moved for long."""
    made = Progress(uuid4())
    made._moved_at -= LONG_AGO
    return made


def test_work_that_moves_is_not_still() -> None:
    """Each note begins the count anew."""
    made = stale()
    assert made.still_seconds >= LONG_AGO
    made.moved()
    assert made.still_seconds < LONG_AGO


def test_an_announced_wait_does_not_count() -> None:
    """While Amazon is waited for, the count begins only when the wait is over."""
    made = stale()
    with working(made):
        note_progress(still_for=60)
    assert -60 <= made.still_seconds < 0


def test_waiting_for_amazon_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock that the client waits with tells how long nothing will be heard."""
    made, seen = stale(), list[float]()
    monkeypatch.setattr(progress.time, "sleep", lambda _: seen.append(made.still_seconds))
    with working(made):
        SystemClock().sleep(60)
    [still] = seen
    assert -60 <= still < 0


def test_progress_outside_of_a_session_is_nobodys() -> None:
    """A thread works for the session in whose block it is, and for none in another thread."""
    made = stale()
    with working(made):
        assert find_session_id() == made.session_id
        thread = Thread(target=note_progress)
        thread.start()
        thread.join()
        assert made.still_seconds >= LONG_AGO
        copy_context().run(note_progress)
        assert made.still_seconds < LONG_AGO
    assert find_session_id() is None


def test_the_session_around_comes_back() -> None:
    """A session inside another one is worked for only in its block."""
    outer, inner = stale(), stale()
    with working(outer):
        with working(inner):
            note_progress()
        assert find_session_id() == outer.session_id
    assert (outer.still_seconds >= LONG_AGO, inner.still_seconds >= LONG_AGO) == (True, False)


def test_bytes_that_arrive_are_progress(tmp_path: Path) -> None:
    """A long download keeps its session alive, though other threads transfer it."""
    made = stale()
    with working(made):
        FakeBucket(parts=2).download(tmp_path)
    assert made.still_seconds < LONG_AGO
