"""Downloads of whole reports against the sandbox: real connections, real faults; only waits are not sat out."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import (
    AdsApiClient,
    Endpoints,
    Report,
    ReportPart,
    ReportStatus,
    RetryPolicy,
    create_report,
    list_accounts,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS
from bidbeacon_pipelines.amazon_ads.download_rules import DownloadLimits, DownloadTooSlow, FileOwner
from bidbeacon_pipelines.amazon_ads.errors import DownloadIncomplete, DownloadRefused, Unreachable
from bidbeacon_pipelines.amazon_ads.rate_limits import CallIntervals, LocalRateLimits
from bidbeacon_pipelines.amazon_ads.report_files import (
    PartMissing,
    UrlsNotResigned,
    download_report,
)
from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.faults import FaultName, FaultOptions, FaultRule, Operation
from bidbeacon_pipelines.sandbox.server import SandboxHandle, running_sandbox
from tests.unit.amazon_ads.fakes import FakeLog

FIELDS = (
    "date.value",
    "budgetCurrency.value",
    "campaign.id",
    "campaign.country",
    "adGroup.id",
    "ad.id",
    "metric.clicks",
)
TRIES = 3


@dataclass
class ImpatientClock:
    """Tells the real time and never waits."""

    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the present instant."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Note the wait."""
        self.slept.append(seconds)


@dataclass
class Desk:
    """A client before a sandbox, one finished report, and a folder for it."""

    client: AdsApiClient
    sandbox: SandboxHandle
    report: Report
    folder: Path
    clock: ImpatientClock
    log: FakeLog

    def strike(
        self,
        fault: FaultName,
        operation: Operation | None = None,
        times: int | None = 1,
        **options: object,
    ) -> None:
        """Switch a fault on, for so many strikes."""
        rule = FaultRule(
            fault=fault, operation=operation, times=times, options=FaultOptions(**options)
        )
        self.sandbox.state.faults.add(rule)

    def look(self) -> Report:
        """Look at the report again."""
        return retrieve_report(self.client, "NA", self.report.report_id)

    def download(self, limits: DownloadLimits | None = None) -> list[Path]:
        """Download the report."""
        return download_report(
            self.client,
            self.report,
            self.folder,
            retrieve=self.look,
            owner=FileOwner("NA"),
            limits=limits or DownloadLimits(),
        )

    def rows(self) -> int:
        """Count the rows on disk."""
        return sum(
            len(json.loads(gzip.decompress(path.read_bytes()))) for path in self.folder.iterdir()
        )

    def calls(self, operation: Operation) -> int:
        """Count the calls of an operation that the sandbox got, as from the test's beginning."""
        return len(self.sandbox.state.ledger.calls(operation))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxHandle]:
    """A sandbox whose reports are done at once, in parts of three rows."""
    with running_sandbox(SandboxConfig(report_seconds=0, rows_per_day=40, part_rows=3)) as handle:
        yield handle


@pytest.fixture
def desk(sandbox: SandboxHandle, tmp_path: Path) -> Iterator[Desk]:
    """A finished report of several parts, before a sandbox without faults."""
    sandbox.state.faults.clear()
    clock, log = ImpatientClock(), FakeLog()
    endpoints, retry = Endpoints.sandbox(sandbox.url), RetryPolicy(attempts=TRIES)
    rate_limits = LocalRateLimits(CallIntervals.none(), clock.now)
    with AdsApiClient(
        SANDBOX_CREDENTIALS, endpoints, clock=clock, retry=retry, rate_limits=rate_limits, log=log
    ) as client:
        account = next(
            each
            for each in list_accounts(client).accounts
            if each.country_code == "US" and each.status == "CREATED"
        )
        day = datetime.now(UTC).date() - timedelta(days=3)
        made = create_report(client, "NA", account.account_id, fields=FIELDS, start=day, end=day)
        report = retrieve_report(client, "NA", made.report_id)
        assert len(report.parts) > 2
        yield Desk(client, sandbox, report, tmp_path / "report", clock, log)


def test_all_parts_arrive(desk: Desk) -> None:
    """Every part is on disk, of the size that was announced, with all its rows."""
    paths = desk.download()
    assert [part.size_bytes for part in desk.report.parts] == [
        path.stat().st_size for path in paths
    ]
    assert 3 * (len(paths) - 1) < desk.rows() <= 3 * len(paths)
    assert desk.clock.slept == []


def test_expired_urls_are_signed_again(desk: Desk) -> None:
    """A report whose urls have expired is looked at once more, and all parts arrive."""
    desk.strike("expired_url", "retrieve_report")
    desk.report = desk.look()
    looks = desk.calls("retrieve_report")
    desk.download()
    assert desk.calls("retrieve_report") == looks + 1
    assert len(list(desk.folder.iterdir())) == len(desk.report.parts)


def test_urls_that_are_not_signed_again_are_told(desk: Desk) -> None:
    """Where looking again gives urls that have expired too, two looks are made, and no file stays."""
    desk.strike("expired_url", "retrieve_report", times=None)
    desk.report = desk.look()
    looks = desk.calls("retrieve_report")
    with pytest.raises(UrlsNotResigned):
        desk.download()
    assert desk.calls("retrieve_report") == looks + 2
    assert list(desk.folder.iterdir()) == []


