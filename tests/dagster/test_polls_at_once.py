"""Several runs of `poll_reports` at the same moment."""

from functools import partial

import pytest

from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_sessions import with_job_session
from tests.dagster.world import DATASET, World, ask_by_hand, wait_until
from tests.postgres.test_request_locks import at_once

DUE = "SELECT 1 FROM report_requests WHERE status = 'in_flight' AND next_step_at <= now()"


def test_polls_at_once_load_and_record_each_window_once(
    real: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs share the reports of three accounts: each window is loaded once, and is one materialization."""
    # Dagster configures logging when a run starts. Threads of one process can lock each other out there.
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)
    real.add_accounts()
    accounts = [real.account(country) for country in ("JP", "DE", "US")]
    days = [real.day(ago) for ago in range(20, 24)]
    with real.context() as context, with_job_session("ask", store=real.sessions) as session:
        for account in accounts:
            keep_windows(context, session, account, DATASET)
            ask_by_hand(context, session, account, days)
    assert real.run_job("poll_reports").success
    wait_until(lambda: len(real.rows(DUE)) == len(accounts), "all reports are due")
    assert all(run.success for run in at_once([partial(real.run_job, "poll_reports")] * 3))
    asked = {str(partition_key(account.account_key, day)) for account in accounts for day in days}
    loaded = real.rows("SELECT load_count FROM report_windows WHERE load_count > 0")
    assert [1] * len(asked) == [row["load_count"] for row in loaded]
    assert sorted(asked) == sorted(real.recorded_partitions())
