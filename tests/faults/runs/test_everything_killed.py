"""The whole of `bidbeacon dev` is killed at once while a run is under way, as when a host goes down, and started again."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from tests.support.processes import Terminal, kill_family, terminal
from tests.support.waiting import wait_until

__all__ = ["terminal"]

SHORT_LEASES = {"BIDBEACON_LEASE_SECONDS": "5", "BIDBEACON_HEARTBEAT_SECONDS": "1"}
UNDERWAY = """SELECT s.run_id FROM job_sessions s JOIN dagster.runs r USING (run_id)
               WHERE s.status = 'running' AND r.status = 'STARTED' AND s.action_count > 0"""
LOADED = "SELECT count(*) FROM report_windows WHERE load_count > 0"
WITHOUT_DATA = """SELECT account_key FROM advertiser_accounts a
                   WHERE amazon_status <> 'DISABLED' AND NOT EXISTS (
                         SELECT FROM report_windows w
                          WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.load_count > 0)"""

STATE = """SELECT a.account_key, a.entities_synced_at, o.needs_attention, r.status, r.attempts, r.next_step_at, r.cause
             FROM advertiser_accounts a JOIN ads_accounts o USING (account_id) LEFT JOIN report_requests r USING (account_id) ORDER BY 1, r.id"""

READY_AGAIN_SECONDS = 40
"""The first start also makes the database."""


def rows(terminal: Terminal, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(EmbeddedPostgres(terminal.home, "sandbox").url()) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def host(terminal: Terminal) -> Iterator[Terminal]:
    """Yield a terminal, as a host of its own; the state of accounts and requests is shown where the test failed."""
    yield terminal
    print(*rows(terminal, STATE), sep="\n")  # noqa: T201 - for whoever reads why it failed


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_runs_go_on_after_everything_was_killed(host: Terminal) -> None:
    """No run stays started, no session stays running, no account stays blocked: each of them gets its data."""
    host.start("dev", **SHORT_LEASES)
    wait_until(lambda: bool(rows(host, UNDERWAY)), "a run is under way", seconds=120)
    killed = {
        run_id
        for (run_id,) in rows(host, "SELECT run_id FROM dagster.runs WHERE status = 'STARTED'")
    }
    [(before,)] = rows(host, LOADED)
    kill_family(host.process)
    assert host.start("dev", **SHORT_LEASES) < READY_AGAIN_SECONDS
    listed = ", ".join(f"'{run_id}'" for run_id in killed)
    still = f"SELECT id FROM job_sessions WHERE status = 'running' AND run_id IN ({listed})"
    wait_until(lambda: rows(host, still) == [], "the killed sessions are closed", seconds=120)
    started = f"SELECT run_id FROM dagster.runs WHERE status IN ('STARTING', 'STARTED') AND run_id IN ({listed})"
    wait_until(lambda: rows(host, started) == [], "the killed runs are failed", seconds=240)
    wait_until(lambda: rows(host, WITHOUT_DATA) == [], "every account has data", seconds=1200)
    assert rows(host, LOADED)[0][0] > before
