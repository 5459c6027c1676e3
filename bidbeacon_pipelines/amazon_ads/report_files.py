"""Downloads all files of a report: two at a time, retried on errors, with fresh urls when they expire.

The threads only transfer; the caller's thread evaluates results and waits. So a keyboard interrupt
takes effect at once, and no thread outlives the call.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextvars import copy_context
from pathlib import Path

from bidbeacon_pipelines.amazon_ads.cancellation import Cancellation
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.download_rules import (
    DEFAULT_LIMITS,
    OPERATION,
    DownloadCancelled,
    DownloadLimits,
    FileOwner,
)
from bidbeacon_pipelines.amazon_ads.downloads import Transfer
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, NotFound, UrlExpired
from bidbeacon_pipelines.amazon_ads.ledger import Tries
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportPart, ReportStatus

AT_ONCE = 2
MOST_SIGNINGS = 2

_REPORT_OPERATION = "download a report"


class UrlsNotResigned(UrlExpired):
    """Retrieving the report again gave no working url."""


class PartMissing(AdsApiError):  # noqa: N818 - named as the other errors of the client are
    """Amazon lists a file of the report that does not exist."""

    cause_code = "file-missing"


class PartsChanged(AdsApiError):  # noqa: N818 - the same
    """The report, retrieved again for fresh urls, has other files than before."""

    cause_code = "report-changed"


class ReportNotReady(AdsApiError):  # noqa: N818 - the same
    """The report, retrieved again for fresh urls, is no longer complete.

    Attributes:
        report: Its current state at Amazon.
    """

    cause_code = "report-changed"

    def __init__(self, report: Report) -> None:
        super().__init__(
            f"the report was COMPLETED and is now {report.raw_status}", operation=_REPORT_OPERATION
        )
        self.report = report

    def __reduce__(self) -> tuple[type["ReportNotReady"], tuple[Report]]:
        return type(self), (self.report,)


def download_report(
    client: AdsApiClient,
    report: Report,
    folder: Path,
    *,
    retrieve: Callable[[], Report],
    owner: FileOwner | None = None,
    limits: DownloadLimits = DEFAULT_LIMITS,
) -> list[Path]:
    """Download all parts of a completed report; after an error, or an interrupt, none of its files is left.

    Each part is tried as often as the client's policy says. When a url has expired, the report is
    retrieved again, which gives fresh urls for all missing parts. This is repeated while parts
    arrive, and given up after two attempts without any. A url's announced expiry is ignored, since
    our clock may differ from Amazon's and a failed attempt is cheap.

    Args:
        client: The session.
        report: The report.
        folder: Where its files go.
        retrieve: Retrieves the report again; called in the caller's thread.
        owner: Its account; without it, the exchanges aren't recorded.
        limits: The limits of each file.

    Returns:
        The files, in the report's order.

    Raises:
        UrlsNotResigned: Fresh urls didn't come, or don't work either.
        PartMissing: Amazon doesn't have a file, or names none at all.
        PartsChanged: The report has other files now.
        ReportNotReady: It is no longer complete.
        AdsApiError: As `download_to` raises, of the first part that failed for good; or what
            `retrieve` raises.
    """
    if not report.parts:
        raise PartMissing(
            "it has no file at all, though it is complete", operation=_REPORT_OPERATION
        )
    download = _ReportDownload(client, report, folder, owner, limits)
    try:
        download.finish(retrieve)
    except BaseException:
        download.remove()
        raise
    return download.paths


class _ReportDownload:
    """The parts of one report: which are missing, and their urls."""

    def __init__(
        self,
        client: AdsApiClient,
        report: Report,
        folder: Path,
        owner: FileOwner | None,
        limits: DownloadLimits,
    ) -> None:
        self.paths = [folder / f"part-{number}.json.gz" for number in range(len(report.parts))]
        self._client = client
        self._parts = report.parts
        self._transfers = [
            Transfer(client, path, limits=limits, owner=owner) for path in self.paths
        ]
        self._missing = set(range(len(report.parts)))

    def finish(self, retrieve: Callable[[], Report]) -> None:
        """Fetch the missing parts, with fresh urls if needed."""
        signings = 0
        while self._missing:
            missing = len(self._missing)
            try:
                self._fetch_missing()
            except UrlExpired as error:
                signings = signings if len(self._missing) == missing else 0
                if signings == MOST_SIGNINGS:
                    raise _not_resigned(error, signings) from error
                signings += 1
                self._take_urls_of(retrieve())

    def remove(self) -> None:
        """Remove the files that are there."""
        for path in self.paths:
            path.unlink(missing_ok=True)

    def _fetch_missing(self) -> None:
        tries = Tries()
        self._client.retries.run(lambda: self._round(tries), operation=OPERATION, tries=tries)

    def _round(self, tries: Tries) -> None:
        """Try each missing part once; the complete ones stay, even if others fail."""
        numbers = sorted(self._missing)
        # One file's record takes the wait before this round, so that no wait counts twice.
        self._transfers[numbers[0]].tries.waited, tries.waited = tries.waited, 0.0
        cancellation, expired = Cancellation(), threading.Event()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="download") as pool:
            try:
                self._collect(
                    {
                        pool.submit(copy_context().run, self._try_part, n, cancellation, expired): n
                        for n in numbers
                    }
                )
            except BaseException:
                cancellation.ask()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _try_part(self, number: int, cancellation: Cancellation, expired: threading.Event) -> bool:
        """Try one part, unless urls have expired; a permanent error cancels the other parts too."""
        if expired.is_set():
            return False
        try:
            self._transfer(number, cancellation)
        except BaseException as error:
            if isinstance(error, UrlExpired):
                expired.set()
            elif not isinstance(error, AdsApiError) or not error.transient:
                cancellation.ask()
            raise
        return True

    def _transfer(self, number: int, cancellation: Cancellation) -> None:
        cancellation.check()
        part = self._parts[number]
        try:
            self._transfers[number].attempt(part.url, part.size_bytes, cancellation)
        except NotFound as error:
            raise PartMissing(
                f"file {number + 1} of {len(self._parts)}: {error.reason}",
                operation=_REPORT_OPERATION,
                about=error.about,
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from error

    def _collect(self, futures: dict[Future[bool], int]) -> None:
        """Wait for all attempts, record the complete parts, and raise the most severe error."""
        errors: list[BaseException] = []
        for future in as_completed(futures):
            error = future.exception()
            if error is not None:
                errors.append(error)
            elif future.result():
                self._missing.discard(futures[future])
        if errors:
            raise max(errors, key=_weight)

    def _take_urls_of(self, report: Report) -> None:
        if report.status is not ReportStatus.COMPLETED:
            raise ReportNotReady(report)
        before, now = _sizes(self._parts), _sizes(report.parts)
        arrived = set(range(len(before))) - self._missing
        if len(before) != len(now) or any(before[number] != now[number] for number in arrived):
            raise PartsChanged(
                f"the report had {len(before)} files of {before} bytes and now has {len(now)} of {now}",
                operation=_REPORT_OPERATION,
            )
        self._parts = report.parts


def _sizes(parts: tuple[ReportPart, ...]) -> list[int | None]:
    return [part.size_bytes for part in parts]


def _weight(error: BaseException) -> tuple[int, float]:
    """Rank the errors of one round: permanent, expired, transient (by the requested wait), cancelled."""
    match error:
        case DownloadCancelled():
            return 0, 0.0
        case UrlExpired():
            return 2, 0.0
        case AdsApiError(transient=True):
            return 1, error.retry_after or 0.0
        case _:
            return 3, 0.0


def _not_resigned(error: UrlExpired, signings: int) -> UrlsNotResigned:
    return UrlsNotResigned(
        f"{error.reason}, even after {signings} looks at the report",
        operation=_REPORT_OPERATION,
        about=error.about,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )
