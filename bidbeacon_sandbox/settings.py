"""The settings of a sandbox, and the errors that keep it from starting."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from bidbeacon_sandbox.rulebook import read_rules
from bidbeacon_sandbox.rules import Seconds


class SandboxError(Exception):
    """The sandbox can't be started as asked."""


class OptionError(SandboxError):
    """An option can't be understood; the message says what there is."""


class CannotListenError(SandboxError):
    """The sandbox's address can't be listened on."""


class StateFolderError(SandboxError):
    """The folder for reports in flight can't be read or written."""


FIRST_START, LAST_START = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
FASTEST: Final = 1e7


class Credential(BaseModel):
    """A client and its refresh token; `accounts` are the numbers of the ads accounts it lists, from 0 (absent: all)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: str = "sandbox-client"
    client_secret: SecretStr = SecretStr("sandbox-secret")
    refresh_token: SecretStr = SecretStr("Atzr|sandbox")
    accounts: tuple[int, ...] | None = None


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
    long_ids: bool = Field(
        False, description="Ids of entities and profiles of up to 19 digits, beyond 2^53."
    )
    credentials: tuple[Credential, ...] = Field(
        (Credential(),), min_length=1, description="Clients and refresh tokens, as JSON."
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
    url_seconds: Seconds = Field(3600.0, description="How long a download url lives.")
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
    rules: Annotated[tuple[Any, ...], BeforeValidator(lambda given: read_rules(_listed(given)))] = (
        Field((), description="What goes wrong, as a JSON list of rules.")
    )
    rules_file: Path | None = Field(None, description="More rules: a file with a JSON list.")
    clock_start: AwareDatetime | None = Field(
        None,
        ge=FIRST_START,
        lt=LAST_START,
        description="Where the sandbox's clock starts; absent: now.",
    )
    clock_rate: float = Field(
        1.0, ge=0, le=FASTEST, description="Sandbox seconds a real second; 0 is a frozen clock."
    )
    state_dir: Path | None = Field(
        None, description="Where reports, exports, rules and the clock are kept over a restart."
    )
    cache_bytes: int = Field(
        1 << 30, ge=0, description="Generated files kept on disk; older ones are made again."
    )

    @model_validator(mode="after")
    def _lists_accounts_that_exist(self) -> "SandboxConfig":
        for credential in self.credentials:
            unknown = [n for n in credential.accounts or () if not 0 <= n < self.accounts]
            if unknown:
                raise ValueError(
                    f"expected accounts from 0 to {self.accounts - 1}; got {unknown[0]}"
                )
        return self


def _listed(given: Any) -> Any:
    return list(given) if isinstance(given, tuple) else given
