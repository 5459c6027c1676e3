"""`bidbeacon sessions tail`: follows through the stream's cursor, over restarts of the server, and shows each action once."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from bidbeacon_pipelines.cli import tailing
from bidbeacon_pipelines.cli.errors import CommandFailedError
from bidbeacon_pipelines.cli.tail_output import JsonTail, TerminalTail
from bidbeacon_pipelines.cli.tailing import Tail
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions import Action, Reference, SessionStore, Subject, with_job_session
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.server import StreamServer, stream
from bidbeacon_sessions.settings import get_session_settings

WaitUntil = Callable[..., None]
ACCOUNT = Subject("US.a")


class TailWagged(Action):
    """A tail moved."""

    sentence = "Wagged {number:count:time}"
    tone = "success"

    number: int


class TailShown(Action):
    """A tail was shown to an account."""

    sentence = "Shown {number:count:time}"

    account: str
    number: int

    def references(self) -> list[Reference]:
        """The account."""
        return [Reference(self.account, "shown")]


class _DoneError(Exception):
    """The test is over."""


class Heard:
    """Keeps what a tail shows; once the test is over, the first word ends the tail."""

    def __init__(self) -> None:
        self.actions: list[int] = []
        self.ended: list[str] = []
        self.notices: list[str] = []
        self.left: list[str] = []
        self.is_over = False

    def session(self, session: Mapping[str, Any]) -> None:
        """Keep the end of a session."""
        self.ended += [session["status"]] if session["status"] != "running" else []

    def action(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        """Keep an action."""
        self.actions.append(action["payload"]["number"])

    def gone(self, session_id: str) -> None:
        """Keep what left."""
        self.left.append(session_id)

    def notice(self, text: str) -> None:
        """Keep a notice, or end."""
        self.notices.append(text)
        if self.is_over:
            raise _DoneError


@contextmanager
def served(store: SessionStore, port: int = 0) -> Iterator[str]:
    """Serve the store; yield the address."""
    server = StreamServer(store, host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "SYNC_SECONDS", 0.2)
        thread.start()
        while not (server.is_listening and server.is_ready):
            threading.Event().wait(0.01)
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.stop()
            thread.join(timeout=10)


@contextmanager
def tailing_of(url: str, last: int = 1, **wanted: Any) -> Iterator[Heard]:
    """Follow in a thread; the server must stop inside, which ends it."""
    heard = Heard()

    def follow() -> None:
        with pytest.raises(_DoneError):
            Tail(url, SessionFilter(**wanted), heard).follow(last)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    yield heard
    thread.join(timeout=20)
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are short."""
    monkeypatch.setattr(tailing, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(tailing, "_LONGEST_PAUSE", 0.2)


def wag(
    store: SessionStore, *numbers: int, job: str = "wag", ago: timedelta = timedelta(0)
) -> None:
    """Record a session with these, as if so long ago."""
    with with_job_session(
        job, store=store, account=ACCOUNT, clock=lambda: datetime.now(UTC) - ago
    ) as session:
        for number in numbers:
            session.add(TailWagged(number=number))


def test_a_tail_of_an_account_shows_its_actions_of_other_sessions(
    session_store: SessionStore, wait_until: WaitUntil
) -> None:
    """And all of its own sessions; what those say of other accounts is left out."""
    with served(session_store) as url:
        following = tailing_of(url, account="DE.b")
        heard = following.__enter__()
        with with_job_session("show", store=session_store, account=ACCOUNT) as session:
            for number, account in enumerate(("DE.b", "US.a", "DE.b"), start=1):
                session.add(TailShown(account=account, number=number))
        wait_until(lambda: heard.ended == ["succeeded"])
        heard.is_over = True
    following.__exit__(None, None, None)
    assert [1, 3] == heard.actions


def test_actions_and_ends_come_as_they_are_committed(
    session_store: SessionStore, wait_until: WaitUntil
) -> None:
    """Those of before that were asked for first, then everything new."""
    wag(session_store, 1, 2)
    wag(session_store, 3)
    with served(session_store) as url:
        following = tailing_of(url, last=1)
        heard = following.__enter__()
        wait_until(lambda: heard.ended == ["succeeded"])
        wag(session_store, 4, 5)
        wait_until(lambda: heard.ended == ["succeeded"] * 2)
        heard.is_over = True
    following.__exit__(None, None, None)
    assert [3, 4, 5] == heard.actions


def test_the_end_of_a_session_is_shown_after_its_last_action() -> None:
    """A message tells the session as it is when it is read: that may be ended, with actions still on their way."""
    heard = Heard()
    tail = Tail("http://nowhere", SessionFilter(), heard)
    session = {"id": "1", "status": "succeeded", "action_count": 2}
    first, second = ({"ord": number, "payload": {"number": number}} for number in (1, 2))
    tail._take(session, [first])
    assert ([1], []) == (heard.actions, heard.ended)
    tail._take(session, [second])
    assert ([1, 2], ["succeeded"]) == (heard.actions, heard.ended)


def test_a_restart_of_the_server_loses_nothing_and_repeats_nothing(
    session_store: SessionStore, wait_until: WaitUntil
) -> None:
    """What happens while it is down comes when it is back, from the cursor that the tail has kept."""
    wag(session_store, 1)
    with served(session_store) as url:
        following = tailing_of(url)
        heard = following.__enter__()
        wait_until(lambda: heard.ended == ["succeeded"])
    wait_until(lambda: len(heard.notices) == 1)
    wag(session_store, 2, 3)
    with served(session_store, int(url.rpartition(":")[2])):
        wag(session_store, 4)
        wait_until(lambda: heard.actions[-1:] == [4])
        heard.is_over = True
    following.__exit__(None, None, None)
    assert [1, 2, 3, 4] == heard.actions
    assert "does not answer" in heard.notices[0]
    assert "The Event Stream is back." == heard.notices[1]


def test_a_tail_that_is_told_to_start_anew_loads_what_it_missed(
    session_store: SessionStore, wait_until: WaitUntil
) -> None:
    """Its cursor is of another epoch after a restore: all actions of meanwhile are shown, each once, more than one answer holds."""
    from sqlalchemy import text

    wag(session_store, 0)
    with served(session_store) as url:
        following = tailing_of(url)
        heard = following.__enter__()
        wait_until(lambda: heard.ended == ["succeeded"])
    wait_until(lambda: bool(heard.notices))
    with session_store.begin() as connection:
        connection.execute(text("UPDATE session_change_cursor SET epoch = gen_random_uuid()"))
    wag(session_store, *range(1, 1101))
    with served(session_store, int(url.rpartition(":")[2])):
        wait_until(lambda: 1100 in heard.actions)
        heard.is_over = True
    following.__exit__(None, None, None)
    assert list(range(1101)) == heard.actions
    assert any("restarted (epoch)" in notice for notice in heard.notices)


def test_only_what_matches_is_shown(session_store: SessionStore, wait_until: WaitUntil) -> None:
    """The stream's own filters."""
    wag(session_store, 1)
    with served(session_store) as url:
        following = tailing_of(url, job="wag")
        heard = following.__enter__()
        wait_until(lambda: heard.ended == ["succeeded"])
        wag(session_store, 7, job="bark")
        wag(session_store, 2)
        wait_until(lambda: 2 in heard.actions)
        heard.is_over = True
    following.__exit__(None, None, None)
    assert [1, 2] == heard.actions


def test_what_began_before_an_instant_is_left_out(
    session_store: SessionStore, wait_until: WaitUntil
) -> None:
    """Among the last ones, and among those that come."""
    wag(session_store, 1, ago=timedelta(hours=3))
    wag(session_store, 2)
    with served(session_store) as url:
        following = tailing_of(url, last=9, since=datetime.now(UTC) - timedelta(hours=2))
        heard = following.__enter__()
        wait_until(lambda: heard.ended == ["succeeded"])
        wag(session_store, 7, ago=timedelta(hours=3))
        wag(session_store, 3)
        wait_until(lambda: 3 in heard.actions)
        heard.is_over = True
    following.__exit__(None, None, None)
    assert [2, 3] == heard.actions


def test_a_stream_that_wants_a_token_says_so(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No endless waiting: what is wrong and what to do."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", "the-right-token-of-it")
    get_session_settings.cache_clear()
    with (
        served(session_store) as url,
        pytest.raises(CommandFailedError, match="answered 401: A token is needed"),
    ):
        Tail(url, SessionFilter(), Heard(), token="wrong").follow(0)


def test_lines_of_json_are_whole_and_say_whose_action_it_is() -> None:
    """One object a line."""
    out = io.StringIO()
    action = {"ord": 1, "at": "2026-11-23T05:00:00+00:00", "text": "Wagged"}
    with JsonTail(out) as shown:
        shown.action({"job_name": "wag", "account": "US.a"}, action)
        shown.notice("The Event Stream is back.")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [
        {"action": {**action, "job_name": "wag", "account": "US.a"}},
        {"notice": "The Event Stream is back."},
    ] == lines


def test_the_last_line_of_a_terminal_says_what_runs(session_store: SessionStore) -> None:
    """With job, account and time; nothing of it stays when the tail ends."""
    from bidbeacon_sessions.server.listing import load_sessions

    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with with_job_session("wag", store=session_store, account=ACCOUNT):
        [session] = load_sessions(session_store, SessionFilter(), 1)["sessions"]
    with TerminalTail(console) as shown:
        shown.session(session | {"status": "running", "duration": None})
        assert re.match(r"● 1 running · wag US\.a \d+\.\d s", shown._running_line().plain)
        shown.session(session | {"status": "succeeded", "finished_at": session["started_at"]})
        assert "No session is running" in shown._running_line().plain


def run_command(
    database_url: str, url: str, *options: str
) -> tuple[list[dict[str, Any]], int, str]:
    """Run the command until it has told a session with one action, and interrupt it; return what it told, its exit code, and its complaints."""
    command = [
        sys.executable,
        "-m",
        "bidbeacon_pipelines",
        "sessions",
        "tail",
        "--url",
        url,
        "--json",
        *options,
    ]
    environment = {**os.environ, "BIDBEACON_DATABASE_URL": database_url}
    with subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            heard = [json.loads(process.stdout.readline()) for _ in range(3)]
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    return heard, process.returncode, said


def test_ctrl_c_ends_it_cleanly(session_store: SessionStore, database_url: str) -> None:
    """Exit code 130, one word, no traceback."""
    wag(session_store, 5)
    with served(session_store) as url:
        heard, code, said = run_command(database_url, url, "--last", "1")
    assert ["session", "action", "session"] == [next(iter(line)) for line in heard]
    assert 130 == code
    assert "Traceback" not in said


def test_the_command_shows_what_began_since(session_store: SessionStore, database_url: str) -> None:
    """A session of three hours ago is not of the last two, though there is room for it."""
    wag(session_store, 1, ago=timedelta(hours=3))
    wag(session_store, 2)
    with served(session_store) as url:
        heard, _, _ = run_command(database_url, url, "--since", "2h", "--last", "9")
    assert 2 == heard[1]["action"]["payload"]["number"]
