"""Every setting of the pipelines, read from `BIDBEACON_…` variables or `.env`, with defaults that run locally."""

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def find_project_root() -> Path:
    """Give the folder that holds `dagster.yaml`: the checkout, or the working directory where there is none."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "dagster.yaml").exists() else Path.cwd()


PROJECT_ROOT = find_project_root()

_SANDBOX_POLL_SECONDS = 5

Region = Literal["NA", "EU", "FE"]


class Settings(BaseSettings):
    """What can be set from outside; each field is `BIDBEACON_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="BIDBEACON_", env_file=PROJECT_ROOT / ".env", extra="ignore")

    home: Path = Field(
        PROJECT_ROOT / ".bidbeacon", description="Local state: embedded Postgres, downloads, logs."
    )
    database_url: SecretStr | None = Field(
        None, description="postgresql://… of any PostgreSQL 14 or newer; absent: the embedded one."
    )

    ads_api_client_id: str | None = Field(
        None, description="Login with Amazon client id; absent: the sandbox."
    )
    ads_api_client_secret: SecretStr | None = None
    ads_api_refresh_token: SecretStr | None = None
    ads_api_credential_region: Region = Field(
        "NA", description="Whose token endpoint issued the refresh token."
    )

    bind_host: str = Field("127.0.0.1", description="Where Dagster's webserver and the sandbox listen.")
    dagster_port: int = 3000
    stream_port: int = 3030
    sandbox_port: int = 3040

    first_window_date: str = Field(
        "2025-08-01",
        description="First day that is a Dagster partition; older windows live on in Postgres only.",
    )
    report_first_poll_seconds: int | None = Field(
        None,
        ge=1,
        description="From asking for a report to the first look; absent: the dataset's usual time, 5 with the sandbox.",
    )
    report_poll_seconds: int | None = Field(
        None,
        ge=1,
        description="Shortest time between two looks at one report; absent: 60, 5 with the sandbox.",
    )
    by_hand_wait_minutes: int = Field(
        90, ge=1, description="How long a materialization by hand waits for Amazon."
    )
    bad_row_share: float = Field(
        0.02, ge=0, le=1, description="Over this share of bad rows a load is refused."
    )
    api_call_days: int = Field(
        30, ge=1, description="How long calls to Amazon are kept in the ledger, `api_calls`."
    )
    session_days: int = Field(
        90, ge=1, description="How long sessions are kept, with their actions, touches and promises."
    )
    run_event_days: int = Field(
        14,
        ge=1,
        description="How long Dagster's events of a run are kept; the history of assets is for good.",
    )

    @field_validator("home", mode="before")
    @classmethod
    def _check_home(cls, value: Any) -> Any:
        """Refuse an empty home, which would be the working directory, and a name that PostgreSQL's programs can't take."""
        name = str(value)
        if not name.strip() or "\0" in name or any("\ud800" <= char <= "\udfff" for char in name):
            raise ValueError("expected BIDBEACON_HOME to be a folder, named in UTF-8")
        return value

    @property
    def uses_sandbox(self) -> bool:
        """Whether no Amazon credentials are set, so that the local sandbox plays Amazon's part."""
        return self.ads_api_client_id is None

    @property
    def poll_every(self) -> timedelta:
        """The pause between two looks at one report: Amazon asks for at most one a minute, the sandbox is fast."""
        return timedelta(
            seconds=self.report_poll_seconds or (_SANDBOX_POLL_SECONDS if self.uses_sandbox else 60)
        )

    def first_poll_after(self, usual_latency: timedelta) -> timedelta:
        """The pause before the first look at a report, given how long Amazon usually takes."""
        if self.report_first_poll_seconds is not None:
            return timedelta(seconds=self.report_first_poll_seconds)
        return timedelta(seconds=_SANDBOX_POLL_SECONDS) if self.uses_sandbox else usual_latency

    @property
    def compute_logs(self) -> Path:
        """Where Dagster keeps what steps print: a folder a run."""
        return self.home / "dagster" / "compute_logs"

    @property
    def sandbox_url(self) -> str:
        """The sandbox's address; each region is a path below it: `/na`, `/eu`, `/fe`."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def dagster_url(self) -> str:
        """The address of Dagster's UI."""
        return f"http://127.0.0.1:{self.dagster_port}"

    @property
    def stream_url(self) -> str:
        """The address of the Event Stream page."""
        return f"http://127.0.0.1:{self.stream_port}"


@cache
def get_settings() -> Settings:
    """Read the settings once per process."""
    return Settings()
