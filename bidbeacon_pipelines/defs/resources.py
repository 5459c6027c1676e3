"""The resource that opens the tools and session of a job, and helpers for all definitions."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from operator import itemgetter
from typing import Any
from uuid import UUID

import dagster as dg
from sqlalchemy import Connection, Engine

from bidbeacon_pipelines.accounts.queries import (
    UnknownAccountError,
    get_accounts,
    read_account,
    read_ads_account,
)
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import UNLOADED, ReportProcessed
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.defs.partitions import FIRST_DAY, partition_key
from bidbeacon_pipelines.job_context import JobContext, open_job_context
from bidbeacon_pipelines.problems.explain import Question, explain_worst
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import Action, SessionRecorder, SessionStore, Subject
from bidbeacon_sessions.dagster import JobSessionsResource, session_link, session_metadata
from bidbeacon_sessions.errors import ExpectedError

logger = logging.getLogger(__name__)

Context = dg.OpExecutionContext | dg.AssetExecutionContext
_MOST_OBSERVED = 500


@dataclass(frozen=True)
class RunningJob:
    """The tools of a job (database, Ads API, settings, clock), and the job's open session."""

    context: JobContext
    session: SessionRecorder

    def metadata(self) -> dict[str, dg.MetadataValue[Any]]:
        """Return the current metadata of the session."""
        return session_metadata(self.context.sessions, self.session.session_id)


class BidBeaconSessions(JobSessionsResource):
    """The Dagster resource for job sessions; it has no config that could show a secret."""

    def store(self) -> SessionStore:
        """Return the store of sessions, which uses this process's connections."""
        return session_store()

    @contextmanager
    def work(
        self,
        context: Context,
        job_name: str,
        *,
        input: dict[str, Any] | None = None,  # noqa: A002 - the column's name
        account: str | None = None,
        ads_account: str | None = None,
    ) -> Iterator[RunningJob]:
        """Open the tools and the session of a job for a `with` block.

        When the block ends, even with an error, observations of windows that the job did not load
        are logged in Dagster. If the caller is an op, its output gets the session's metadata.
        `input` is stored with the session. If the job concerns a single account, `account` is the
        account's key. If it concerns a single ads account, `ads_account` is the ads account's key.

        Raises:
            Failure: The block raised an exception. The description is the exception's message, and
                the metadata links to the session. Expected errors have no traceback.
        """
        settings, session_id = get_settings(), None
        unloaded: Unloaded = {}
        with open_job_context(settings, open_database(settings)) as tools:
            subject = _find_subject(tools.engine, account, ads_account)
            try:
                with self.session(context, job_name, input=input, account=subject) as session:
                    session_id = session.session_id
                    session.on_recorded = partial(_track_unloaded, unloaded)
                    yield RunningJob(tools, session)
            except Exception as error:
                if session_id is None:
                    raise
                _observe(context, tools, unloaded, session_id)
                message, link = str(error) or type(error).__name__, session_link(session_id)
                # An expected error's message is enough; a traceback would hide it.
                cause = None if isinstance(error, (ExpectedError, dg.Failure)) else error
                raise dg.Failure(message, link, allow_retries=False) from cause
            _observe(context, tools, unloaded, session_id)
            if isinstance(context, dg.OpExecutionContext):
                context.add_output_metadata(session_metadata(tools.sessions, session_id))


def _find_subject(engine: Engine, account: str | None, ads_account: str | None) -> Subject | None:
    try:
        if account is not None:
            return read_account(engine, account).ref
        return None if ads_account is None else read_ads_account(engine, ads_account).ref
    except UnknownAccountError:
        return None


Unloaded = dict[tuple[str, str, date], str]
"""The last action's effect on each window (account, dataset, day) a session did not load."""


def _track_unloaded(unloaded: Unloaded, action: Action) -> None:
    for one in action.references():
        if one.dataset is None or one.window is None:
            continue
        day = one.account, one.dataset, date.fromisoformat(one.window)
        if one.effect in UNLOADED:
            unloaded[day] = one.effect
        elif one.effect == ReportProcessed.effect:
            unloaded.pop(day, None)


def _observe(context: Context, tools: JobContext, unloaded: Unloaded, session_id: UUID) -> None:
    # Errors are only logged: the run continues without further observations.
    newest = sorted(unloaded, key=itemgetter(2), reverse=True)[:_MOST_OBSERVED]
    try:
        with tools.engine.begin() as connection:
            accounts = get_accounts(connection, {key for key, _, _ in newest})
            for key, dataset, day in newest:
                facts = {**session_link(session_id), "outcome": unloaded[key, dataset, day]}
                of = accounts[key], dataset, day
                log_day(context, tools, connection, dg.AssetObservation, of, facts)
    except Exception:
        logger.exception(
            "Session %s: the windows that it did not load could not be recorded in Dagster",
            session_id,
        )


def log_day(
    context: Context,
    tools: JobContext,
    connection: Connection,
    event: type[dg.AssetMaterialization | dg.AssetObservation],
    day: tuple[Account, str, date],
    facts: Mapping[str, Any],
) -> None:
    """Log an event for the partition of a day, given as account, dataset and local day.

    `event` is the type of the event. Its metadata are `facts` and an explanation. A day may have
    several windows; the one in the worst state is explained. Days before the first partition are
    skipped.
    """
    account, name, window = day
    if window >= FIRST_DAY:
        dataset = get_dataset(name)
        question = Question(account, dataset, window, tools.now())
        worst = explain_worst(connection, tools.settings, question)
        context.log_event(
            event(
                dg.AssetKey(dataset.name),
                partition=partition_key(account.account_key, window),
                metadata={**facts, "explanation": worst.sentence},
            )
        )


def one_op_job(
    op: dg.OpDefinition, description: str, *, config: dg.PartitionedConfig[Any] | None = None
) -> dg.JobDefinition:
    """Return a job of one op; the job has the op's name without `_op`."""
    graph = dg.GraphDefinition(op.name.removesuffix("_op"), node_defs=[op])
    return graph.to_job(description=description, config=config)


def session_store() -> SessionStore:
    """Return the store of sessions, which uses this process's pool of connections."""
    return SessionStore(shared_engine(open_database(get_settings())))
