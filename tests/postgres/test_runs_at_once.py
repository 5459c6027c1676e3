"""Several runs of one account at the same moment: each window is loaded once, and none of the runs fails."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from bidbeacon_pipelines.accounts.queries import read_ads_account
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.requests.dispatch import create_reports, step_requests
from bidbeacon_pipelines.requests.plan import plan_account
from bidbeacon_sessions import SessionStore, with_job_session
from tests.support.reading import tuples
from tests.support.threads import at_once
from tests.support.world import IMPATIENT, World

RUNS = 6
FILLED = ("daily_products", "daily_targets", "hourly_targets")
"""Of these, products come in two reports: ad products that do not share their fields come in different ones."""
SERVED_DAYS = 150
REPORTS = (1 + 2) * 2 + 1
"""Two of at most 120 days for each group of ad products by day, one of 14 for the hours."""
ROUNDS = 9
"""Two reports are created in a round, and loaded in the next; one, after Amazon has refused a third one and the gate has halved its limit."""


def run(world: World, database_url: str) -> None:
    """Refresh the account as a process of its own does: own connections, own client, own session."""
    engine = make_engine(database_url, pool_size=1)
    store = SessionStore(engine)
    try:
        endpoints = Endpoints.sandbox(world.sandbox.url)
        with (
            AdsApiClient(SANDBOX_CREDENTIAL, endpoints, retry=IMPATIENT) as client,
            with_job_session("refresh-account", store=store) as session,
        ):
            context = replace(world.context, engine=engine, client_for=lambda _: client)
            step_requests(context, session)
            ads_account = read_ads_account(engine, world.account("JP").ads_account_key)
            plan_account(context, session, ads_account)
            failures: list[Exception] = []
            create_reports(context, session, failures)
            assert [] == failures
    finally:
        store.dispose()


@pytest.mark.datasets(*FILLED)
@pytest.mark.parametrize("sandbox", [{"rows_per_day": 5}], indirect=True)
def test_runs_at_once_load_each_window_once(world: World, database_url: str) -> None:
    """Nine rounds of six fill three datasets by seven reports; every due window is loaded once of each report, and all runs have succeeded."""
    world.shorten_history(SERVED_DAYS)
    for _ in range(ROUNDS):
        at_once([partial(run, world, database_url) for _ in range(RUNS)])
        world.advance(minutes=6)
    today = (world.context.now() + timedelta(hours=9)).date()
    windows = """SELECT DISTINCT dataset, load_count FROM report_windows
                  WHERE country_code = 'JP' AND window_date < :today ORDER BY 1"""
    assert [(name, 1) for name in FILLED] == tuples(world.engine, windows, today=today)
    assert world.reports_made() == REPORTS
    sessions = """SELECT status, count(*) FROM session_headers
                   WHERE job_name = 'refresh-account' GROUP BY 1"""
    assert [("succeeded", ROUNDS * RUNS)] == tuples(world.engine, sessions)
