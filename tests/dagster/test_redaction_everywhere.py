"""A canary secret goes in wherever people can put one, and is looked for wherever something is kept or shown."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dagster import AssetExecutionContext, DagsterInstance, asset, materialize, serialize_value
from sqlalchemy import text
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import Action, Reference, SessionStore, Subject
from bidbeacon_sessions.dagster import JobSessionsResource, session_metadata
from tests.recorded_sessions import recorded

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
    sessions: JobSessionsResource,
    http: httpx.Client,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> dict[str, str]:
    """Return all that is kept and shown of a run that failed with a canary in everything, by where it was found."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)  # for the command line
    get_settings.cache_clear()
    caplog.set_level(logging.DEBUG)
    store = sessions.store()

    @asset
    def bird(context: AssetExecutionContext, sessions: JobSessionsResource) -> None:
        given = {
            "token": CANARY,
            "deep": [{"url": httpx.URL(PRESIGNED), "error": ValueError(TOKEN)}],
        }
        account = Subject("US.a", f"Shop {TOKEN}")
        with sessions.session(context, "sing", input=given, account=account) as session:
            session.add(SONG)
            session.add(CanaryAnswered(song=TOKEN))
            with pytest.raises(LookupError), store.begin() as connection:
                session.add_in(connection, SONG)
                raise LookupError
            context.add_output_metadata(session_metadata(store, session.session_id))
            try:
                raise KeyError({"refresh_token": CANARY})  # noqa: TRY301 - as a cause is what it is tested
            except KeyError as error:
                raise RuntimeError(
                    "x" * 7_990 + f" {TOKEN} {PRESIGNED} Authorization: Bearer {CANARY}"
                ) from error

    cursor = http.get("/api/job-sessions").json()["cursor"]
    with DagsterInstance.ephemeral() as instance:
        result = materialize(
            [bird], instance=instance, resources={"sessions": sessions}, raise_on_error=False
        )
        assert not result.success
        [session_id] = [row.id for row in recorded(store)]
        return {
            "tables": _tables(store),
            "Dagster's events": "".join(
                serialize_value(event) for event in instance.all_logs(result.run_id)
            ),
            "Dagster's run": serialize_value(instance.get_run_by_id(result.run_id)),
            "list": http.get("/api/job-sessions").text,
            "session": http.get(f"/api/job-sessions/{session_id}").text,
            "frames": "".join(_frames(http, cursor)),
            "metadata": str(session_metadata(store, session_id)),
            "sessions show": _printed("show", str(session_id)),
            "sessions show --json": _printed("show", str(session_id), "--json"),
            "sessions list --json": _printed("list", "--json"),
            "logs": caplog.text,
        }


def test_the_canary_is_found_nowhere(sung: dict[str, str]) -> None:
    """Not in tables, Dagster's events, run and metadata, stream frames, answers, command line or logs; and each of them tells of the session."""
    assert [] == [where for where, found in sung.items() if CANARY in found]
    silent = [where for where, found in sung.items() if not any(mark in found for mark in MARKS)]
    assert ["logs"] == silent  # these tell nothing that could hold one


def test_a_promise_whose_key_holds_a_secret_is_fulfilled(sung: dict[str, str]) -> None:
    """Promise and claim are masked alike, so they still find each other."""
    session = json.loads(sung["session"])["session"]
    [promise] = session["actions"][0]["promises"]
    assert ("answer to •••", "fulfilled", 2) == (
        promise["key"],
        promise["status"],
        promise["fulfilled_ord"],
    )


def _tables(store: SessionStore) -> str:
    """Return the rows of all tables and views of sessions."""
    names = text(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relname ~ '^(session|job)_'"
    )
    with store.begin() as connection:
        return "".join(
            str(connection.execute(text(f"SELECT to_jsonb(t)::text FROM {name} t")).scalars().all())
            for name in connection.execute(names).scalars().all()
        )


def _frames(http: httpx.Client, cursor: str) -> Iterator[str]:
    """Yield what a stream tells from a cursor on, until the session has failed."""
    with http.stream("GET", "/api/job-sessions/stream", params={"cursor": cursor}) as response:
        for line in response.iter_lines():
            yield line
            if '"status":"failed"' in line:
                return


def _printed(*arguments: str) -> str:
    return CliRunner().invoke(app, ["sessions", *arguments]).output
