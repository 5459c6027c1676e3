"""The client against the sandbox: real connections, real headers, real faults; only waits are not sat out."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import (
    AdsAccount,
    AdsApiClient,
    Credentials,
    Endpoints,
    ExportKind,
    ExportStatus,
    Report,
    ReportStatus,
    RetryPolicy,
    Waiting,
    connect,
    create_export,
    create_report,
    download_to,
    get_export,
    list_accounts,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS
from bidbeacon_pipelines.amazon_ads.errors import (
    DownloadIncomplete,
    DuplicateReport,
    InvalidClient,
    InvalidGrant,
    MissingRights,
    NotAuthorized,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Throttled,
    TooOld,
    Unreachable,
    UrlExpired,
)
from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.faults import FaultName, FaultOptions, FaultRule, Operation
from bidbeacon_pipelines.sandbox.server import SandboxHandle, running_sandbox
from bidbeacon_pipelines.settings import Settings

FIELDS = (
    "date.value",
    "budgetCurrency.value",
    "campaign.id",
    "campaign.country",
    "metric.impressions",
    "metric.totalCost",
)


@dataclass
class ImpatientClock:
    """Tells the time as if it had waited, and never waits."""

    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the present instant, later by what should have been waited."""
        return datetime.now(UTC) + timedelta(seconds=sum(self.slept))

    def sleep(self, seconds: float) -> None:
        """Note the wait."""
        self.slept.append(seconds)


@dataclass
class Session:
    """A client before a sandbox, and what it waited for."""

    client: AdsApiClient
    sandbox: SandboxHandle
    waits: list[Waiting]

    @property
    def settings(self) -> Settings:
        """Give the settings of a process that asks this sandbox."""
        return Settings(sandbox_port=int(self.sandbox.url.rpartition(":")[2]), _env_file=None)

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


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxHandle]:
    """A sandbox whose reports and exports are done at once."""
    config = SandboxConfig(report_seconds=0, export_seconds=0, rows_per_day=40, part_rows=2)
    with running_sandbox(config) as handle:
        yield handle


@pytest.fixture
def session(sandbox: SandboxHandle) -> Iterator[Session]:
    """A client of its own for each test, and a sandbox without faults."""
    sandbox.state.faults.clear()
    waits: list[Waiting] = []
    with open_client(sandbox.url, waits) as client:
        yield Session(client, sandbox, waits)


def open_client(
    url: str, waits: list[Waiting] | None = None, credentials: Credentials = SANDBOX_CREDENTIALS
) -> AdsApiClient:
    """Connect to a sandbox."""
    return AdsApiClient(
        credentials,
        Endpoints.sandbox(url),
        clock=ImpatientClock(),
        retry=RetryPolicy(attempts=3),
        on_wait=None if waits is None else waits.append,
    )


def count_tokens(sandbox: SandboxHandle) -> int:
    """Count the tokens that were asked for."""
    return len(sandbox.state.ledger.calls("token"))


def an_account(session: Session, country: str = "US") -> AdsAccount:
    """Return an account that works."""
    accounts = list_accounts(session.client).accounts
    return next(
        each for each in accounts if each.country_code == country and each.status == "CREATED"
    )


def ask(
    session: Session, account: AdsAccount, *, days_ago: int = 2, fields: tuple[str, ...] = FIELDS
) -> Report:
    """Ask for a report of one day."""
    day = datetime.now(UTC).date() - timedelta(days=days_ago)
    return create_report(
        session.client, account.region, account.account_id, fields=fields, start=day, end=day
    )


def a_finished_report(session: Session) -> Report:
    """Ask for a report and give it when it is done: the sandbox makes it at once."""
    account = an_account(session)
    report = retrieve_report(session.client, account.region, ask(session, account).report_id)
    assert report.status is ReportStatus.COMPLETED
    return report


def test_accounts_of_all_regions_are_listed(session: Session) -> None:
    """The sandbox's accounts come from their regions, joined with their profiles."""
    listing = list_accounts(session.client)
    pairs = {
        (each.country_code, each.region, each.currency_code): each for each in listing.accounts
    }
    assert {
        ("US", "NA", "USD"),
        ("CA", "NA", "CAD"),
        ("GB", "EU", "GBP"),
        ("JP", "FE", "JPY"),
    } <= pairs.keys()
    assert listing.answered_regions == ("NA", "EU", "FE")
    assert all(each.problems == () for each in listing.accounts)
    assert int(pairs["GB", "EU", "GBP"].profile_id or 0) > 2**53


def test_report_is_asked_for_polled_and_downloaded(session: Session, tmp_path: Path) -> None:
    """All parts of a report arrive, each of the size that was announced."""
    report = a_finished_report(session)
    rows = []
    for number, part in enumerate(report.parts):
        path = tmp_path / f"{number}.json.gz"
        size = download_to(session.client, part.url, path, expected_bytes=part.size_bytes)
        assert size == path.stat().st_size == part.size_bytes
        rows += json.loads(gzip.decompress(path.read_bytes()))
    assert len(report.parts) > 1
    assert set(FIELDS) <= rows[0].keys()
    assert session.waits == []


