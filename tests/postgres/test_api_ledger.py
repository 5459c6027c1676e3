"""The ledger of calls to Amazon."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from bidbeacon_pipelines.amazon_ads.accounts import list_accounts
from bidbeacon_pipelines.amazon_ads.api_ledger import BATCH_ROWS, MOST_ROWS, PostgresCallLog
from bidbeacon_pipelines.amazon_ads.call_queries import summarize_calls
from bidbeacon_pipelines.amazon_ads.ledger import CallRecord
from bidbeacon_pipelines.job_context import open_job_context
from bidbeacon_pipelines.sandbox.server import SandboxHandle
from bidbeacon_pipelines.settings import Settings
from tests.postgres.flickering import Connector, flickering_engine, wait_until

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
CALL = CallRecord(called_at=NOON, region="NA", call="create_report")


@pytest.fixture
def flickering(database_url: str) -> Iterator[tuple[Connector, Engine]]:
    """Yield an engine on a database that is away until a test says otherwise."""
    with flickering_engine(database_url) as made:
        yield made


def test_a_call_is_stored_with_all_that_is_known_of_it(engine: Engine) -> None:
    """Every field has its column; what is not known is null."""
    told = CallRecord(
        called_at=NOON + timedelta(microseconds=1),
        region="EU",
        call="retrieve_report",
        account_id="amzn1.ads-account.g.one",
        country_code="DE",
        status=429,
        error="Throttled",
        duration=0.125,
        queued=0.5,
        waited=192,
        retry_count=3,
        request_id="rid-1",
    )
    with PostgresCallLog(engine) as log:
        log.record(told)
        log.record(CALL)
    full, bare = _calls(engine)
    seconds = {
        name: timedelta(seconds=getattr(told, name)) for name in ("duration", "queued", "waited")
    }
    assert told.__dict__ | seconds == full
    assert (None, None, None, None, None) == tuple(
        bare[name] for name in ("account_id", "country_code", "status", "error", "request_id")
    )


def test_a_429_inside_a_multi_status_answer_counts_as_throttled(engine: Engine) -> None:
    """Its own status is 207, so the error that it means is counted."""
    told = CallRecord(
        called_at=NOON, region="EU", call="retrieve_report", status=207, error="Throttled"
    )
    with PostgresCallLog(engine) as log:
        log.record(told)
        log.record(CALL)
    with engine.begin() as connection:
        throttled = {one.call: one.throttled for one in summarize_calls(connection, NOON)}
    assert {"create_report": 0, "retrieve_report": 1} == throttled


def test_a_hundred_calls_are_written_at_once_in_one_statement(engine: Engine) -> None:
    """Nobody waits five seconds for them, and the database gets one insert."""
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with PostgresCallLog(engine, longest_seconds=3600) as log:
        for _ in range(BATCH_ROWS):
            log.record(CALL)
        wait_until(lambda: bool(statements), "the batch is written")
        assert [True] == ["INSERT INTO api_calls" in statement for statement in statements]
    assert BATCH_ROWS == len(_calls(engine))


def test_a_few_calls_are_written_when_the_oldest_is_old_enough(engine: Engine) -> None:
    """A job that asks little still shows in the ledger while it runs."""
    with PostgresCallLog(engine, longest_seconds=0.05) as log:
        log.record(CALL)
        wait_until(lambda: len(_calls(engine)) == 1, "the first call is written")
        log.record(CALL)
        wait_until(lambda: len(_calls(engine)) == 2, "the second call is written")


def test_the_rest_is_written_at_the_end_of_a_job_that_fails(engine: Engine) -> None:
    """An error on its way out takes no calls along."""
    with pytest.raises(ZeroDivisionError), PostgresCallLog(engine, longest_seconds=3600) as log:
        for _ in range(BATCH_ROWS * 2 + 1):
            log.record(CALL)
        raise ZeroDivisionError
    assert BATCH_ROWS * 2 + 1 == len(_calls(engine))


def test_threads_share_one_ledger(engine: Engine) -> None:
    """No call of eight threads is lost or written twice."""
    with PostgresCallLog(engine) as log, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: log.record(CALL), range(2_000)))
    assert 2_000 == len(_calls(engine))


def test_calls_wait_for_a_database_that_is_away(
    flickering: tuple[Connector, Engine], engine: Engine
) -> None:
    """They are written when it is back; the job notices nothing."""
    connector, away = flickering
    with PostgresCallLog(away, longest_seconds=0.05) as log:
        log.record(CALL)
        wait_until(lambda: connector.asked > 1, "the database was asked in vain, twice")
        connector.is_away = False
        wait_until(lambda: len(_calls(engine)) == 1, "the call is written")


def test_what_is_lost_is_counted_and_logged(
    flickering: tuple[Connector, Engine], caplog: pytest.LogCaptureFixture
) -> None:
    """Memory has a bound, and so has the end: all that was not written is told in one line."""
    _, away = flickering
    with caplog.at_level(logging.WARNING), PostgresCallLog(away) as log:
        for _ in range(MOST_ROWS + 5):
            log.record(CALL)
    assert (
        f"{MOST_ROWS + 5} calls to Amazon are missing in api_calls: the database was unavailable"
        in caplog.messages
    )


def test_what_the_database_refuses_stops_neither_job_nor_ledger(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch that can't be stored is logged and dropped, and the next one is written."""
    with PostgresCallLog(engine, longest_seconds=0.01) as log:
        log.record(CallRecord(called_at=NOON, region="XX", call="token"))  # type: ignore[arg-type]  # refused on purpose
        wait_until(lambda: bool(caplog.messages), "the refusal is logged")
        log.record(CALL)
    assert ["create_report"] == [row["call"] for row in _calls(engine)]


def test_a_clock_that_was_set_back_makes_no_time_negative(engine: Engine) -> None:
    """A call that ended before it began took no time."""
    with PostgresCallLog(engine) as log:
        log.record(CallRecord(called_at=NOON, region="NA", call="token", duration=-0.5))
    assert [timedelta(0)] == [row["duration"] for row in _calls(engine)]


def test_the_workbench_writes_calls_also_when_a_job_fails(
    engine: Engine, database_url: str, sandbox: SandboxHandle
) -> None:
    """Token, accounts and profiles of each region are rows by the time the error comes out, and rate limits are in use."""
    settings = Settings(sandbox_port=int(sandbox.url.rpartition(":")[2]))
    with pytest.raises(ZeroDivisionError), open_job_context(settings, database_url) as context:
        list_accounts(context.client)
        raise ZeroDivisionError
    calls = _calls(engine)
    assert {"token", "list_accounts", "list_profiles"} == {row["call"] for row in calls}
    assert {"NA", "EU", "FE"} == {row["region"] for row in calls if row["call"] == "list_profiles"}
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM rate_limits")).scalar_one() > 0


def _calls(engine: Engine) -> list[dict[str, Any]]:
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT * FROM api_calls ORDER BY id")).mappings()
        return [{name: value for name, value in row.items() if name != "id"} for row in rows]
