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

    `accounts` are the numbers, from 0, of the ads accounts that it can access (default: all). It
    can't edit the accounts in `view_only`, whose profiles are listed only for calls with
    `accessLevel=view`.
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

    seed: int = Field(1, description="The same seed gives the same accounts and numbers.")
    accounts: int = Field(
        4, ge=1, le=10_000, description="Number of ads accounts; each has one or more countries."
    )
    countries: tuple[tuple[str, ...], ...] = Field(
        (), description="Countries of the first ads accounts; default: US+CA, DE+GB, JP, US."
    )
    rows_per_day: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Rows of targets per account, country and day; default: 200 to 2,000.",
    )
    campaigns_begin: dict[int, date] = Field(
        {},
        description="First day of the campaigns of ads accounts, by number from 0; "
        "default: years ago.",
    )
    long_ids: bool = Field(
        False, description="Use entity and profile ids of up to 19 digits, above 2^53."
    )
    credentials: tuple[Credential, ...] = Field(
        (Credential(view_only=(2,)),),
        min_length=1,
        description="Clients and refresh tokens, as JSON.",
    )
    report_seconds: Seconds = Field(
        4.0, description="Mean time until a report is COMPLETED, varied by ±50 %."
    )
    export_seconds: Seconds = Field(1.0, description="Time until an export is COMPLETED.")
    part_rows: int = Field(
        50_000, ge=1, description="Rows of one report part; a larger report has more parts."
    )
    token_seconds: int = Field(3600, ge=1, le=10**9, description="How long an access token lives.")
    poll_min_seconds: Seconds = Field(
        0.0, description="Least time between polls of a report; an earlier poll gets 429."
    )
    max_reports_in_flight: int = Field(
        2, ge=1, description="Most reports of one account in flight at a time."
    )
    page_url: str = Field(
        "http://127.0.0.1:3030",
        pattern=r"^https?://[^/]",
        description="Address of BidBeacon's page, for the links of the sandbox's page.",
    )
    rules: Annotated[tuple[Any, ...], BeforeValidator(read_rules)] = Field(
        (), description="Rules that inject faults, as a JSON list."
    )
    clock_start: AwareDatetime | None = Field(
        None,
        ge=FIRST_START,
        lt=LAST_START,
        description="Start time of the sandbox's clock; default: now.",
    )
    clock_frozen: bool = Field(
        False, description="Stop the clock; only POST /sandbox/clock moves it."
    )

    @model_validator(mode="after")
    def _lists_accounts_that_exist(self) -> Self:
        numbers = [n for credential in self.credentials for n in credential.accounts or ()]
        unknown = [n for n in numbers if not 0 <= n < self.accounts]
        if unknown:
            raise ValueError(f"expected account numbers 0 to {self.accounts - 1}; got {unknown[0]}")
        return self
