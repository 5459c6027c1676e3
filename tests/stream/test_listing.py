"""The list, one session, the catalogue and what the stream says about itself, over HTTP."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from bidbeacon_sessions import Action, Reference, SessionStore, Subject, with_job_session
from bidbeacon_sessions.change_log import step
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.server.listing import MOST_ACTIONS, load_sessions

ACCOUNT = Subject("US.a")
NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)


class ListedStep(Action):
    """A step was taken."""

    sentence = "Step {number}[ on {windows:windows}]"

    number: int
    windows: tuple[date, ...] = ()

    def references(self) -> list[Reference]:
        """One reference a window."""
        return [Reference("DE.b", "stepped", "daily_targets", str(day)) for day in self.windows]


class ListedMishap(Action):
    """Something went wrong."""

    sentence = "Mishap: {what}"
    tone = "error"

    what: str


def record(
    store: SessionStore,
    job: str = "job",
    *,
    minute: int = 0,
    actions: tuple[Action, ...] = (),
    run_id: str | None = None,
    account: Subject | None = None,
) -> str:
    """Record a whole session at a set time."""
    start = NOON + timedelta(minutes=minute)
    with with_job_session(
        job, store=store, clock=lambda: start, run_id=run_id, account=account, input={"minute": minute}
    ) as session:
        for action in actions:
            session.add(action)
    return str(session.session_id)


def listed(http: httpx.Client, **query: str | int) -> list[str]:
    """The ids that a query lists."""
    response = http.get("/api/job-sessions", params=query)
    assert 200 == response.status_code, response.text
    return [session["id"] for session in response.json()["sessions"]]


def test_a_list_for_an_account_has_its_actions_of_long_sessions(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """Also those from the middle, which are left out otherwise; each action says which accounts it is about."""
    theirs = ListedStep(number=20, windows=(date(2026, 7, 1),))
    steps = [theirs if number == 20 else ListedStep(number=number) for number in range(40)]
    record(session_store, actions=tuple(steps))
    [session] = http.get("/api/job-sessions", params={"account": "DE.b"}).json()["sessions"]
    assert {21: ["DE.b"]} == {
        action["ord"]: [one["key"] for one in action["accounts"]]
        for action in session["actions"]
        if action["accounts"]
    }
    [session] = http.get("/api/job-sessions").json()["sessions"]
    assert 21 not in [action["ord"] for action in session["actions"]]


def test_sessions_come_newest_first_with_header_and_actions(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """The list says everything that a card shows."""
    older = record(session_store, minute=0)
    newer = record(session_store, minute=1, actions=(ListedStep(number=7),))

    body = http.get("/api/job-sessions").json()
    assert [newer, older] == [session["id"] for session in body["sessions"]]
    [action] = body["sessions"][0]["actions"]
    assert ("Step 7", 1, "listed-step") == (action["text"], action["ord"], action["type"])
    assert {"sessions", "accounts", "cursor", "server_time", "dagster_url"} == body.keys()


@pytest.mark.parametrize(
    "query",
    [
        {"job": "wanted"},
        {"account": "US.a"},
        {"account": "DE.b"},
        {"status": "succeeded", "run": "run-1"},
        {"type": "listed-step"},
        {"dataset": "daily_targets"},
        {"window": "2026-07-24"},
        {"run": "run-1"},
        {"since": "2026-07-25T12:05:00Z"},
    ],
    ids=str,
)
def test_each_filter_finds_its_session_and_no_other(
    session_store: SessionStore, http: httpx.Client, query: dict[str, str]
) -> None:
    """Of two sessions the one that matches is listed."""
    record(session_store, "other", minute=0, actions=(ListedMishap(what="x"),))
    step = ListedStep(number=1, windows=(date(2026, 7, 24),))
    wanted = record(session_store, "wanted", minute=10, actions=(step,), run_id="run-1", account=ACCOUNT)

    assert [wanted] == listed(http, **query)


def test_pages_go_back_in_time(session_store: SessionStore, http: httpx.Client) -> None:
    """`before` and `limit` give the next older page."""
    ids = [record(session_store, minute=minute) for minute in range(4)]
    first = http.get("/api/job-sessions", params={"limit": 2}).json()["sessions"]
    second = listed(http, limit=2, before=first[-1]["started_at"])

    assert [ids[3], ids[2], ids[1], ids[0]] == [session["id"] for session in first] + second


@pytest.mark.parametrize(
    "query",
    [{}, {"account": "US.a"}, {"account": "DE.b"}, {"account": "DE.b", "dataset": "daily_targets"}],
    ids=["all", "own account", "account referred to", "references"],
)
def test_pages_after_a_session_leave_none_out_that_began_at_the_same_instant(
    session_store: SessionStore, http: httpx.Client, query: dict[str, str]
) -> None:
    """`older_than` gives the next page, each session once."""
    step = ListedStep(number=1, windows=(date(2026, 7, 24),))
    ids = [record(session_store, actions=(step,), account=ACCOUNT) for _ in range(5)]
    found = listed(http, limit=2, **query)
    while page := listed(http, limit=2, older_than=found[-1], **query):
        found += page

    assert sorted(ids, reverse=True) == found


def test_a_long_session_is_listed_with_its_ends_and_its_errors(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """An excerpt holds the first two and last ten actions, and an error from the middle."""
    steps = [ListedStep(number=number) for number in range(1, 41)]
    record(session_store, actions=(*steps[:20], ListedMishap(what="middle"), *steps[20:]))

    [session] = http.get("/api/job-sessions").json()["sessions"]
    assert [1, 2, 21, *range(32, 42)] == [action["ord"] for action in session["actions"]]
    assert 41 == session["action_count"]


def test_one_session_has_all_its_actions(session_store: SessionStore, http: httpx.Client) -> None:
    """The session's own address gives header, every action and a cursor."""
    session_id = record(session_store, actions=tuple(ListedStep(number=number) for number in range(40)))

    body = http.get(f"/api/job-sessions/{session_id}").json()
    assert list(range(1, 41)) == [action["ord"] for action in body["session"]["actions"]]
    assert {"minute": 0} == body["session"]["input"]
    assert "." in body["cursor"]