@pytest.mark.parametrize("kind", get_args(ExportKind))
def test_export_is_started_and_downloaded(
    session: Session, kind: ExportKind, tmp_path: Path
) -> None:
    """An export of each kind arrives."""
    account = an_account(session, "GB")
    assert account.profile_id is not None
    started = create_export(session.client, account.region, account.profile_id, kind)
    export = get_export(session.client, account.region, account.profile_id, kind, started.export_id)
    assert export.status is ExportStatus.COMPLETED
    assert export.url is not None
    download_to(session.client, export.url, tmp_path / "x.gz", expected_bytes=export.size_bytes)
    assert json.loads(gzip.decompress((tmp_path / "x.gz").read_bytes()))


def test_threads_share_one_client(session: Session) -> None:
    """Eight threads poll over one client with one token, which none of them finds there."""
    account = an_account(session)
    report_id = ask(session, account).report_id
    tokens, together = count_tokens(session.sandbox), threading.Barrier(8)
    with open_client(session.sandbox.url) as client, ThreadPoolExecutor(8) as pool:

        def look(_: int) -> Report:
            together.wait(30)
            return retrieve_report(client, account.region, report_id)

        reports = list(pool.map(look, range(16)))
    assert {report.report_id for report in reports} == {report_id}
    assert tokens + 1 == count_tokens(session.sandbox)


def test_clients_of_one_process_share_one_token(session: Session) -> None:
    """Each job opens a session of its own, one after another and at once: Amazon is asked for one token."""
    tokens, together = count_tokens(session.sandbox), threading.Barrier(4)
    settings = session.settings

    def work(_: int) -> None:
        with connect(settings) as client:
            together.wait(30)
            list_accounts(client)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    with connect(settings) as client:
        list_accounts(client)
    assert tokens + 1 == count_tokens(session.sandbox)


def test_a_session_opened_after_a_refusal_asks_again(session: Session) -> None:
    """A credential that Amazon accepts once more needs no new process."""
    session.strike("invalid_grant", times=None)
    with connect(session.settings) as client, pytest.raises(InvalidGrant):
        list_accounts(client)
    session.sandbox.state.faults.clear()
    with connect(session.settings) as client:
        assert list_accounts(client).accounts


@pytest.mark.parametrize("form", ["seconds", "http-date"])
def test_throttle_is_waited_for(session: Session, form: str) -> None:
    """A throttled read comes through after the wait that was asked for."""
    account = an_account(session)
    report_id = ask(session, account).report_id
    session.strike("throttle", "retrieve_report", retry_after=form, seconds=7)
    retrieve_report(session.client, account.region, report_id)
    (wait,) = session.waits
    # A date is in whole seconds and counts from the answer's `Date`, which a server that is slow
    # writes late.
    shortest, longest = (7, 7) if form == "seconds" else (6, 30)
    assert shortest <= wait.seconds <= longest


@pytest.mark.parametrize("fault", ["server_error", "html_body", "connection_cut", "throttle"])
def test_reads_survive(session: Session, fault: FaultName) -> None:
    """A read survives each passing fault."""
    account = an_account(session)
    report_id = ask(session, account).report_id
    session.strike(fault, "retrieve_report")
    assert retrieve_report(session.client, account.region, report_id).report_id == report_id
    assert len(session.waits) == 1


@pytest.mark.parametrize("fault", ["unauthorized", "token_expiry"])
def test_early_end_of_a_token_is_cured(session: Session, fault: FaultName) -> None:
    """A token that dies in the middle is replaced, without a wait."""
    account = an_account(session)
    report_id = ask(session, account).report_id
    session.strike(fault, "retrieve_report")
    assert retrieve_report(session.client, account.region, report_id).report_id == report_id
    assert session.waits == []


@pytest.mark.parametrize(
    "fault", ["throttle", "throttle_accepted", "server_error", "html_body", "connection_cut"]
)
def test_create_leaves_the_outcome_unknown(session: Session, fault: FaultName) -> None:
    """A create that may have been accepted isn't sent twice."""
    account = an_account(session)
    session.strike(fault, "create_report", times=None)
    with pytest.raises(OutcomeUnknown):
        ask(session, account)
    assert session.waits == []


def test_duplicate_is_named() -> None:
    """The refusal of a duplicate names the report that is running."""
    with (
        running_sandbox(SandboxConfig(report_seconds=600)) as handle,
        open_client(handle.url) as client,
    ):
        session = Session(client, handle, [])
        session.strike("duplicate_refused", times=None)
        account = an_account(session)
        running = ask(session, account)
        with pytest.raises(DuplicateReport) as caught:
            ask(session, account)
    assert caught.value.report_id == running.report_id


