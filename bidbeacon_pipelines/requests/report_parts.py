"""Keeps the parts of a completed report on disk while they are loaded, and decides what a failed load means for its request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
from sqlalchemy.exc import DataError, IntegrityError

from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
from bidbeacon_pipelines.amazon_ads.download_rules import FileOwner
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, NotFound
from bidbeacon_pipelines.amazon_ads.report_files import (
    ReportNotReady,
    UrlsNotResigned,
    download_report,
)
from bidbeacon_pipelines.amazon_ads.reports import Report
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests import transitions
from bidbeacon_pipelines.requests.lifecycle import Failure, FailureKind
from bidbeacon_pipelines.requests.states import reported
from bidbeacon_pipelines.settings import Region
from bidbeacon_pipelines.values.decode import BrokenPartError
from bidbeacon_sessions.sentences import join_sentences

LOAD_ERRORS = (
    AdsApiError,
    BrokenPartError,
    DataError,
    IntegrityError,
    psycopg.DataError,
    psycopg.IntegrityError,
)
"""What a load can fail with that is no fault of ours; `failed_load` says what follows."""


@contextmanager
def parts_on_disk(
    context: JobContext,
    report: Report,
    *,
    name: str,
    region: Region,
    account_id: str,
    retrieve: Callable[[], Report],
) -> Iterator[list[Path]]:
    """Yield all parts of a report on disk, in the report's order; remove them afterwards.

    Args:
        context: The tools of the job.
        report: A completed report.
        name: What the name of their folder begins with.
        region: Of the account.
        account_id: Whose report it is.
        retrieve: Retrieves the report again, for fresh urls.

    Raises:
        AdsApiError: As `download_report` raises.
    """
    with download_folder(context.downloads, name) as folder:
        yield download_report(
            context.client, report, folder, retrieve=retrieve, owner=FileOwner(region, account_id)
        )


def failed_load(error: Exception, not_before: datetime | None = None) -> transitions.Answer:
    """Return what one of the `LOAD_ERRORS` means: request the report again, retrieve it again, or load it again later.

    Args:
        error: What the load failed with.
        not_before: When Amazon may be asked again, if it said so.
    """
    match error:
        case UrlsNotResigned():
            return _refused(FailureKind.REPORT_EXPIRED, error)
        case ReportNotReady(report=report):
            return reported(report)
        case NotFound():  # of the report: a part that isn't there is a `PartMissing`
            return _refused(FailureKind.NOT_FOUND, error)
        case AdsApiError() | BrokenPartError():
            return transitions.LoadFailed(str(error), not_before)
        case _:
            return transitions.LoadFailed(
                join_sentences(f"The database refuses its rows: {_first_line(error)}")
            )


def _refused(kind: FailureKind, error: AdsApiError) -> transitions.Refused:
    return transitions.Refused(Failure(kind, str(error), error.code))


def _first_line(error: Exception) -> str:
    """Return PostgreSQL's message, without the statement and values that SQLAlchemy adds."""
    return str(getattr(error, "orig", error)).partition("\n")[0]
