"""Plans an ads account as the first part of a refresh does, and asks Amazon nothing."""

from bidbeacon_pipelines.accounts.queries import list_countries, read_ads_account
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.plan import plan_account
from bidbeacon_sessions import SessionRecorder


def plan(context: JobContext, session: SessionRecorder, key: str) -> None:
    """Make the windows of an ads account, given its key or that of one of its accounts, and plan what is due."""
    ads_account = read_ads_account(context.engine, key)
    with context.engine.begin() as connection:
        countries = list_countries(connection, ads_account.account_id)
    plan_account(context, session, ads_account, countries)
