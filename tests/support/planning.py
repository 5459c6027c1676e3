"""Plans an ads account as the first part of a refresh does, and asks Amazon nothing."""

from bidbeacon_pipelines.accounts.queries import read_ads_account
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.refresh import begin_refresh
from bidbeacon_sessions import SessionRecorder


def plan(context: JobContext, session: SessionRecorder, key: str) -> None:
    """Make the windows of an ads account, given its key or that of one of its accounts, and plan what is due."""
    begin_refresh(context, session, read_ads_account(context.engine, key))
