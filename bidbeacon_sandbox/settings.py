"""The settings of a sandbox."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Self

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

FIRST_START, LAST_START = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class Credential(BaseModel):
    """A client and its refresh token.

    `accounts` are the numbers of the ads accounts that it lists, from 0 (absent: all). Those in
    `view_only` may not be edited: their profiles are listed with `accessLevel=view` only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: str = "sandbox-client"
    client_secret: SecretStr = SecretStr("sandbox-secret")
    refresh_token: SecretStr = SecretStr("Atzr|sandbox")
    accounts: tuple[int, ...] | None = None
    view_only: tuple[int, ...] = ()


class SandboxConfig(BaseSettings):
    """Settings of the sandbox; times are seconds of its own clock unless stated otherwise."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="SANDBOX_")

    seed: int = Field(1, description="Same seed, same accounts, entities and numbers.")
    accounts: int = Field(
        4, ge=1, le=10_000, description="Ads accounts; each has one or more countries."
    )
    countries: tuple[tuple[str, ...], ...] = Field(
        (), description="Countries of the first ads accounts; absent: those of four known ones."
    )
    rows_per_day: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Daily target rows of an account's country; absent: 200 to 2,000.",
    )
    campaigns_begin: dict[int, date] = Field(
        {},
        description="First day of the campaigns of ads accounts, by number from 0; "
        "absent: years ago.",
    )
    long_ids: bool = Field(
        False, description="Ids of entities and profiles of up to 19 digits, beyond 2^53."
    )
    credentials: tuple[Credential, ...] = Field(
        (Credential(view_only=(2,)),),
        min_length=1,
        description="Clients and refresh tokens, as JSON.",
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
    token_seconds: int = Field(3600, ge=1, le=10**9, description="How long an access token lives.")
    poll_min_seconds: Seconds = Field(
        0.0, description="Polling one report faster than this is a 429; 0 is off."
    )
    max_reports_in_flight: int = Field(
        2, ge=1, description="Reports of one account that may be in flight."
    )
    rules: Annotated[tuple[Any, ...], BeforeValidator(read_rules)] = Field(
        (), description="What goes wrong, as a JSON list of rules."
    )
    clock_start: AwareDatetime | None = Field(
        None,
        ge=FIRST_START,
        lt=LAST_START,
        description="Where the sandbox's clock starts; absent: now.",
    )
    clock_frozen: bool = Field(
        False, description="The clock stands still until it is moved on by POST /sandbox/clock."
    )

    @model_validator(mode="after")
    def _lists_accounts_that_exist(self) -> Self:
        numbers = [n for credential in self.credentials for n in credential.accounts or ()]
        unknown = [n for n in numbers if not 0 <= n < self.accounts]
        if unknown:
            raise ValueError(f"expected accounts from 0 to {self.accounts - 1}; got {unknown[0]}")
        return self
