"""The list, one session, and the catalogue, over HTTP."""

from datetime import date

import pytest
from sqlalchemy import Connection

from bidbeacon_sessions import Action, listing
from bidbeacon_sessions.change_log import Position, head
from bidbeacon_sessions.listing import MOST_ACTIONS
from tests.stream.reading import Stream
from tests.stream.writing import is_step_due
from tests.support.recorded_sessions import LoafBaked, LoafBurnt, record
from tests.support.waiting import wait_until

ABOUT = (("DE.b", "daily_targets", date(2026, 7, 24)),)


def listed(stream: Stream, **query: str | int) -> list[str]:
    """Return the ids that a query lists."""
    return [session["id"] for session in stream.load(**query)["sessions"]]


def test_sessions_come_newest_first_with_header_and_actions(stream: Stream) -> None:
    """The list says everything that a card shows."""
    older = record(stream.store, minute=0)
    newer = record(stream.store, "job", LoafBaked(what="rye"), minute=1)

    body = stream.load()
    assert [newer, older] == [session["id"] for session in body["sessions"]]
    [action] = body["sessions"][0]["actions"]
    assert ("Baked rye", 1, "loaf-baked") == (action["text"], action["ord"], action["type"])
    assert {"sessions", "accounts", "cursor", "server_time", "dagster_url"} == body.keys()


@pytest.mark.parametrize(
    "query",
    [{}, {"account": "US.a"}, {"account": "DE.b"}, {"account": "DE.b", "dataset": "daily_targets"}],
    ids=["all", "own account", "account referred to", "references"],
)
def test_pages_after_a_session_leave_none_out_that_began_at_the_same_instant(
    stream: Stream, query: dict[str, str]
) -> None:
    """`older_than` gives the next page, each session once."""
    ids = [record(stream.store, "job", LoafBaked(what="rye", about=ABOUT)) for _ in range(5)]
    found = listed(stream, limit=2, **query)
    assert 2 == len(found)
    while page := listed(stream, limit=2, older_than=found[-1], **query):
        found += page

    assert sorted(ids, reverse=True) == found


def test_a_list_is_true_as_of_its_cursor(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is published while the list is being read is not in the list, so it comes by the stream."""
    begun: list[str] = []

    def publish_and_read(connection: Connection) -> Position:
        begun.append(record(stream.store, "between"))
        wait_until(lambda: not is_step_due(stream.store))
        return head(connection)

    with monkeypatch.context() as amid:
        amid.setattr(listing, "head", publish_and_read)
        loaded = stream.load()
    assert [] == loaded["sessions"]
    reader = stream.follow(cursor=loaded["cursor"])
    wait_until(lambda: begun == list(reader.view.sessions))


def test_a_long_session_is_listed_with_its_ends_its_errors_and_what_is_asked_for(
    stream: Stream,
) -> None:
    """It has its first two and last ten actions, its errors, and those about the account that is asked for."""
    actions: list[Action] = [LoafBaked(what=f"loaf {number}") for number in range(1, 42)]
    actions[20] = LoafBurnt(what="toast")
    actions[24] = LoafBaked(what="rye", about=ABOUT)
    record(stream.store, "job", *actions)

    [session] = stream.load()["sessions"]
    assert [1, 2, 21, *range(32, 42)] == [action["ord"] for action in session["actions"]]
    assert 41 == session["action_count"]
    [session] = stream.load(account="DE.b")["sessions"]
    accounts = {
        action["ord"]: [one["key"] for one in action["accounts"]] for action in session["actions"]
    }
    assert {25: ["DE.b"]} == {ord_: keys for ord_, keys in accounts.items() if keys}


def test_a_long_session_is_read_in_several_answers(stream: Stream) -> None:
    """Each says where the next one begins, the last one that there is none."""
    count = MOST_ACTIONS + 1
    actions = [LoafBaked(what="rye") for _ in range(count)]
    session_id = record(stream.store, "job", *actions, input={"flour": 7})

    first = stream.http.get(f"/api/job-sessions/{session_id}").json()
    rest = stream.http.get(
        f"/api/job-sessions/{session_id}", params={"after": first["more_after"]}
    ).json()
    assert (MOST_ACTIONS, None) == (first["more_after"], rest["more_after"])
    both = first["session"]["actions"] + rest["session"]["actions"]
    assert list(range(1, count + 1)) == [action["ord"] for action in both]
    assert {"flour": 7} == first["session"]["input"]
    assert "." in first["cursor"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/job-sessions/00000000-0000-0000-0000-000000000001", 404),
        ("/api/job-sessions?limit=201", 400),
        ("/api/job-sessions/00000000-0000-0000-0000-000000000001?after=-1", 400),
        ("/api/job-sessions?status=nonsense", 400),
        ("/api/job-sessions?color=red", 400),
        ("/api/job-sessions?since=yesterday", 400),
        (f"/api/job-sessions?job={'x' * 201}", 400),
        ("/api/job-sessions/stream?status=nonsense", 400),
        ("/api/nothing-here", 404),
        ("/web/../settings.py", 404),
        ("/web/layout.html", 404),
        ("/web/types.d.ts", 404),
    ],
)
def test_an_error_is_json_and_says_what_to_do(stream: Stream, path: str, status: int) -> None:
    """Whatever is wrong, the answer has `error` and `what_to_do`."""
    response = stream.http.get(path)

    assert status == response.status_code
    assert {"error", "what_to_do"} == response.json().keys()
    assert all(response.json().values())


def test_a_browser_gets_a_page_where_there_is_none(stream: Stream) -> None:
    """With the views to go on with; programs get JSON at the same address."""
    page = stream.http.get(
        "/nothing", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    )
    assert (404, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert '<a href="/sessions">Stream</a>' in page.text
    for accept in ("*/*", "application/json"):
        answer = stream.http.get("/nothing", headers={"Accept": accept})
        assert (404, {"error", "what_to_do"}) == (answer.status_code, answer.json().keys())