def test_truncated_part_is_fetched_again(desk: Desk) -> None:
    """One part cut short costs one download more."""
    downloads = desk.calls("download")
    desk.strike("truncated_gzip", "download")
    desk.download()
    assert desk.calls("download") == downloads + len(desk.report.parts) + 1


def test_part_that_is_always_truncated_is_told(desk: Desk) -> None:
    """A report whose parts always come cut short is tried as often as the policy says, and leaves no file."""
    downloads = desk.calls("download")
    desk.strike("truncated_gzip", "download", times=None)
    with pytest.raises(DownloadIncomplete, match="is truncated") as caught:
        desk.download()
    assert 200 == caught.value.status
    assert caught.value.request_id
    assert (caught.value.about or "").startswith("part-")
    assert desk.calls("download") == downloads + TRIES * len(desk.report.parts)
    assert list(desk.folder.iterdir()) == []


def test_missing_part_is_told(desk: Desk) -> None:
    """A part that isn't there ends the download at once, and leaves no file."""
    desk.strike("part_missing", times=None)
    with pytest.raises(
        PartMissing, match=f"file {len(desk.report.parts)} of {len(desk.report.parts)}"
    ) as caught:
        desk.download()
    assert 404 == caught.value.status
    assert caught.value.request_id
    assert (caught.value.about or "").startswith("part-")
    assert desk.clock.slept == []
    assert list(desk.folder.iterdir()) == []


@pytest.mark.parametrize("fault", ["connection_cut", "server_error", "html_body"])
def test_passing_fault_is_survived(desk: Desk, fault: FaultName) -> None:
    """A connection that is cut, or a 5xx, is tried again."""
    desk.strike(fault, "download")
    desk.download()
    assert len(desk.clock.slept) == 1


def test_connection_that_is_always_cut_is_told(desk: Desk) -> None:
    """A download whose connection is always cut is `Unreachable`."""
    desk.strike("connection_cut", "download", times=None)
    with pytest.raises(Unreachable):
        desk.download()
    assert list(desk.folder.iterdir()) == []


def test_two_slow_parts_overlap(desk: Desk) -> None:
    """While an answer of a second is waited for, the next part is asked for too."""
    desk.strike("slow", "download", times=2, seconds=1)
    desk.download()
    slow = [record for record in desk.log.records if record.duration >= 1]
    first, second = sorted(slow, key=lambda record: record.called_at)
    assert second.called_at < first.called_at + timedelta(seconds=first.duration)


def test_trickling_part_is_cut_off(desk: Desk) -> None:
    """A part that trickles beyond its time is given up in the middle, and not asked for again."""
    downloads = desk.calls("download")
    desk.strike("trickle", times=None, bytes_per_second=20)
    began = time.monotonic()
    with pytest.raises(DownloadTooSlow, match=r"within 0\.3 s"):
        desk.download(DownloadLimits(seconds=0.3))
    assert time.monotonic() - began < 30  # at this pace the whole file takes longer
    assert desk.calls("download") <= downloads + 2
    assert list(desk.folder.iterdir()) == []


def test_redirect_to_another_host_is_refused(desk: Desk) -> None:
    """A redirect to a host that is not the sandbox isn't followed."""
    desk.strike("redirect")
    with pytest.raises(DownloadRefused, match=r"127\.0\.0\.2"):
        desk.download()


def test_authorization_is_refused_and_never_sent(desk: Desk) -> None:
    """The sandbox answers 400 to a token on a download; ours carry none, so that they arrive."""
    url = desk.report.parts[0].url.get_secret_value()
    assert httpx.get(url, headers={"Authorization": "Bearer x"}).status_code == 400
    desk.download()


class _Stubborn(BaseHTTPRequestHandler):
    """Has `/missing`, after `/silent` has begun; that gives a gzip's beginning and then nothing, with the connection open."""

    begun = threading.Event()
    over = threading.Event()

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/silent":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(gzip.compress(b"[]")[:12])
            self.begun.set()
            self.over.wait(60)
            return
        self.begun.wait(20)
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def test_silent_connection_is_cut_when_another_part_fails(tmp_path: Path) -> None:
    """A part whose connection fell silent doesn't keep the report waiting for its time-out when another one's 404 ends it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stubborn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        parts = tuple(ReportPart(SecretStr(f"{url}/{name}")) for name in ("silent", "missing"))
        report = Report("rpt-1", ReportStatus.COMPLETED, "COMPLETED", parts)
        began = time.monotonic()
        with (
            AdsApiClient(SANDBOX_CREDENTIALS, Endpoints.sandbox(url)) as client,
            pytest.raises(PartMissing),
        ):
            download_report(client, report, tmp_path, retrieve=lambda: report)
        assert time.monotonic() - began < 40  # the connection would be silent for a minute
        _Stubborn.over.set()
        server.shutdown()
    assert list(tmp_path.iterdir()) == []
