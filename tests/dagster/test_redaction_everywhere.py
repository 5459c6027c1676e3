"""A canary secret goes in wherever people can put one, and is looked for wherever something is kept or shown."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from dagster import AssetExecutionContext, DagsterInstance, asset, materialize, serialize_value
from sqlalchemy import text
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_sessions import Action, Reference, SessionStore, Subject
from bidbeacon_sessions.dagster import JobSessionsResource, session_metadata
from bidbeacon_sessions.server import StreamServer

CANARY = "CANARY0123456789"
MARKS = ("•••", r"\u2022\u2022\u2022")
TOKEN = f"Atza|{CANARY}"
PRESIGNED = f"https://h/part.gz?X-Amz-Signature={CANARY}&X-Amz-Security-Token={CANARY}"


class CanarySung(Action):
    """A bird sang, in every field that an action has."""

    sentence = "Sang {song}[ {verses}] at {where:link}"
    tone = "error"

    song: str
    where: str
    verses: list[dict[str, Any]]

    def references(self) -> list[Reference]:
        """A window with a secret in its key."""
        return [Reference(f"US.{self.song}", "sung", "songs", self.song)]

    def promises(self) -> list[str]:
        """That somebody answers, under a key with a secret in it."""
        return [f"answer to {self.song}"]


class CanaryAnswered(Action):
    """A bird answered another one."""

    sentence = "Answered {song}"

    song: str

    def fulfilled_promises(self) -> list[str]:
        """The one of the bird that sang."""
        return [f"answer to {self.song}"]


SONG = CanarySung(
    song=TOKEN,
    where=PRESIGNED,
    verses=[{"deep": [{"client_secret": CANARY}]}, {"long": "x" * 20_000 + TOKEN}],
)


@pytest.fixture
def sung(
    session_store: SessionStore, database_url: str, caplog: pytest.LogCaptureFixture
) -> Iterator[dict[str, str]]:
    """Yield all that is kept and shown of a run that failed with a canary in everything, by where it was found."""
    caplog.set_level(logging.DEBUG)

    class Sessions(JobSessionsResource):
        def store(self) -> SessionStore:
            return session_store

    @asset
    def bird(context: AssetExecutionContext, sessions: Sessions) -> None:
        given = {"token": CANARY, "deep": [{"url": httpx.URL(PRESIGNED), "error": ValueError(TOKEN)}]}
        account = Subject("US.a")
        with sessions.session(context, "sing", input=given, account=account) as session:
            session.add(SONG)
            session.add(CanaryAnswered(song=TOKEN))
            with pytest.raises(LookupError), session_store.begin() as connection:
                session.add_in(connection, SONG)
                raise LookupError
            context.add_output_metadata(session_metadata(session_store, session.session_id))
            try:
                raise KeyError({"refresh_token": CANARY})  # noqa: TRY301 - as a cause is what it is tested
            except KeyError as error:
                raise RuntimeError(
                    "x" * 7_990 + f" {TOKEN} {PRESIGNED} Authorization: Bearer {CANARY}"
                ) from error

    with DagsterInstance.ephemeral() as instance, _served(session_store) as (url, frames):
        result = materialize(
            [bird], instance=instance, resources={"sessions": Sessions()}, raise_on_error=False
        )
        assert not result.success
        with session_store.begin() as connection:
            session_id = connection.execute(text("SELECT id FROM session_headers")).scalar_one()
        yield {
            "tables": _tables(session_store),
            "Dagster's events": "".join(serialize_value(event) for event in instance.all_logs(result.run_id)),
            "Dagster's run": serialize_value(instance.get_run_by_id(result.run_id)),
            "list": httpx.get(f"{url}/api/job-sessions").text,
            "session": httpx.get(f"{url}/api/job-sessions/{session_id}").text,
            "frames": _until_ended(frames),
            "metadata": str(session_metadata(session_store, session_id)),
            **_commands(str(session_id)),
            "logs": caplog.text,
        }


def test_the_canary_is_found_nowhere(sung: dict[str, str], database_url: str) -> None:
    """Not in tables, Dagster's events and metadata, stream frames, answers, command line or logs; and each of them tells of the session."""
    assert [] == [where for where, found in sung.items() if CANARY in found]
    silent = [where for where, found in sung.items() if not any(mark in found for mark in MARKS)]
    assert ["Dagster's run", "logs"] == silent  # these tell nothing that could hold one


def test_a_promise_whose_key_holds_a_secret_is_fulfilled(sung: dict[str, str]) -> None:
    """Promise and claim are masked alike, so they still find each other."""
    session = json.loads(sung["session"])["session"]
    [promise] = session["actions"][0]["promises"]
    assert ("answer to •••", "fulfilled", 2) == (promise["key"], promise["status"], promise["fulfilled_ord"])


@pytest.fixture(autouse=True)
def _database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line works on the test's database."""
    from bidbeacon_pipelines.settings import get_settings

    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    get_settings.cache_clear()


@contextmanager
def _served(store: SessionStore) -> Iterator[tuple[str, list[str]]]:
    server = StreamServer(store, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    frames: list[str] = []
    while not (server.is_listening and server.is_ready):
        threading.Event().wait(0.01)
    url = f"http://127.0.0.1:{server.port}"
    reader = threading.Thread(target=_read, args=(url, frames), daemon=True)
    reader.start()
    try:
        yield url, frames
    finally:
        server.stop()
        thread.join(timeout=10)
        reader.join(timeout=10)


def _read(url: str, frames: list[str]) -> None:
    with httpx.stream("GET", f"{url}/api/job-sessions/stream", timeout=20) as response:
        frames.extend(response.iter_lines())


def _until_ended(frames: list[str]) -> str:
    for _ in range(500):
        if any('"status":"failed"' in line for line in frames):
            return "\n".join(frames)
        threading.Event().wait(0.02)
    raise AssertionError("the end of the session never came")


def _tables(store: SessionStore) -> str:
    names = (
        "session_headers",
        "session_actions",
        "session_references",
        "session_promises",
        "session_leases",
        "session_changes",
        "job_sessions",
        "job_promises",
    )
    with store.begin() as connection:
        return "".join(
            str(connection.execute(text(f"SELECT to_jsonb(t)::text FROM {name} t")).scalars().all())
            for name in names
        )


def _commands(session_id: str) -> dict[str, str]:
    commands = {
        "sessions show": ["sessions", "show", session_id],
        "sessions show --json": ["sessions", "show", session_id, "--json"],
        "sessions list --json": ["sessions", "list", "--json"],
    }
    outputs = {name: CliRunner().invoke(app, arguments).output for name, arguments in commands.items()}
    json.loads(outputs["sessions list --json"])
    return outputs