@pytest.mark.parametrize("refusals", ["bad_request", "multi_status"])
def test_refusals_are_told_apart(refusals: str) -> None:
    """A period that is too old and an unknown field have their errors, as a 400 and inside a 207."""
    config = SandboxConfig.model_validate({"refusals": refusals, "accounts_shape": "array"})
    with running_sandbox(config) as handle, open_client(handle.url) as client:
        session = Session(client, handle, [])
        account = an_account(session)
        with pytest.raises(TooOld):
            ask(session, account, days_ago=900)
        with pytest.raises(Rejected) as caught:
            ask(session, account, fields=("date.value", "brand.new", "metric.clicks"))
        session.strike("missing_rights", "create_report")
        with pytest.raises(MissingRights):
            ask(session, account)
    assert caught.value.code == "400005"


def test_unknown_report_is_not_found(session: Session) -> None:
    """A report that was never asked for is `NotFound`."""
    with pytest.raises(NotFound):
        retrieve_report(session.client, "NA", "rpt-00000000")


def test_missing_rights_are_final(session: Session) -> None:
    """A profile without rights is refused once, and not asked for again."""
    account = an_account(session)
    session.strike("forbidden", "create_export", times=None)
    with pytest.raises(NotAuthorized, match="no rights"):
        create_export(session.client, account.region, account.profile_id or "", "ads")
    assert session.waits == []


def test_region_that_refuses_leaves_the_others(session: Session) -> None:
    """A region that can't be read leaves the accounts of the others."""
    session.strike("forbidden", "list_accounts")
    listing = list_accounts(session.client)
    assert listing.answered_regions == ("EU", "FE")
    assert {each.region for each in listing.accounts} == {"EU", "FE"}


def test_long_throttle_is_handed_on(session: Session) -> None:
    """A wait of ten minutes is the caller's."""
    session.strike("throttle", "retrieve_report", seconds=600)
    with pytest.raises(Throttled) as caught:
        retrieve_report(session.client, "NA", "rpt-00000000")
    assert caught.value.retry_after == 600


def test_expired_url_is_told(session: Session, tmp_path: Path) -> None:
    """A URL past its time is `UrlExpired`, and a new look gives one that works."""
    session.strike("expired_url", "retrieve_report")
    report = a_finished_report(session)
    with pytest.raises(UrlExpired):
        download_to(session.client, report.parts[0].url, tmp_path / "0", expected_bytes=None)
    fresh = retrieve_report(session.client, "NA", report.report_id).parts[0]
    assert download_to(session.client, fresh.url, tmp_path / "0", expected_bytes=fresh.size_bytes)


@pytest.mark.parametrize("fault", ["truncated_gzip", "connection_cut", "server_error"])
def test_broken_download_is_repeated(session: Session, fault: FaultName, tmp_path: Path) -> None:
    """A download that breaks once is whole the second time."""
    part = a_finished_report(session).parts[0]
    session.strike(fault, "download")
    size = download_to(session.client, part.url, tmp_path / "0", expected_bytes=part.size_bytes)
    assert size == part.size_bytes
    assert len(session.waits) == 1


def test_download_that_stays_short_is_told(session: Session, tmp_path: Path) -> None:
    """A file that is always half is never given."""
    part = a_finished_report(session).parts[0]
    session.strike("truncated_gzip", "download", times=None)
    with pytest.raises(DownloadIncomplete):
        download_to(session.client, part.url, tmp_path / "0", expected_bytes=part.size_bytes)
    assert list(tmp_path.iterdir()) == []


def test_missing_part_is_not_found(session: Session, tmp_path: Path) -> None:
    """A part that isn't there is `NotFound`, at once."""
    report = a_finished_report(session)
    session.strike("part_missing", times=None)
    with pytest.raises(NotFound):
        download_to(session.client, report.parts[-1].url, tmp_path / "0", expected_bytes=None)
    assert session.waits == []


def test_revoked_authorisation_is_terminal(session: Session) -> None:
    """A revoked refresh token says so."""
    session.strike("invalid_grant", times=None)
    with pytest.raises(InvalidGrant):
        list_accounts(session.client)
    assert session.waits == []


def test_wrong_secret_is_terminal(sandbox: SandboxHandle) -> None:
    """A wrong client secret says so."""
    wrong = Credentials("sandbox-client", SecretStr("wrong"), SecretStr("Atzr|sandbox"))
    with open_client(sandbox.url, credentials=wrong) as client, pytest.raises(InvalidClient):
        list_accounts(client)


def test_nobody_listening_is_unreachable() -> None:
    """A port where nobody listens gives `Unreachable`, also for a create: it surely never left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with open_client(url) as client, pytest.raises(Unreachable) as caught:
            create_report(
                client,
                "NA",
                "a",
                fields=["date.value"],
                start=date(2025, 1, 1),
                end=date(2025, 1, 1),
            )
    assert not caught.value.sent
