"""The two resources of all ops: the tools of a job, and job sessions."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from dagster import (
    AssetExecutionContext,
    ConfigurableResource,
    Failure,
    MetadataValue,
    OpExecutionContext,
)

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.defs.observations import observe_unloaded_windows
from bidbeacon_pipelines.defs.partitions import NoPartitionError
from bidbeacon_pipelines.reports.partition_bound import TooManyPartitionsError
from bidbeacon_pipelines.services.account_names import AmbiguousAccountError
from bidbeacon_pipelines.services.backfill import AccountSkippedError, WindowNotLoadedError
from bidbeacon_pipelines.services.job_context import JobContext, open_job_context
from bidbeacon_pipelines.services.wait_log import recording_waits
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.accounts import UnknownAccountError
from bidbeacon_pipelines.store.run_requests import begin_request
from bidbeacon_sessions import SessionRecorder, SessionStore, Subject
from bidbeacon_sessions.dagster import JobSessionsResource, session_metadata
from bidbeacon_sessions.presentation import session_url

logger = logging.getLogger(__name__)

RUN_REQUEST_TAG = "bidbeacon/run_request"
"""The request on the page that a run was started for."""

_FORESEEN = (
    AccountSkippedError,
    AdsApiError,
    AmbiguousAccountError,
    Failure,
    NoPartitionError,
    TooManyPartitionsError,
    UnknownAccountError,
    WindowNotLoadedError,
)
"""Errors whose message says what happened and what to do, so that a stack trace would only be in the way."""


class JobContexts(ConfigurableResource[JobContext]):
    """Opens the tools of a job: database, Ads API, settings.

    Nothing in it is run config, so no secret shows in the UI.
    """

    @contextmanager
    def open(self) -> Iterator[JobContext]:
        """Open the tools for the length of a block."""
        settings = get_settings()
        with open_job_context(settings, open_database(settings)) as job_context:
            yield job_context


class BidBeaconSessions(JobSessionsResource):
    """Job sessions in the product's own database."""

    def store(self) -> SessionStore:
        """Return the store on this process's pool of connections."""
        return session_store()

    @contextmanager
    def work(
        self,
        context: OpExecutionContext | AssetExecutionContext,
        job_context: JobContext,
        job_name: str,
        *,
        input: dict[str, Any] | None = None,  # noqa: A002 - the column's name
        account: Subject | None = None,
    ) -> Iterator[SessionRecorder]:
        """Open a session for work that calls Amazon.

        At its end, also after an error, record the time spent waiting for Amazon, and observe
        windows that were not loaded.

        Raises:
            Failure: the work raised an exception. Its description is the exception's message, its
                metadata links to the session; expected
                errors come without a traceback.
        """
        session_id: UUID | None = None
        try:
            with (
                self.session(context, job_name, input=input, account=account) as session,
                recording_waits(job_context, session),
            ):
                session_id = session.session_id
                _begin_run_request(context, job_context, session_id)
                yield session
        except Exception as error:
            if session_id is None:
                raise
            observe_unloaded_windows(context, job_context.sessions, session_id)
            metadata = _failure_metadata(job_context.sessions, session_id)
            raise Failure(str(error) or type(error).__name__, metadata, allow_retries=False) from (
                None if isinstance(error, _FORESEEN) else error
            )
        observe_unloaded_windows(context, job_context.sessions, session_id)


def _begin_run_request(
    context: OpExecutionContext | AssetExecutionContext, job_context: JobContext, session_id: UUID
) -> None:
    """Link the page's request for this run to its session."""
    asked = context.run.tags.get(RUN_REQUEST_TAG, "")
    if asked.isdecimal():
        with job_context.engine.begin() as connection:
            begin_request(connection, int(asked), session_id)


def _failure_metadata(store: SessionStore, session_id: UUID) -> dict[str, MetadataValue[Any]]:
    """Return the metadata of a failure: at least the session's link, if the database has failed."""
    try:
        return session_metadata(store, session_id)
    except Exception:
        logger.exception(
            "Session %s could not be read for the failure that it ended with", session_id
        )
        return {"session": MetadataValue.url(session_url(str(session_id)))}


def session_store() -> SessionStore:
    """Return the store of sessions on this process's pool of connections."""
    return SessionStore(shared_engine(open_database(get_settings())))
