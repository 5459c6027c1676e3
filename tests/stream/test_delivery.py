"""Nothing is lost and nothing invented, over real connections with real commits."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults.stream.stream_followers import LastingReader
from tests.faults.stream.stream_oracle import (
    Acknowledged,
    Stored,
    log_faults,
    view_faults,
    writers_faults,
)
from tests.faults.stream.writing_program import Writer
from tests.stream.reading import Stream
from tests.stream.writing import commit_end, commit_session, is_step_due
from tests.support.recorded_sessions import LoafBaked, database_away, execute, record
from tests.support.waiting import wait_until

WRITERS = 16


def test_sixteen_writers_lose_nothing(
    stream: Stream, database_url: str, transport: str, tmp_path: Path
) -> None:
    """They wait between write and commit and roll one in ten back: readers that were there, and ones that load in the middle of it, show what is stored."""
    options = {"url": database_url, "job": "job", "sessions": 1, "actions": 25, "wait": 0.05}
    readers = [LastingReader([stream.url], transport)]
    with ThreadPoolExecutor(WRITERS) as pool:
        journals = [tmp_path / str(number) for number in range(WRITERS)]
        writing = [
            pool.submit(Writer(options | {"journal": str(journal), "seed": seed}).run)
            for seed, journal in enumerate(journals)
        ]
        wait_until(lambda: len(Acknowledged(journals).places("acknowledged")) > 30)
        readers += [LastingReader([stream.url], transport) for _ in range(2)]
    assert [None] * WRITERS == [each.result() for each in writing]
    wait_until(lambda: not is_step_due(stream.store))
    newest = stream.load()["cursor"]
    wait_until(lambda: all(reader.view.cursor == newest for reader in readers))

    stored = Stored.read(database_url)
    assert [] == writers_faults(Acknowledged(journals), stored) + log_faults(database_url)
    for reader in readers:
        reader.close()
        assert [] == view_faults(reader.view, stored, {})


def test_a_filtered_reader_hears_of_its_sessions_only_and_when_they_leave(
    stream: Stream, transport: str
) -> None:
    """`gone` comes when a session stops matching; others' changes are not heard."""
    query = {"job": "wanted", "status": "running"}
    reader = stream.follow(transport, **query)
    other = commit_session(stream.store, job="other")
    wanted = commit_session(stream.store, job="wanted")
    wait_until(lambda: str(wanted) in reader.view.sessions)
    commit_end(stream.store, other)
    commit_end(stream.store, wanted)
    wait_until(lambda: [str(wanted)] == reader.view.gone)

    assert str(other) not in {
        data["session"]["id"] for _, _, data in reader.events("job-sessions:updated")
    }


def test_odd_text_arrives_as_it_is_stored(
    stream: Stream, transport: str, database_url: str
) -> None:
    """NUL, lone surrogates, line breaks, `</script>` and right-to-left marks break no frame."""
    reader = stream.follow(transport)
    odd = "nul \x00, half a pair \ud800, \n\nevent: reset\n\n</script>\u202egnp.exe"
    session_id = record(stream.store, "</script>", LoafBaked(what=odd), LoafBaked(what="the last"))
    ended = {session_id: "succeeded"}
    wait_until(lambda: ended == {key: one["status"] for key, one in reader.view.sessions.items()})
    assert [] == view_faults(reader.view, Stored.read(database_url), {})


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("rubbish", "epoch"),
        (f"{UUID(int=7)}.1", "epoch"),
        ("{epoch}.999999", "epoch"),
        ("{epoch}.0", "expired"),
    ],
    ids=["malformed", "another epoch", "from the future", "trimmed away"],
)
def test_a_cursor_that_is_no_good_is_told_to_load_again(
    stream: Stream, transport: str, cursor: str, reason: str
) -> None:
    """The stream says `reset` with its reason, and ends; it never goes on silently."""
    watching = stream.follow()
    commit_session(stream.store)
    commit_session(stream.store)
    wait_until(lambda: 2 == len(watching.view.sessions))
    execute(stream.store, "DELETE FROM session_changes WHERE position = 1")
    newest = stream.load()["cursor"]

    reader = stream.follow(transport, cursor=cursor.format(epoch=newest.partition(".")[0]))
    assert reader.ended.wait(10)
    # On a slow machine a sync may come first; by the rules of SSE its id is then the last one of
    # the reset as well.
    *before, (event, identity, data) = reader.heard
    assert {"sync"} >= {name for name, *_ in before}
    assert ("reset", reason) == (event, data["reason"])
    assert identity in {None, *(last for _, last, _ in before)}
    assert data["cursor"] in {newest, None}


def test_a_new_epoch_resets_everybody(stream: Stream, transport: str) -> None:
    """After a restore open streams end with `reset`, and the next list goes on in the new epoch."""
    reader = stream.follow(transport)
    wait_until(lambda: len(reader.heard) > 0)
    restored = "UPDATE session_change_cursor SET published_snapshot = '900000000000:900000000000:'"
    execute(stream.store, restored)
    assert reader.ended.wait(10)
    assert "epoch" == reader.heard[-1][2]["reason"]

    again = stream.follow(transport)
    session_id = commit_session(stream.store)
    wait_until(lambda: str(session_id) in again.view.sessions)


def test_a_reconnecting_browser_goes_on_after_its_last_event(stream: Stream) -> None:
    """`Last-Event-ID` counts more than the cursor in the address, which is older."""
    start = stream.load()["cursor"]
    watching = stream.follow(cursor=start)
    commit_session(stream.store)
    wait_until(lambda: watching.events("job-sessions:updated"))
    last = str(watching.events("job-sessions:updated")[-1][1])

    address = f"/api/job-sessions/stream?cursor={start}"
    with stream.http.stream("GET", address, headers={"Last-Event-ID": last}) as response:
        lines = (line for line in response.iter_lines() if line.startswith("event:"))
        assert "event: sync" == next(lines)


def test_the_database_going_away_and_coming_back_loses_nothing(stream: Stream) -> None:
    """While it is away `healthz` says so and streams stay open; afterwards they go on."""
    reader = stream.follow()
    with database_away(stream.store):
        paths = ("/healthz", "/readyz", "/api/job-sessions")
        wait_until(lambda: {503} == {stream.http.get(path).status_code for path in paths})
        wait_until(lambda: "away" in {data["database"] for _, _, data in reader.events("sync")})

    session_id = commit_session(stream.store)
    wait_until(lambda: str(session_id) in reader.view.sessions)
    assert {"status": "ok"} == stream.http.get("/healthz").json()
    assert not reader.ended.is_set()
