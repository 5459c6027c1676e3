"""Observations of windows that a session handled and did not load, with the reason.

If an observation can't be stored, the run continues without it. It is made once, when the session
has ended; a run killed before that has none.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetObservation,
    DagsterEvent,
    MetadataValue,
    OpExecutionContext,
)

from bidbeacon_pipelines.defs.materializations import Metadata, in_one_batch
from bidbeacon_pipelines.defs.partitions import is_partition_day, partition_key
from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.store.window_stories import UnloadedWindow, list_unloaded_windows
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.dagster import session_metadata, timeline

logger = logging.getLogger(__name__)


def observe_unloaded_windows(
    context: OpExecutionContext | AssetExecutionContext, store: SessionStore, session_id: UUID
) -> None:
    """Record an observation for each window that a session handled and did not load.

    Never fails: what goes wrong is logged.

    Args:
        context: of the step that the session was of.
        store: where the session is kept.
        session_id: the session, which has ended.
    """
    try:
        with store.begin() as connection:
            windows = list_unloaded_windows(connection, session_id)
        shown = [window for window in windows if is_partition_day(window.window_date)]
        if shown:
            of_session = session_metadata(store, session_id)
            _store(context, [_observation(window, of_session) for window in shown])
    except Exception:
        logger.exception(
            "Session %s: the windows that it did not load could not be recorded in Dagster",
            session_id,
        )


def _store(
    context: OpExecutionContext | AssetExecutionContext, observations: Sequence[AssetObservation]
) -> None:
    step = context.get_step_execution_context()
    for observation, place in in_one_batch(observations):
        DagsterEvent.asset_observation(step, observation, place)


def _observation(window: UnloadedWindow, of_session: Metadata) -> AssetObservation:
    """Return the observation of one window: its session, how that ended, and the sentence about this window."""
    return AssetObservation(
        asset_key=AssetKey(get_dataset(window.dataset).asset_name),
        partition=partition_key(window.account_key, window.window_date),
        metadata={
            **of_session,
            "outcome": MetadataValue.text(window.outcome),
            "timeline": timeline([window.action]),
        },
    )
