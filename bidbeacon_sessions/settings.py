"""What can be set about job sessions, from `BIDBEACON_…` variables."""

from functools import cache

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SessionSettings(BaseSettings):
    """Each field is `BIDBEACON_<NAME>` in the environment or in `.env`."""

    model_config = SettingsConfigDict(env_prefix="BIDBEACON_", env_file=".env", extra="ignore")

    database_url: SecretStr | None = Field(None, description="postgresql://… where sessions are kept.")
    stream_host: str = Field(
        "127.0.0.1", description="Where the stream listens; other than loopback needs a token."
    )
    stream_port: int = 3030
    stream_token: SecretStr | None = Field(None, description="Who may read the stream from other machines.")
    dagster_public_url: str = Field(
        "http://127.0.0.1:3000", description="Dagster's UI, as a browser reaches it."
    )
    stream_public_url: str = Field(
        "http://127.0.0.1:3030", description="The Event Stream, as a browser reaches it."
    )

    lease_seconds: int = Field(
        45, ge=5, description="A session whose process is silent for so long counts as dead."
    )
    heartbeat_seconds: float = Field(5.0, gt=0, description="How often a running session says that it lives.")
    stalled_seconds: int = Field(
        900,
        ge=0,
        description="A session whose work has not moved for so long gives no more signs of life; 0: it always does.",
    )
    close_wait_seconds: float = Field(
        60.0, ge=0, description="How long a session that has ended waits for a database that is away."
    )
    change_log_rows: int = Field(
        200_000,
        ge=1_000,
        description="How many changes a reader of the stream may be behind before it must reload.",
    )
    change_log_hours: int = Field(
        24, ge=1, description="How long a reader of the stream may be away before it must reload."
    )

    @field_validator("stream_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse a token that can't stand in a header."""
        token = value.get_secret_value() if value else ""
        if not (token.isascii() and token.isprintable()):
            raise ValueError("expected BIDBEACON_STREAM_TOKEN to be printable ASCII characters")
        return value


MAX_ACTION_BYTES = 16 * 1024
MAX_INPUT_BYTES = 64 * 1024
MAX_ACTIONS = 5_000
MAX_PENDING_ACTIONS = 1_000


@cache
def get_session_settings() -> SessionSettings:
    """Read the settings once per process."""
    return SessionSettings()