def test_a_long_session_is_read_in_several_answers(session_store: SessionStore, http: httpx.Client) -> None:
    """Each says where the next one begins, the last one that there is none."""
    count = MOST_ACTIONS + 1
    session_id = record(session_store, actions=tuple(ListedStep(number=number) for number in range(count)))

    first = http.get(f"/api/job-sessions/{session_id}").json()
    rest = http.get(f"/api/job-sessions/{session_id}", params={"after": first["more_after"]}).json()
    assert (MOST_ACTIONS, None) == (first["more_after"], rest["more_after"])
    both = first["session"]["actions"] + rest["session"]["actions"]
    assert list(range(1, count + 1)) == [action["ord"] for action in both]


def test_the_cursor_is_of_the_same_moment_as_the_sessions(
    session_store: SessionStore, wait_until: Callable[..., None]
) -> None:
    """What is committed and published while the list is read is in the list or after its cursor, never in neither."""
    with session_store.begin() as connection:
        step(connection)
    with ThreadPoolExecutor(1) as pool:
        with session_store.begin() as publishing:
            publishing.execute(text("LOCK TABLE session_change_cursor IN ACCESS EXCLUSIVE MODE"))
            listing = pool.submit(load_sessions, session_store, SessionFilter(), 50)
            wait_until(lambda: _count_waiting(session_store) > 0)
            record(session_store)
            assert step(publishing)
        loaded = listing.result(timeout=15)

    assert ([], "0") == (loaded["sessions"], loaded["cursor"].rpartition(".")[2])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/job-sessions/00000000-0000-0000-0000-000000000001", 404),
        ("/api/job-sessions?limit=0", 400),
        ("/api/job-sessions?limit=201", 400),
        ("/api/job-sessions?limit=x", 400),
        ("/api/job-sessions/00000000-0000-0000-0000-000000000001?after=-1", 400),
        ("/api/job-sessions?status=nonsense", 400),
        ("/api/job-sessions?colour=red", 400),
        ("/api/job-sessions?since=yesterday", 400),
        ("/api/job-sessions?since=2026-07-25T12:00:00", 400),
        ("/api/job-sessions?older_than=yesterday", 400),
        (f"/api/job-sessions?job={'x' * 201}", 400),
        ("/api/job-sessions?job=a%00b", 400),
        ("/api/job-sessions/stream?status=nonsense", 400),
        ("/api/nothing-here", 404),
        ("/web/../settings.py", 404),
    ],
)
def test_an_error_is_json_and_says_what_to_do(http: httpx.Client, path: str, status: int) -> None:
    """Whatever is wrong, the answer has `error` and `what_to_do`."""
    response = http.get(path)

    assert status == response.status_code
    assert {"error", "what_to_do"} == response.json().keys()
    assert all(response.json().values())


def test_a_method_that_is_not_offered_is_refused_as_json(http: httpx.Client) -> None:
    """Nothing can be changed over HTTP."""
    response = http.delete("/api/job-sessions")

    assert (405, "Use GET.") == (response.status_code, response.json()["what_to_do"])


def test_the_catalogue_describes_every_action(http: httpx.Client) -> None:
    """Each type has its sentence, tone, version and JSON Schema."""
    found = http.get("/api/actions").json()["listed-mishap"]

    assert ("Something went wrong.", "Mishap: {what}", "error", 1) == (
        found["description"],
        found["sentence"],
        found["tone"],
        found["version"],
    )
    assert ["what"] == found["schema"]["required"]


def test_the_stream_says_that_it_is_well(http: httpx.Client) -> None:
    """`healthz` and `readyz` answer 200 while the database does."""
    assert (200, 200) == (http.get("/healthz").status_code, http.get("/readyz").status_code)


def test_metrics_count_clients_and_published_changes(
    session_store: SessionStore, http: httpx.Client, wait_until: Callable[..., None]
) -> None:
    """Prometheus finds the open streams and the log's position."""

    def scrape() -> dict[str, str]:
        lines = http.get("/metrics").text.splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line[0] != "#")

    with http.stream("GET", "/api/job-sessions/stream"), with_job_session("job", store=session_store):
        for name in ("bidbeacon_stream_position", "bidbeacon_stream_published_total"):
            wait_until(lambda name=name: float(scrape()[name]) == 1)
        assert "1.0" == scrape()['bidbeacon_stream_clients{transport="sse"}']


@pytest.mark.parametrize(
    "path",
    ["/", "/sessions/00000000-0000-0000-0000-000000000001", "/login", "/web/app.css", "/web/event-stream.js"],
)
def test_pages_and_files_are_served(http: httpx.Client, path: str) -> None:
    """The pages come from files, with no build step."""
    assert 200 == http.get(path).status_code


def _count_waiting(store: SessionStore) -> int:
    with store.begin() as connection:
        waiting = text(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('session_change_cursor' AS regclass)"
        )
        return int(connection.execute(waiting).scalar_one())
