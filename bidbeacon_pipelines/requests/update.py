"""Brings an account up to date: its windows and plans, reports at its gate, and what of it is ready; never waits for Amazon."""

import logging
from collections.abc import Callable

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.dispatch import create_reports
from bidbeacon_pipelines.requests.queries import LockLostError
from bidbeacon_pipelines.requests.refresh import refresh_account, step_requests
from bidbeacon_pipelines.requests.wanted_queries import count_windows_left
from bidbeacon_sessions import SessionClosedError, SessionRecorder

logger = logging.getLogger(__name__)


def update_account(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    *,
    on_step: Callable[[], object] | None = None,
) -> int:
    """Plan what is due for an ads account, run the dispatcher of its gate, poll and load what of it is ready.

    The dispatcher creates the most urgent reports first, so it may create other accounts' reports.
    What goes wrong with one of them is logged only: it fails the shared run, which tries it again.

    Args:
        context: the tools.
        session: records the actions.
        ads_account: the ads account.
        on_step: called after each poll or load.

    Returns:
        How many windows are due or failed, and neither planned nor requested.
    """
    refresh_account(context, session, ads_account)
    try:
        create_reports(context, session, gate=(ads_account.client_id, ads_account.region))
    except (LockLostError, SessionClosedError):
        raise
    except Exception:
        logger.exception("A report could not be created at the gate of %s", ads_account.label)
    step_requests(context, session, account_id=ads_account.account_id, on_step=on_step)
    with context.engine.begin() as connection:
        return count_windows_left(
            connection, ads_account.account_id, tuple(DATASETS), now=context.now()
        )
