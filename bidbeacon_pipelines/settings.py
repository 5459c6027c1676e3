"""All settings of the pipelines, with defaults for local use; `settings_files` reads them."""

import os
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode

from bidbeacon_pipelines.credentials import (
    DEFAULT,
    SANDBOX_CREDENTIAL,
    Credential,
    CredentialsFile,
    Region,
    read_credentials_file,
)
from bidbeacon_pipelines.settings_files import PROJECT_ROOT, read_settings
from bidbeacon_sessions.settings import (
    Host,
    Port,
    SessionSettings,
    WebAddress,
    is_loopback,
    read_settings_with,
)

__all__ = ["PROJECT_ROOT", "Mode", "Region", "Settings", "get_settings"]

_SANDBOX_POLL_SECONDS = 5
_DAY_SECONDS = 24 * 3600
_LONGEST_KEPT_DAYS = 36_500
_NO_USER_HEADERS = frozenset({"authorization", "cookie", "host", "origin", "proxy-authorization"})

Mode = Literal["sandbox", "real"]
"""Whether BidBeacon calls the sandbox or the real Amazon."""


def _check_alert_urls(value: SecretStr) -> SecretStr:
    for number, url in enumerate(value.get_secret_value().split(), 1):
        if not re.match(r"[A-Za-z][\w+.-]*://.", url):
            raise ValueError(
                f"expected URLs such as slack://… separated by spaces; URL {number} is invalid"
            )
    return value


def _check_redis_url(value: SecretStr) -> SecretStr:
    if not re.match(r"rediss?://.", value.get_secret_value()):
        raise ValueError("expected an address such as redis://:password@redis.example.com:6379/0")
    return value


def _check_hours(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError("expected two times of day, such as 22:00-07:00")
    return value


def _check_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected an IANA time zone, such as Europe/Berlin") from None
    return value


def _check_header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,80}", value) or value.lower() in _NO_USER_HEADERS:
        raise ValueError("expected the name of a header, such as X-Forwarded-User")
    return value


def _read_credentials_file(value: Path | None) -> CredentialsFile | None:
    return None if value is None else read_credentials_file(PROJECT_ROOT / value)


