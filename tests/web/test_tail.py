"""`bidbeacon sessions tail`: follows the database by the log's cursor, and shows each action once."""

import asyncio
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
from sqlalchemy import text

from bidbeacon_pipelines.cli.sessions import event_printer
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions import SessionStore, Subject
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.listing import read_sessions
from bidbeacon_sessions.tail import Tail
from tests.support.recorded_sessions import LoafBaked, record
from tests.support.waiting import wait_until

ACCOUNT = Subject("US.a")


class Heard:
    """Keeps what a tail shows."""

    def __init__(self) -> None:
        self.actions: list[int] = []
        self.ended: list[str] = []
        self.notices: list[str] = []

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Keep an action, the end of a session, or a notice."""
        match line:
            case {"session": {"status": status}} if status != "running":
                self.ended.append(status)
            case {"action": action}:
                self.actions.append(int(action["payload"]["what"]))
            case {"notice": notice}:
                self.notices.append(notice)


@contextmanager
def tailing(store: SessionStore, last: int = 1, **wanted: Any) -> Iterator[Heard]:
    """Follow in a thread until the block ends."""
    heard, runner = Heard(), asyncio.Runner()
    loop, tail = runner.get_loop(), Tail(store, SessionFilter(**wanted), heard)
    following = loop.create_task(tail.follow(last))

    def run() -> None:
        with (
            runner,
            pytest.raises(asyncio.CancelledError),
        ):  # the runner ends what is read meanwhile
            loop.run_until_complete(following)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield heard
    loop.call_soon_threadsafe(following.cancel)
    thread.join(timeout=20)
    assert not thread.is_alive()


def bake(
    store: SessionStore, *loaves: int, job: str = "bake", ago: timedelta = timedelta(0)
) -> None:
    """Record a session with an action for each loaf, as if so long ago."""
    actions = [LoafBaked(what=str(loaf)) for loaf in loaves]
    record(store, job, *actions, account=ACCOUNT, since=datetime.now(UTC) - ago)


def test_actions_and_ends_come_as_they_are_committed(session_store: SessionStore) -> None:
    """The earlier ones that were asked for first, then everything new."""
    bake(session_store, 1, 2)
    bake(session_store, 3)
    with tailing(session_store, last=1) as heard:
        wait_until(lambda: heard.ended == ["succeeded"])
        bake(session_store, 4, 5)
        wait_until(lambda: heard.ended == ["succeeded"] * 2)
    assert [3, 4, 5] == heard.actions


def test_a_tail_of_an_account_shows_its_actions_of_other_sessions(
    session_store: SessionStore,
) -> None:
    """And all of its own sessions; what those say of other accounts is left out."""
    with tailing(session_store, account="DE.b") as heard:
        of = enumerate(("DE.b", "US.a", "DE.b"), start=1)
        loaves = [LoafBaked(what=str(n), about=((account, None, None),)) for n, account in of]
        record(session_store, "bake", *loaves, account=ACCOUNT)
        wait_until(lambda: heard.ended == ["succeeded"])
    assert [1, 3] == heard.actions


def test_the_end_of_a_session_is_shown_after_its_last_action(session_store: SessionStore) -> None:
    """A message has the session as it is when it is read: that may be ended, with actions still on their way."""
    heard = Heard()
    tail = Tail(session_store, SessionFilter(), heard)
    session = {"id": "1", "status": "succeeded", "action_count": 2, "job_name": "bake"}
    session |= {"account": None, "account_label": None}
    first, second = ({"ord": number, "payload": {"what": number}} for number in (1, 2))
    tail._take(session, [first])
    assert ([1], []) == (heard.actions, heard.ended)
    tail._take(session, [second])
    assert ([1, 2], ["succeeded"]) == (heard.actions, heard.ended)


def test_a_tail_of_another_epoch_loads_what_it_missed(session_store: SessionStore) -> None:
    """As after a restore: all actions of meanwhile are shown, each once, more than the list holds."""
    bake(session_store, 0)
    with tailing(session_store) as heard:
        wait_until(lambda: heard.ended == ["succeeded"])
        with session_store.begin() as connection:
            connection.execute(text("UPDATE session_change_cursor SET epoch = gen_random_uuid()"))
            bake(session_store, *range(1, 31))
        wait_until(lambda: len(heard.ended) == 2)
    assert list(range(31)) == heard.actions
    assert "The change log lacks changes (epoch): loading sessions again." in heard.notices


def test_only_what_matches_is_shown(session_store: SessionStore) -> None:
    """Among the last ones, and among those that come."""
    bake(session_store, 1, ago=timedelta(hours=3))
    bake(session_store, 2)
    since = datetime.now(UTC) - timedelta(hours=2)
    with tailing(session_store, last=9, job="bake", since=since) as heard:
        wait_until(lambda: heard.ended == ["succeeded"])
        bake(session_store, 7, ago=timedelta(hours=3))
        bake(session_store, 8, job="bark")
        bake(session_store, 3)
        wait_until(lambda: 3 in heard.actions)
    assert [2, 3] == heard.actions


def show_one(store: SessionStore, show: Callable[[Mapping[str, Any]], None]) -> None:
    """Record a session, and have a tail show it."""
    bake(store, 1)
    [session] = read_sessions(store, SessionFilter(), 1)["sessions"]
    Tail(store, SessionFilter(), show)._take(session, session["actions"])


def test_a_line_says_whose_action_it_is(session_store: SessionStore) -> None:
    """Its session's job and account; actions are not repeated in the session's lines."""
    lines: list[Mapping[str, Any]] = []
    show_one(session_store, lines.append)
    begun, told, ended = lines
    action = told["action"]
    assert ("bake", "US.a", 1) == (action["job_name"], action["account"], action["ord"])
    assert ["running", "succeeded"] == [line["session"]["status"] for line in (begun, ended)]
    assert "actions" not in ended["session"]


def test_lines_of_a_terminal(session_store: SessionStore, capsys: Any) -> None:
    """A session with its time, its actions below it, and a notice."""
    show = event_printer()
    show_one(session_store, show)
    show({"notice": "The database answers again."})
    begun, told, ended, notice = _lines(capsys)
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ● running  bake  US\.a  ", begun)
    assert re.search(r"^  \d\d:\d\d:\d\d  │ Baked 1$", told)
    assert "✔ succeeded  bake  US.a" in ended
    assert "The database answers again." == notice


def test_an_action_of_another_session_stands_below_its_job_and_account(
    session_store: SessionStore, capsys: Any
) -> None:
    """So that the actions of sessions that run at the same time are told apart."""
    bake(session_store, 1)
    bake(session_store, 2, job="bark")
    newest, oldest = read_sessions(session_store, SessionFilter(), 2)["sessions"]
    show = event_printer()
    running = {"status": "running", "mark": "running", "action_count": 9}
    tail = Tail(session_store, SessionFilter(), show)
    tail._take(oldest | running, [])
    tail._take(newest | running, newest["actions"])
    tail._take(oldest | running, oldest["actions"])
    _, begun, barked, named, baked = _lines(capsys)
    assert ["bark", "bake  US.a"] == [begun.split()[4], named]
    assert ["Baked 2", "Baked 1"] == [one.split("│ ")[1] for one in (barked, baked)]


def _lines(capsys: Any) -> list[str]:
    """Return what was printed, with the continuation of a broken line behind its beginning."""
    printed: str = capsys.readouterr().out
    return re.sub(r"\n {10,}", " ", printed).splitlines()


def test_ctrl_c_ends_the_command_cleanly(session_store: SessionStore, database_url: str) -> None:
    """Exit code 130, no traceback; no server is needed."""
    bake(session_store, 5)
    command = [sys.executable, "-m", "bidbeacon_pipelines", "sessions", "tail", "--json"]
    environment = {**os.environ, "BIDBEACON_DATABASE_URL": database_url}
    with subprocess.Popen(
        [*command, "--last", "1"],
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
    assert ["session", "action", "session"] == [next(iter(line)) for line in heard]
    assert 130 == process.returncode
    assert "Traceback" not in said
