"""No secret is found wherever something is kept or shown: neither one that a job was given, nor ours after a run with faults."""

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dagster import AssetExecutionContext, DagsterInstance, asset, materialize, serialize_value
from sqlalchemy import Engine, text

from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import Action, Reference, Subject
from bidbeacon_sessions.dagster import JobSessionsResource, session_metadata
from bidbeacon_sessions.settings import get_session_settings
from tests.dagster.runs import SERVED_DAYS, add_accounts, materialize_days, run_job
from tests.support.commands import run_command
from tests.support.recorded_sessions import recorded
from tests.support.rules import once, rule
from tests.support.world import World

CANARY = "CANARY0123456789"
ECHOED = "Zk8vTq2muRsQ7uT5Lw4xB3nC9pY6dG1h"
MARKS = ("•••", r"\u2022\u2022\u2022")
TOKEN = f"Atza|{CANARY}"
PRESIGNED = f"https://h/part.gz?X-Amz-Signature={CANARY}&X-Amz-Security-Token={CANARY}"
TABLES = text("""
    SELECT oid::regclass FROM pg_class
     WHERE relkind IN ('r', 'p', 'v') AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'dagster', 'reports'))
       AND relname <> 'access_tokens'""")
"""All but the table in which processes share access tokens."""


class CanarySung(Action):
    """A bird sang, in every field that an action has."""

    sentence = "Sang {song}[ {verses}] at {where}"
    tone = "error"

    song: str
    where: str
    verses: list[dict[str, Any]]

    def references(self) -> list[Reference]:
        """A window with a secret in its key."""
        return [Reference(f"US.{self.song}", "sung", "songs", self.song)]


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
            with store.begin() as connection:
                session.add_in(connection, SONG)
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
            "tables": tables(store.engine),
            "Dagster's events": "".join(
                serialize_value(event) for event in instance.all_logs(result.run_id)
            ),
            "Dagster's run": serialize_value(instance.get_run_by_id(result.run_id)),
            "list": http.get("/api/job-sessions").text,
            "session": http.get(f"/api/job-sessions/{session_id}").text,
            "frames": "".join(frames(http, cursor)),
            "metadata": str(session_metadata(store, session_id)),
            "logs": caplog.text,
            **printed(
                ("sessions", "show", str(session_id)),
                ("sessions", "show", str(session_id), "--json"),
                ("sessions", "list", "--json"),
            ),
        }


def test_a_secret_that_a_job_was_given_is_found_nowhere(sung: dict[str, str]) -> None:
    """Not in tables, Dagster's events, run and metadata, stream frames, answers, command line or logs; and each of them tells of the session."""
    assert [] == [where for where, found in sung.items() if CANARY in found]
    silent = [where for where, found in sung.items() if not any(mark in found for mark in MARKS)]
    assert ["logs"] == silent  # these tell nothing that could hold one


def test_no_secret_of_ours_is_found_after_a_run_with_faults(
    real: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither the credential, an access token nor a setting, though each call fails in another way: not in tables, those of Dagster's events included, logs, output or answers to commands."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", "t0ken-of-the-stream")
    monkeypatch.setenv("BIDBEACON_ALERT_URLS", "json://hook.invalid/t0ken-of-alerts")
    get_settings.cache_clear()
    get_session_settings.cache_clear()
    caplog.set_level(logging.DEBUG)
    caplog.set_level(
        logging.WARNING, logger="sqlalchemy"
    )  # its statements have our tokens as values
    add_accounts(real)
    account, day = real.account(), real.day()
    real.sandbox.state.rules.add(
        once("answer", "retrieve_report", status=500), once("cut", "download"), once("token")
    )
    materialize_days(real, account, day, raise_on_error=False)
    real.sandbox.state.rules.add(rule("token"), rule("token", what="revoked"))
    assert not run_job(real, "sync_accounts", raise_on_error=False).success
    tokens = [row["access_token"] for row in real.query("SELECT access_token FROM access_tokens")]
    secrets = [
        *tokens,
        *(token.partition("|")[2] for token in tokens),
        SANDBOX_CREDENTIAL.client_secret.get_secret_value(),
        SANDBOX_CREDENTIAL.refresh_token.get_secret_value(),
        "t0ken-of-the-stream",
        "t0ken-of-alerts",
    ]
    found = printed(("sessions", "list", "--json"), ("doctor",), ("alerts", "list"))
    output = "".join(capfd.readouterr())
    found |= {"tables": tables(real.engine), "logs": caplog.text, "output": output}
    assert tokens
    leaks = [(where, secret) for secret in secrets for where in found if secret in found[where]]
    assert [] == leaks


def test_no_piece_of_a_secret_that_amazon_echoes_is_found(
    real: World,
    http: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not where it comes as a code, name or status, or across the place where a text is cut: not in tables, those of Dagster's events included, logs, pages or the terminal."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", ECHOED)
    get_settings.cache_clear()
    get_session_settings.cache_clear()
    caplog.set_level(logging.DEBUG)

    names = {"accountName": ECHOED, "status": ECHOED, "errorMessage": ECHOED, "name": ECHOED}
    add_accounts(real)
    real.shorten_history(SERVED_DAYS)
    account = real.account()
    real.sandbox.state.rules.add(
        rule("answer", "list_accounts", add=names),
        rule("answer", "list_profiles", add={"timezone": ECHOED, "currencyCode": ECHOED}),
        rule("answer", "list_portfolios", add=names),
        rule("export_ends", code=ECHOED, reason="x" * 480 + ECHOED),
        rule("refuse", "create_report", code=ECHOED, message="x" * 480 + ECHOED),
    )
    for job in ("refresh_account", "sync_entities"):
        run_job(real, job, account, raise_on_error=False)
    run_job(real, "sync_accounts", raise_on_error=False)
    lists = ("alerts", "list"), ("accounts", "list")
    found = printed(("sessions", "list", "--json"), ("doctor",), *lists)
    output = "".join(capfd.readouterr())
    found |= {"tables": tables(real.engine), "logs": caplog.text, "output": output}
    found["page"] = http.get("/api/job-sessions").text
    pieces = [ECHOED[at : at + 6].lower() for at in range(len(ECHOED) - 5)]
    leaks = [(where, piece) for piece in pieces for where in found if piece in found[where].lower()]
    assert [] == leaks
    assert "xxx•••" in found["tables"]


def tables(engine: Engine) -> str:
    """Return the rows of all tables and views."""
    with engine.begin() as connection:
        return "".join(
            str(connection.execute(text(f"SELECT to_jsonb(t)::text FROM {name} t")).scalars().all())
            for name in connection.execute(TABLES).scalars().all()
        )


def frames(http: httpx.Client, cursor: str) -> Iterator[str]:
    """Yield what a stream tells from a cursor on, until the session has failed."""
    with http.stream("GET", "/api/job-sessions/stream", params={"cursor": cursor}) as response:
        for line in response.iter_lines():
            yield line
            if '"status":"failed"' in line:
                return


def printed(*commands: tuple[str, ...]) -> dict[str, str]:
    """Return what each command prints, whether or not it finds something wrong."""
    found = {}
    for command in commands:
        result = run_command(*command, code=None)
        assert result.exit_code in {0, 1}, result.output
        assert isinstance(result.exception, SystemExit | None)
        found[" ".join(command)] = result.output
    return found