def _local_url(host: str, port: int) -> str:
    """Return the URL with which clients on this machine reach a server that listens on `host`."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - recognised, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


_HOME = PROJECT_ROOT / ".bidbeacon"
Folder = Annotated[Path, AfterValidator(lambda path: PROJECT_ROOT / path)]


class Settings(SessionSettings):
    """The settings of sessions and of the pipelines."""

    ads_api_client_id: str | None = None
    """The client id of Login with Amazon.

    If neither a client id nor `BIDBEACON_CREDENTIALS_FILE` is set, BidBeacon uses the sandbox
    instead of Amazon.
    """
    ads_api_client_secret: SecretStr | None = None
    """The client secret of Login with Amazon."""
    ads_api_refresh_token: SecretStr | None = None
    """The refresh token with which the owner of the accounts authorized BidBeacon."""
    ads_api_credential_region: Region = "NA"
    """The region whose token endpoint issued the refresh token: NA, EU or FE."""
    credentials_file: Annotated[
        CredentialsFile | None, NoDecode, BeforeValidator(_read_credentials_file)
    ] = None
    """A TOML file with named clients and credentials.

    The file replaces the settings `BIDBEACON_ADS_API_…`. It must be readable only by its owner and
    its group.
    """

    home: Folder = _HOME
    """The folder for local state: the embedded PostgreSQL and logs. It is created if missing."""
    scratch_folder: Folder = Field(
        default_factory=lambda data: data.get("home", _HOME) / "downloads"
    )
    """The folder for files that were downloaded from Amazon, until they are loaded.

    The disk needs room for a few reports. The default is `downloads` in `BIDBEACON_HOME`.
    """
    redis_url: Annotated[SecretStr, AfterValidator(_check_redis_url)] | None = None
    """`redis://…` or `rediss://…`: the broker and result backend of a cluster's Celery workers.

    If everything runs on one machine, Redis is not needed.
    """
    allow_other_machines: bool = False
    """Whether `BIDBEACON_BIND_HOST` may be an address that other machines reach."""
    bind_host: Host = "127.0.0.1"
    """The address on which Dagster's webserver and the sandbox listen.

    Neither of these two servers has a login.
    """
    sandbox_port: Port = 3040
    """The sandbox's port."""
    code_server_port: Port | None = None
    """The port on loopback of Dagster's code server. The default is any free port."""
    sandbox_url: WebAddress = Field(
        default_factory=lambda data: _local_url(
            data.get("bind_host", "127.0.0.1"), data.get("sandbox_port", 3040)
        )
    )
    """The address at which clients reach the sandbox.

    The default consists of `BIDBEACON_BIND_HOST` and `BIDBEACON_SANDBOX_PORT`.
    """

    partition_months: int = Field(15, ge=1, le=60)
    """For how many months before the current month Dagster has partitions.

    All processes need the same value. Older windows are only in PostgreSQL.
    """
    report_first_poll_seconds: int | None = Field(None, ge=1, le=_DAY_SECONDS)
    """The time from the request of a report to its first poll.

    The default is the time that Amazon usually takes, 3 minutes. With the sandbox, the default is 5
    seconds.
    """
    report_poll_seconds: int | None = Field(None, ge=1, le=_DAY_SECONDS)
    """The shortest time between two polls of a report.

    The default is 60 seconds. With the sandbox, the default is 5 seconds.
    """
    by_hand_wait_minutes: int = Field(90, ge=1, le=24 * 60)
    """How many minutes a load by hand waits for Amazon."""
    wait_for_countries_hours: float = Field(6, ge=0, le=12)
    """How many hours a due window waits until windows of other countries are due.

    One report then serves all of these countries of the ads account.
    """
    first_reports_in_flight: int = Field(2, ge=1, le=20)
    """How many reports of a client id and region may initially be generated at the same time.

    BidBeacon later adapts this limit to Amazon's responses. With the sandbox, `bidbeacon dev` sets
    8.
    """
    loads_at_once: int = Field(2, ge=1, le=8)
    """How many runs of `poll_reports` may poll and load reports at the same time.

    A second run starts only if ten reports are due for a poll or load, or if reports are still due
    half a minute after the last run started.
    """
    late_after_hours: float = Field(12, gt=0, le=7 * 24)
    """How many hours after its due time a window counts as late.

    Checks, the coverage page and the order of reports depend on this number.
    """
    bad_row_share: float = Field(0.02, ge=0, le=1)
    """The largest accepted share of invalid rows in a window, as a fraction.

    A window with more invalid rows is not loaded, and keeps its old rows.
    """
    hourly_difference: float = Field(0.05, ge=0, le=1)
    """The largest accepted difference between the spend or sales of a day and of its hours.

    The difference is a fraction. A check warns about larger differences. Amazon does not guarantee
    that daily and hourly reports agree.
    """

    alert_urls: Annotated[SecretStr, AfterValidator(_check_alert_urls)] | None = None
    """The receivers of alerts: URLs as the library apprise defines them, separated by blanks.

    An example is `slack://…`.
    """
    alert_quiet_hours: Annotated[str, AfterValidator(_check_hours)] | None = None
    """The hours in which no alert is sent, such as `22:00-07:00`."""
    alert_time_zone: Annotated[str, AfterValidator(_check_time_zone)] = "UTC"
    """The time zone of `BIDBEACON_ALERT_QUIET_HOURS`, and of times in alerts."""
    alert_silent_minutes: int = Field(90, ge=10, le=7 * 24 * 60)
    """After how many minutes without a run of any job an alert is sent.

    Usually, at least one job runs each hour.
    """

    api_call_days: int = Field(30, ge=1, le=_LONGEST_KEPT_DAYS)
    """For how many days calls to Amazon are kept in the table `api_calls`."""
    session_days: int = Field(90, ge=1, le=_LONGEST_KEPT_DAYS)
    """For how many days sessions are kept, with their actions and references."""
    hourly_days: int = Field(400, ge=31, le=_LONGEST_KEPT_DAYS)
    """For how many days hourly rows are kept. Older rows are deleted by whole months."""
    restatement_days: int = Field(400, ge=90, le=_LONGEST_KEPT_DAYS)
    """Restatements of windows up to this many days old are kept.

    Older windows keep only their totals.
    """
    run_event_days: int = Field(14, ge=1, le=_LONGEST_KEPT_DAYS)
    """For how many days the events of a Dagster run and its printed output are kept.

    Events of assets (materializations, observations and checks) are not deleted.
    """

    user_header: Annotated[str, AfterValidator(_check_header)] | None = None
    """The header in which a trusted proxy names the user, such as `X-Forwarded-User`.

    A change on the page is recorded under the user's name, or under `page` if this setting is not
    set.
    """

    @field_validator("bind_host")
    @classmethod
    def _check_bind_host(cls, value: str, info: ValidationInfo) -> str:
        if not is_loopback(value) and not info.data.get("allow_other_machines"):
            raise ValueError(
                "expected a loopback address such as 127.0.0.1, "
                "unless BIDBEACON_ALLOW_OTHER_MACHINES=true is set"
            )
        return value

    @field_validator("credentials_file")
    @classmethod
    def _check_credentials_file(
        cls, value: CredentialsFile | None, info: ValidationInfo
    ) -> CredentialsFile | None:
        if value is not None and info.data.get("ads_api_refresh_token") is not None:
            raise ValueError(
                "expected BIDBEACON_CREDENTIALS_FILE or BIDBEACON_ADS_API_REFRESH_TOKEN, not both"
            )
        return value

    @property
    def uses_sandbox(self) -> bool:
        """Whether to call the sandbox: no client id is set, or the credentials file says so."""
        if self.credentials_file is not None:
            return self.credentials_file.sandbox
        return self.ads_api_client_id is None

    @property
    def credentials(self) -> dict[str, Credential]:
        """The credentials by name, in the file's order; empty if settings are incomplete."""
        if self.credentials_file is not None:
            return self.credentials_file.by_name()
        if self.ads_api_client_id is None:
            return {DEFAULT: SANDBOX_CREDENTIAL}
        if self.ads_api_client_secret is None or self.ads_api_refresh_token is None:
            return {}
        only = Credential(
            client_id=self.ads_api_client_id,
            client_secret=self.ads_api_client_secret,
            refresh_token=self.ads_api_refresh_token,
            region=self.ads_api_credential_region,
        )
        return {DEFAULT: only}

    @property
    def mode(self) -> Mode:
        """The mode of this process; the database must have the same mode."""
        return "sandbox" if self.uses_sandbox else "real"

    @property
    def poll_every(self) -> timedelta:
        """The pause between polls of a report; shorter with the sandbox, which is faster."""
        return timedelta(
            seconds=self.report_poll_seconds or (_SANDBOX_POLL_SECONDS if self.uses_sandbox else 60)
        )

    @property
    def late_after(self) -> timedelta:
        """How long after its due time a window counts as late."""
        return timedelta(hours=self.late_after_hours)

    @property
    def silent_after(self) -> timedelta:
        """How long BidBeacon may go without running a job before this becomes a finding."""
        return timedelta(minutes=self.alert_silent_minutes)

    def first_poll_after(self, usual_latency: timedelta) -> timedelta:
        """Return the pause before the first poll of a report, given Amazon's usual latency."""
        if self.report_first_poll_seconds is not None:
            return timedelta(seconds=self.report_first_poll_seconds)
        return timedelta(seconds=_SANDBOX_POLL_SECONDS) if self.uses_sandbox else usual_latency

    @property
    def dagster_home(self) -> Path:
        """Dagster's home folder in `bidbeacon dev`; Dagster requires an absolute path."""
        return self.home.absolute() / "dagster"

    @property
    def compute_logs(self) -> Path:
        """The folder in DAGSTER_HOME with the output of steps; each run has its own subfolder."""
        return Path(os.environ.get("DAGSTER_HOME") or self.home / "dagster") / "storage"


@cache
def get_settings() -> Settings:
    """Return the settings, which are read once per process."""
    return read_settings(Settings)


read_settings_with(lambda: read_settings(Settings))
