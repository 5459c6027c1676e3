"""Everything about the sandbox that can be set when it starts."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from bidbeacon_pipelines.sandbox.fault_rules import FaultRule

Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""Up to 31 years: instants that are so far away can still be told."""
FIRST_START, LAST_START = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
FASTEST: Final = 1e7

_FAULT_RULES = TypeAdapter(tuple[FaultRule, ...])


class SandboxConfig(BaseModel):
    """How the sandbox behaves; times are seconds of the sandbox's own clock unless said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(1, description="Same seed, same accounts, entities and numbers.")
    accounts: int = Field(4, ge=1, le=10_000, description="Ads accounts; each has one or more countries.")
    rows_per_day: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Daily target rows of an account's country; absent: 200 to 2,000.",
    )
    report_seconds: Seconds = Field(4.0, description="Mean time from creation to COMPLETED, spread by half.")
    export_seconds: Seconds = Field(1.0, description="Time from creation to COMPLETED of an export.")
    part_rows: int = Field(
        50_000, ge=1, description="Rows of one report part; a larger report has more parts."
    )
    url_seconds: Seconds = Field(3600.0, description="How long a report's download url lives.")
    export_url_seconds: Seconds = Field(3600.0, description="How long an export's download url lives.")
    token_seconds: int = Field(3600, ge=1, le=10**9, description="How long an access token lives.")
    poll_min_seconds: Seconds = Field(
        0.0, description="Polling one report faster than this is a 429; 0 is off."
    )
    calls_per_second: int | None = Field(
        None, ge=1, description="Calls of one region and class let in during a second; more are a 429."
    )
    max_reports_in_flight: int = Field(2, ge=1, description="Reports of one account that may be in flight.")
    max_exports_in_progress: int = Field(
        5, ge=1, description="Exports of one endpoint that may be in progress."
    )

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - a made-up secret of a made-up client
    refresh_token: str = "Atzr|sandbox"  # noqa: S105 - the same

    accounts_shape: Literal["object", "array"] = Field(
        "object", description="`/adsAccounts/list` answers an object, or the bare array that was also seen."
    )
    refusals: Literal["bad_request", "multi_status"] = Field(
        "bad_request", description="A report that is refused is a 400, or a 207 with the reason in `error`."
    )
    renamed_fields: bool = Field(
        False,
        description="Reports know `campaignCountry.value` and other newer names, and not the older ones.",
    )
    clock_start: AwareDatetime | None = Field(
        None, ge=FIRST_START, lt=LAST_START, description="Where the sandbox's clock starts; absent: now."
    )
    clock_rate: float = Field(
        1.0, ge=0, le=FASTEST, description="Sandbox seconds a real second; 0 is a frozen clock."
    )
    faults: tuple[FaultRule, ...] = ()
    faults_file: Path | None = Field(None, description="A JSON list of fault rules, read at the start.")
    state_dir: Path | None = Field(None, description="Where reports and exports are kept over a restart.")
    cache_bytes: int = Field(
        1 << 30, ge=0, description="Generated files kept on disk; older ones are made again."
    )

    def all_faults(self) -> tuple[FaultRule, ...]:
        """Give the rules of `faults` and then those of `faults_file`.

        Raises:
            OSError: the file can't be read.
            pydantic.ValidationError: it doesn't hold a list of rules.
        """
        if self.faults_file is None:
            return self.faults
        return self.faults + _FAULT_RULES.validate_python(json.loads(self.faults_file.read_text()))
