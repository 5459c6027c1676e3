"""The log of calls to Amazon: the table `api_calls`."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, RowMapping, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bidbeacon_pipelines.amazon_ads.tables import ApiCall
from bidbeacon_sessions.clock import Clock

logger = logging.getLogger(__name__)


@contextmanager
def recording(engine: Engine | None, call: ApiCall, now: Clock) -> Iterator[None]:
    """If there is an engine, log the call made in the block, even if the call fails."""
    call.called_at = now()
    try:
        yield
    except BaseException as error:
        call.error = type(error).__name__
        raise
    finally:
        call.duration = max(timedelta(), now() - call.called_at)
        if engine is not None:
            _insert(engine, call)


def _insert(engine: Engine, call: ApiCall) -> None:
    # A lost row is acceptable: the commit need not reach the disk at once, and errors are logged.
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            session.execute(text("SET LOCAL synchronous_commit = off"))
            session.add(call)
    except SQLAlchemyError as error:
        logger.warning(
            "A call to Amazon could not be recorded in api_calls (%s)", type(error).__name__
        )


def summarize_calls(connection: Connection, since: datetime) -> Sequence[RowMapping]:
    """Return totals of the calls since an instant, by name of the call, most frequent first.

    `failed` counts unsuccessful and missing responses; `throttled` includes 429s in the body of
    multi-status answers.
    """
    rows = connection.execute(
        text("""
            SELECT call, count(*) AS calls,
                   count(*) FILTER (
                       WHERE error IS NOT NULL OR status IS NULL OR status >= 400) AS failed,
                   count(*) FILTER (WHERE status = 429 OR error = 'Throttled') AS throttled,
                   sum(waited) AS waited, sum(queued) AS queued, max(duration) AS slowest
              FROM api_calls
             WHERE called_at >= :since
             GROUP BY call
             ORDER BY calls DESC, call"""),
        {"since": since},
    )
    return rows.mappings().all()
