"""Whose work moves.

That a heartbeat stops with its work is in `tests/postgres/test_stalled_work.py`.
"""

from contextvars import copy_context
from pathlib import Path
from threading import Thread
from uuid import uuid4

import httpx
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.downloads import download
from bidbeacon_sessions.progress import Progress, find_session_id, note_progress, working
from tests.unit.amazon_ads.fakes import FakeAmazon

LONG_AGO = 1_000.0


def stale() -> Progress:
    """Return the progress of work that has not moved for long."""
    made = Progress(uuid4())
    made.moved(still_for=-LONG_AGO)
    return made


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
    """A long download keeps its session alive."""
    made, amazon = stale(), FakeAmazon()
    amazon.plays(httpx.Response(200, content=b"rows"))
    url = SecretStr("https://bucket.s3.amazonaws.com/1")
    with working(made):
        download(amazon.connect(), url, tmp_path / "file", Owner("NA"))
    assert made.still_seconds < LONG_AGO
