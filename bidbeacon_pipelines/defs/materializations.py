"""What Dagster shows of loaded windows, and how loads that were made elsewhere become materializations.

The only module that imports something private of Dagster's: nothing public stores many events as
one batch.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    DagsterEvent,
    MetadataValue,
    OpExecutionContext,
)
from dagster._core.events import DagsterEventBatchMetadata
from sqlalchemy import Connection, Engine

from bidbeacon_pipelines.actions import LoadsRecorded
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.defs.check_results import evaluate_checks
from bidbeacon_pipelines.defs.partitions import is_partition_day, partition_key
from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.reports.product_states import describe_unserved, from_json
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.window_stories import key_of, list_stories
from bidbeacon_pipelines.store.windows import LoadedWindow, list_unrecorded_windows, record_windows
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.dagster import timeline
from bidbeacon_sessions.presentation import describe_status, session_url

_BATCH = 100
_MILLISECOND = 0.001

Metadata = dict[str, MetadataValue[Any]]
Event = TypeVar("Event")


def describe_windows(
    connection: Connection, windows: Sequence[LoadedWindow]
) -> list[tuple[LoadedWindow, Metadata]]:
    """Return the metadata of each window's materialization: its figures and its timeline.

    Kept small (about 2 kB), since a run that loads 500 windows writes 500 of them, and they are
    kept forever.
    """
    stories = list_stories(connection, windows)
    timelines: dict[Any, MetadataValue[Any]] = {}  # windows of one report mostly share their story
    described = []
    for window in windows:
        story = stories[key_of(window)]
        positions = tuple((action["session_id"], action["ord"]) for action in story)
        if positions not in timelines:
            timelines[positions] = timeline(story)
        described.append((window, {**window_metadata(window), "timeline": timelines[positions]}))
    return described


def add_metadata_of_partitions(
    context: AssetExecutionContext, metadata: Mapping[str, Metadata]
) -> None:
    """Set each partition's own metadata, all at once.

    `context.add_asset_metadata` lists all partitions of the range for each one: 450 of them took 7
    s, and take 0.1 s like this.
    """
    step = context.get_step_execution_context()
    for key, own in metadata.items():
        step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(  # noqa: SLF001 - see above
            asset_key=context.asset_key, metadata=own, partition_key=key
        )


def window_metadata(window: LoadedWindow) -> Metadata:
    """Return the figures of one loaded window; numbers, so that Dagster plots them.

    Amounts are rounded to cents, as in sentences; those that the dataset does not have are left out.
    """
    amounts = {"spend": window.spend, "sales": window.sales}
    columns = get_dataset(window.dataset).columns
    return {
        "dagster/row_count": MetadataValue.int(window.row_count),
        **{
            name: MetadataValue.float(float(round(amount, 2)))
            for name, amount in amounts.items()
            if name in columns
        },
        "currency": MetadataValue.text(window.currency_code),
        "rows_changed": MetadataValue.int(window.restated_count),
        "rows_unresolved": MetadataValue.int(window.unresolved_count),
        "rows_quarantined": MetadataValue.int(window.quarantined_count),
        "load": MetadataValue.int(window.load_count),
        "data_as_of": MetadataValue.timestamp(window.data_as_of),
        "loaded_at": MetadataValue.timestamp(window.last_loaded_at),
        **({"recorded_again": MetadataValue.bool(True)} if window.is_recorded_again else {}),
        **_unserved_metadata(window),
        **_report_metadata(window),
        **_session_metadata(window),
    }


def _unserved_metadata(window: LoadedWindow) -> Metadata:
    """Return which ad products Amazon does not serve for the window; nothing where it serves all."""
    sentence = describe_unserved(from_json(window.product_states))
    return {} if sentence is None else {"not_served": MetadataValue.text(sentence)}


def _report_metadata(window: LoadedWindow) -> Mapping[str, MetadataValue[Any]]:
    """Return its report, the number of requests, and the days that the report covered."""
    metadata = {
        "report_id": MetadataValue.text(window.report_id or "unknown"),
        "requests_used": MetadataValue.int(window.attempts or 1),
    }
    if window.report_start is not None and window.report_end is not None:
        days = (window.report_end - window.report_start).days + 1
        metadata["report_covers"] = MetadataValue.text(
            f"{days} {'day' if days == 1 else 'days'}: {window.report_start} to {window.report_end}"
        )
    return metadata


def _session_metadata(window: LoadedWindow) -> Mapping[str, MetadataValue[Any]]:
    """Return the session that loaded it, and how it ended; nothing about a running one, since this metadata never changes."""
    if window.session_id is None:
        return {}
    metadata: dict[str, MetadataValue[Any]] = {
        "loaded_by": MetadataValue.url(session_url(str(window.session_id)))
    }
    if window.session_status is not None and window.session_status != "running":
        status = describe_status(window.session_status, window.session_outcome, window.recovered_by)
        metadata["session_status"] = MetadataValue.text(status)
    return metadata


def record_loaded_windows(
    context: OpExecutionContext | AssetExecutionContext, engine: Engine, session: SessionRecorder
) -> None:
    """Record a materialization for every load that Dagster does not know of yet.

    This includes loads of killed runs and of the command line. Two concurrent runs share the work:
    each batch's windows are locked and skipped by the other. The checks of these datasets are
    evaluated as well.
    """
    total = again = 0
    datasets = set[str]()
    while recorded := _record_batch(context, engine):
        total += len(recorded)
        again += sum(window.is_recorded_again for window in recorded)
        datasets |= {window.dataset for window in recorded}
    if total:
        session.add(LoadsRecorded(loads=total, again=again))
        evaluate_checks(context, engine, session, sorted(datasets))


def _record_batch(
    context: OpExecutionContext | AssetExecutionContext, engine: Engine
) -> Sequence[LoadedWindow]:
    with engine.begin() as connection:
        now = read_now(connection, get_settings())
        windows = list_unrecorded_windows(connection, now=now, limit=_BATCH)
        store_materializations(
            context,
            [
                _materialization(window, metadata)
                for window, metadata in describe_windows(connection, windows)
                if is_partition_day(window.window_date)
            ],
        )
        record_windows(connection, windows, context.run.run_id)
    return windows


def store_materializations(
    context: OpExecutionContext | AssetExecutionContext,
    materializations: Sequence[AssetMaterialization],
) -> None:
    """Store materializations as one batch; when this returns, they are stored.

    `context.log_event` stores each by itself: 500 took 1.7 s on an idle machine and 7 s on a busy
    one. A millisecond lies between two, since Dagster's list of an asset's events shows only one of
    those with the same timestamp.
    """
    step = context.get_step_execution_context()
    for materialization, place in in_one_batch(materializations):
        DagsterEvent.asset_materialization(step, materialization, place)


def in_one_batch(events: Sequence[Event]) -> Iterator[tuple[Event, DagsterEventBatchMetadata]]:
    """Yield each event with its position in a batch, one millisecond apart."""
    batch = str(uuid4())
    for number, event in enumerate(events, start=1):
        yield event, DagsterEventBatchMetadata(batch, is_end=number == len(events))
        time.sleep(_MILLISECOND)


def _materialization(window: LoadedWindow, metadata: Metadata) -> AssetMaterialization:
    return AssetMaterialization(
        asset_key=AssetKey(get_dataset(window.dataset).asset_name),
        partition=partition_key(window.account_key, window.window_date),
        metadata=metadata,
    )
