"""Ask Amazon what the contract needs, with as few calls as possible: one report at a time, and none that hammers."""

import gzip
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads.accounts import Account, list_accounts
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner
from bidbeacon_pipelines.amazon_ads.downloads import download
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    NotAuthorized,
    NotFound,
    OutcomeUnknown,
    Throttled,
    UnknownField,
)
from bidbeacon_pipelines.amazon_ads.exports import (
    Export,
    ExportKind,
    ExportStatus,
    create_export,
    get_export,
)
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.amazon_ads.reports import (
    Period,
    Report,
    ReportStatus,
    create_report,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.wire import read_json
from bidbeacon_pipelines.probe import expectations as contract
from bidbeacon_pipelines.probe.evidence import Evidence
from bidbeacon_pipelines.probe.expectations import ReportCheck, RequestedReport
from bidbeacon_pipelines.probe.recorder import Recorder
from bidbeacon_pipelines.probe.shapes import ENTITIES, Shape
from bidbeacon_pipelines.settings import Region

T = TypeVar("T")
_MOST_PAGES = 100
_MOST_ACCOUNTS = 5


class NoSuchAccountError(Exception):
    """No listed account is the one that was asked for; the message names those that are."""


class _GivenUpError(Exception):
    """A step can't come to its end; the message says why."""


@dataclass(frozen=True)
class Pace:
    """The pauses and time limits of a probe, in seconds.

    Attributes:
        poll: Between two looks at a report or an export; Amazon asks for a minute.
        between: Before each report or export is created; Amazon may allow one a second.
        longest_report: How long one report is waited for.
        throttled: How long to wait after a 429 of a create that names no time, in turn; after one
            more 429
            nothing is created any more.
        longest_pause: A `Retry-After` beyond it is not waited for.
    """

    poll: float = 60.0
    between: float = 2.0
    longest_report: float = 3600.0
    throttled: tuple[float, ...] = (150.0, 300.0)
    longest_pause: float = 600.0


class Probe:
    """One run against Amazon: `run` it, then take its `evidence`.

    Args:
        client: The session with Amazon; its exchanges are recorded while the probe runs.
        pace: How patiently it asks.
        on_progress: Called with a sentence at each step and each wait.
        account: Name, key or id of the ads account; None for the first that may be reported on.
        day: The day to ask for; None for two days ago by Amazon's clock.
    """

    def __init__(
        self,
        client: AdsApiClient,
        pace: Pace,
        on_progress: Callable[[str], None],
        *,
        account: str | None = None,
        day: date | None = None,
    ) -> None:
        self.recorder = Recorder(client)
        self.gaps: dict[str, str] = {}
        self.is_interrupted = False
        self.has_account = False
        self._client = client
        self._pace = pace
        self._on_progress = on_progress
        self._wanted = account
        self._day = day
        self._closed: set[str] = set()
        self._names: dict[str, str] = {}

    @property
    def evidence(self) -> Evidence:
        """Return the evidence so far."""
        unreached = "interrupted" if self.is_interrupted else "not asked"
        return Evidence(tuple(self.recorder.exchanges), dict(self.gaps), unreached)

    def run(self) -> None:
        """Ask everything; an interrupt from the keyboard ends it early.

        Raises:
            NoSuchAccountError: Accounts are listed, but not the one that was asked for.
        """
        try:
            with (
                self.recorder.recording(),
                tempfile.TemporaryDirectory(prefix="bidbeacon-probe-") as folder,
            ):
                self._run(Path(folder) / "file.json.gz")
        except KeyboardInterrupt:
            self.is_interrupted = True

    def _run(self, file: Path) -> None:
        accounts = self._list_accounts()
        self._query_accounts({account.region for account in accounts})
        candidates = self._candidates(accounts)
        self.has_account = bool(candidates)
        first, *others = contract.report_checks()
        account = next(
            (candidate for candidate in candidates if self._check_report(candidate, first, file)),
            None,
        )
        for kind in contract.EXPORT_KINDS if candidates else ():
            self._check_export(account or candidates[0], kind, file)
        if account is None:
            return
        for check in others:
            self._check_report(account, check, file)
        for refusal in contract.REFUSALS:
            self._check_refusal(account, refusal)

    @contextmanager
    def _step(self, name: str, sentence: str) -> Iterator[None]:
        """Take a step: what goes wrong inside is noted as its gap, and the probe goes on."""
        self.recorder.step = name
        self._on_progress(sentence)
        try:
            yield
        except _GivenUpError as error:
            self.gaps[name] = str(error)
        except AdsApiError as error:
            self.gaps[name] = _word(error) + (f", code {error.code}" if error.code else "")
        except (EOFError, gzip.BadGzipFile, zlib.error):
            self.gaps[name] = "broken file"
        except (ValueError, RecursionError):
            self.gaps[name] = "its file is no JSON"

    # Accounts

    def _list_accounts(self) -> list[Account]:
        with self._step("accounts", "Listing accounts and profiles"):
            return list(list_accounts(self._client).accounts)
        return []

    def _query_accounts(self, regions: set[Region]) -> None:
        """Ask the newer call, once for global accounts and once for the others."""
        for region in sorted(regions):
            for asked in ({}, {"isGlobalAccountFilter": {"include": [False]}}):
                with self._step(
                    "newer accounts", f"Listing accounts of {region} by the newer call"
                ):
                    self._follow_pages(region, asked)

    def _follow_pages(self, region: Region, asked: Mapping[str, Any]) -> None:
        token: str | None = None
        for _ in range(_MOST_PAGES):
            body = dict(asked) | ({"nextToken": token} if token else {})
            page = self._client.call(
                AdsRequest(
                    name="query_accounts",
                    operation="query the accounts",
                    method="POST",
                    owner=Owner(region),
                    path=contract.QUERY_PATH,
                    json=body,
                ),
                read_json,
            )
            token = page.get("nextToken") if isinstance(page, dict) else None
            if not token:
                return

    def _candidates(self, accounts: list[Account]) -> list[Account]:
        """Return the accounts to try, each in its first country that has a profile."""
        usable: dict[str, Account] = {}
        for account in accounts:
            if account.profile_id and account.status != "DISABLED":
                usable.setdefault(account.account_id, account)
        if self._wanted is None or "accounts" in self.gaps:
            return list(usable.values())[:_MOST_ACCOUNTS]
        chosen = [account for account in usable.values() if _is_called(account, self._wanted)]
        if len(chosen) != 1:
            names = ", ".join(
                f"{account.name} ({account.account_id})" for account in usable.values()
            )
            raise NoSuchAccountError(
                f"Expected one ads account called {self._wanted!r}, got: {len(chosen)}. Listed are: {names}."
            )
        return chosen

    # Reports

    def _check_report(self, account: Account, check: ReportCheck, file: Path) -> bool:
        """Ask for a report and read it; return whether the account may be reported on, as far as that is known."""
        report: Report | None = None
        with self._step(check.name, f"Asking for {check.name}"):
            try:
                report = self._create(account, check.asked(self._period()))
            except (NotAuthorized, NotFound) as error:
                self.gaps[check.name] = f"the account may not be reported on ({_word(error)})"
                return False
            self._read_report(account, self._finished(account, report), check.row_shape, file)
        return True

    def _create(self, account: Account, asked: RequestedReport) -> Report:
        """Create a report, under other names of its fields where Amazon doesn't know ours."""
        names = dict(self._names)
        while True:
            try:
                report = self._create_once(account, asked.with_names(names))
            except UnknownField as error:
                known = len(names)
                names |= contract.find_variants(error.reason)
                if len(names) == known:
                    raise
                continue
            self._names = names
            return report

    def _create_once(self, account: Account, asked: RequestedReport) -> Report:
        return self._unthrottled(
            "reports",
            lambda: create_report(
                self._client,
                account.region,
                account.account_id,
                fields=asked.fields,
                start=asked.period.start,
                end=asked.period.end,
                row_filter=asked.row_filter,
            ),
        )

    def _unthrottled(self, what: str, create: Callable[[], T]) -> T:
        """Create a report or an export; wait where Amazon throttles, and after some waits create none any more."""
        for pause in () if what in self._closed else (*self._pace.throttled, None):
            self._client.sleep(self._pace.between)
            try:
                return create()
            except (OutcomeUnknown, Throttled) as error:
                if not isinstance(error, Throttled) and not isinstance(error.cause, Throttled):
                    raise
                seconds = pause if error.retry_after is None else error.retry_after
            if pause is None or seconds is None or seconds > self._pace.longest_pause:
                break
            self._on_progress(f"Amazon throttles {what} (429): waiting {seconds:.0f} s")
            self._client.sleep(seconds)
        self._closed.add(what)
        raise _GivenUpError(f"Amazon throttles {what} (429)")

    def _finished(self, account: Account, report: Report) -> Report:
        def look() -> Report | None:
            found = retrieve_report(
                self._client, account.region, report.report_id, account_id=account.account_id
            )
            return found if found.is_terminal else None

        return self._polled(look)

    def _polled(self, look: Callable[[], T | None]) -> T:
        waited = 0.0
        while waited < self._pace.longest_report:
            if found := look():
                return found
            self._client.sleep(self._pace.poll)
            waited += self._pace.poll
            minutes = waited / 60
            self._on_progress(
                f"  not ready after {minutes:.0f} min" if minutes >= 1 else "  not ready yet"
            )
        raise _GivenUpError(f"not ready after {self._pace.longest_report / 60:.0f} min")

    def _read_report(self, account: Account, report: Report, shape: Shape, file: Path) -> None:
        if report.status is not ReportStatus.COMPLETED:
            raise _GivenUpError(
                f"the report ended {report.raw_status}, {report.failure_code or 'no code'}"
            )
        for part in report.parts:
            self._download(account, part.url, part.size_bytes, shape, file)

    def _download(
        self, account: Account, url: SecretStr, announced: int | None, shape: Shape, file: Path
    ) -> None:
        download(self._client, url, file, Owner(account.region, account.account_id))
        self.recorder.keep_file(file, announced, shape)

    def _check_refusal(self, account: Account, refusal: contract.Refusal) -> None:
        asked = refusal.change(contract.base_report(self._period())).with_names(self._names)
        with self._step(refusal.name, f"Asking for what Amazon should refuse: {refusal.name}"):
            report_id = self._unthrottled(
                "reports", lambda: self._client.call(_create_call(account, asked), _report_id)
            )
            if report_id:
                self._client.sleep(self._pace.poll)  # it takes one of the few places

    # Exports

    def _check_export(self, account: Account, kind: ExportKind, file: Path) -> None:
        owner = Owner(account.region, profile_id=account.profile_id)
        with self._step(kind, f"Exporting {kind}"):
            started = self._unthrottled("exports", lambda: create_export(self._client, owner, kind))

            def look() -> Export | None:
                found = get_export(self._client, owner, kind, started.export_id)
                return found if found.is_terminal else None

            export = self._polled(look)
            if export.status is not ExportStatus.COMPLETED or export.url is None:
                raise _GivenUpError(
                    f"the export ended {export.raw_status}, {export.error_code or 'no code'}"
                )
            self._download(account, export.url, export.size_bytes, ENTITIES[kind], file)

    def _period(self) -> Period:
        day = self._day or _two_days_before(self.recorder)
        return Period(start=day, end=day)


def _two_days_before(recorder: Recorder) -> date:
    """Return the newest day that is over in every time zone, by the clock of the first answer."""
    for exchange in recorder.exchanges:
        with suppress(ValueError):
            return parsedate_to_datetime(exchange.headers.get("date", "")).date() - timedelta(
                days=2
            )
    return datetime.now(UTC).date() - timedelta(days=2)


def _is_called(account: Account, wanted: str) -> bool:
    tail = account.account_id.rpartition(".")[2]
    asked = wanted.rpartition(".")[2]
    return wanted in {account.account_id, account.name} or (bool(asked) and tail.startswith(asked))


def _create_call(account: Account, asked: RequestedReport) -> AdsRequest:
    return AdsRequest(
        name="create_report",
        operation="create a report",
        method="POST",
        owner=Owner(account.region, account.account_id),
        path=contract.CREATE_PATH,
        call_class=CallClass.CREATE,
        json=asked.body(account.account_id),
        creates=True,
    )


def _report_id(response: httpx.Response) -> str | None:
    """Return the id of a report that was created all the same; None where the reason of a refusal came."""
    body = read_json(response)
    success = body.get("success") if isinstance(body, dict) else None
    return str(success[0]["report"]["reportId"]) if success else None


def _word(error: AdsApiError) -> str:
    """Return a short name of what happened."""
    return error.cause_code if error.status is None else f"HTTP {error.status}"
