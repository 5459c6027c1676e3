"""Ten runs of one account at the same moment: each window is loaded once, and none of the runs fails."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Endpoints
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.services.dispatch import create_reports
from bidbeacon_pipelines.services.refresh import refresh_account, step_requests
from bidbeacon_pipelines.services.workbench import Workbench
from bidbeacon_pipelines.store.engine import make_engine
from bidbeacon_sessions import SessionStore, with_job_session
from tests.postgres.bench_world import BenchWorld
from tests.postgres.conftest import IMPATIENT
from tests.postgres.test_store_claims import at_once

RUNS = 10
REPORTS = 3 * 7 + 2
"""Seven of 120 days for each daily dataset, one of 14 for each hourly one."""
ROUNDS = 20
"""Two reports are created in a round, and loaded in the next; one, after Amazon has refused a third one and the gate has halved its limit."""


def run(world: BenchWorld, database_url: str) -> None:
    """Refresh the account as a process of its own does: own connections, own client, own session."""
    engine = make_engine(database_url, pool_size=1)
    store = SessionStore(engine)
    try:
        with (
            AdsApiClient(
                SANDBOX_CREDENTIALS, Endpoints.sandbox(world.sandbox.url), retry=IMPATIENT
            ) as client,
            with_job_session("refresh-account", store=store) as session,
        ):
            bench = Workbench(engine, client, world.bench.settings, world.bench.clock, world.bench.sleep)
            step_requests(bench, session)
            refresh_account(bench, session, bench.ads_account(world.account("JP").ads_account_key))
            create_reports(bench, session)
    finally:
        store.dispose()


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 5}], indirect=True)
def test_ten_runs_at_once_load_each_window_once(world: BenchWorld, database_url: str) -> None:
    """Twenty rounds of ten fill five datasets by 23 reports; every due window has one load, and all runs have succeeded."""
    for _ in range(ROUNDS):
        at_once([partial(run, world, database_url) for _ in range(RUNS)])
        world.advance(minutes=6)
    windows = world.query(
        "SELECT window_date, load_count, next_refresh_at FROM report_windows WHERE country_code = 'JP'"
    )
    today = world.bench.now() + timedelta(hours=9)
    loads = Counter(row["load_count"] for row in windows if row["window_date"] < today.date())
    assert loads == {1: len(windows) - len(DATASETS)}
    assert world.reports_made() == REPORTS
    sessions = world.query(
        "SELECT status, count(*) FROM session_headers WHERE job_name = 'refresh-account' GROUP BY 1"
    )
    assert [("succeeded", ROUNDS * RUNS)] == [(row["status"], row["count"]) for row in sessions]
