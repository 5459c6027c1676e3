"""The settings of a sandbox, how they are read from the command line, and errors before it starts."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bidbeacon_sandbox.fault_rules import read_rules
from bidbeacon_sandbox.faults import FaultRule
from bidbeacon_sandbox.variants import Variant


class SandboxError(Exception):
    """The sandbox can't be started as asked."""


class OptionError(SandboxError):
    """An option can't be understood; the message says what there is."""


class CannotListenError(SandboxError):
    """The sandbox's address can't be listened on."""


class StateFolderError(SandboxError):
    """The folder for reports in flight can't be read or written."""


Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""Up to 31 years: instants that are so far away can still be told."""
FIRST_START, LAST_START = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
FASTEST: Final = 1e7


class SandboxConfig(BaseSettings):
    """How the sandbox behaves; times are seconds of the sandbox's own clock unless said otherwise."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="SANDBOX_")

    seed: int = Field(1, description="Same seed, same accounts, entities and numbers.")
    accounts: int = Field(
        4, ge=1, le=10_000, description="Ads accounts; each has one or more countries."
    )
    countries: tuple[tuple[str, ...], ...] = Field(
        (),
        description="Countries of the first ads accounts; absent: those of the four known kinds.",
    )
    rows_per_day: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Daily target rows of an account's country; absent: 200 to 2,000.",
    )
    report_seconds: Seconds = Field(
        4.0, description="Mean time from creation to COMPLETED, spread by half."
    )
    export_seconds: Seconds = Field(
        1.0, description="Time from creation to COMPLETED of an export."
    )
    part_rows: int = Field(
        50_000, ge=1, description="Rows of one report part; a larger report has more parts."
    )
    url_seconds: Seconds = Field(3600.0, description="How long a report's download url lives.")
    export_url_seconds: Seconds = Field(
        3600.0, description="How long an export's download url lives."
    )
    token_seconds: int = Field(3600, ge=1, le=10**9, description="How long an access token lives.")
    poll_min_seconds: Seconds = Field(
        0.0, description="Polling one report faster than this is a 429; 0 is off."
    )
    calls_per_second: int | None = Field(
        None,
        ge=1,
        description="Calls of one region and class let in during a second; more are a 429.",
    )
    max_reports_in_flight: int = Field(
        2, ge=1, description="Reports of one account that may be in flight."
    )
    max_exports_in_progress: int = Field(
        5, ge=1, description="Exports of one endpoint that may be in progress."
    )

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - a made-up secret of a made-up client
    refresh_token: str = "Atzr|sandbox"  # noqa: S105 - the same

    accounts_shape: Literal["object", "array"] = Field(
        "object",
        description="`/adsAccounts/list` answers an object, or the bare array that was also seen.",
    )
    refusals: Literal["bad_request", "multi_status"] = Field(
        "bad_request",
        description="A report that is refused is a 400, or a 207 with the reason in `error`.",
    )
    renamed_fields: bool = Field(
        False,
        description="Reports know `campaignCountry.value` and other newer names, and not the older ones.",
    )
    refuse_mixed_products: bool = Field(
        False, description="A filter that names several ad products is refused (`400006`)."
    )
    hourly_brands_and_display: bool = Field(
        False,
        description="Hours of Sponsored Brands and Display campaigns are served, not refused.",
    )
    brands_history_days: int | None = Field(
        None,
        ge=1,
        description="How far back Sponsored Brands are served; absent: as Sponsored Products.",
    )
    display_history_days: int | None = Field(
        None,
        ge=1,
        description="How far back Sponsored Display is served; absent: as Sponsored Products.",
    )
    variants: tuple[Variant, ...] = Field(
        (), description="Deviations from the contract, for a client to find."
    )
    clock_start: AwareDatetime | None = Field(
        None,
        ge=FIRST_START,
        lt=LAST_START,
        description="Where the sandbox's clock starts; absent: now.",
    )
    clock_rate: float = Field(
        1.0, ge=0, le=FASTEST, description="Sandbox seconds a real second; 0 is a frozen clock."
    )
    faults: tuple[FaultRule, ...] = ()
    faults_file: Path | None = Field(
        None, description="A JSON list of fault rules, read at the start."
    )
    state_dir: Path | None = Field(
        None, description="Where reports and exports are kept over a restart."
    )
    cache_bytes: int = Field(
        1 << 30, ge=0, description="Generated files kept on disk; older ones are made again."
    )

    def all_faults(self) -> tuple[FaultRule, ...]:
        """Return the rules of `faults` and then those of `faults_file`.

        Raises:
            OSError: the file can't be read.
            FaultRuleError: it doesn't hold a list of rules.
        """
        if self.faults_file is None:
            return self.faults
        return self.faults + read_rules(json.loads(self.faults_file.read_text()))
