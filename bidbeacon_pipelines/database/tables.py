"""The tables of the installation: mode, processes, unwritable folders, simulated time."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class SimulatedTime(PipelinesBase):
    """The only row, if any, is an offset that is added to the database's time.

    The offset is used only with the sandbox, never with Amazon credentials; see `database.clock`.
    """

    __tablename__ = "simulated_time"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    ahead_by: Mapped[timedelta]

    __table_args__ = (CheckConstraint("only_row", name="only_row"),)


class Installation(PipelinesBase):
    """The only row has the mode of this database, and the versions of its schema.

    Only processes of the same `mode` may use the database; null allows both modes (see
    `database.address`). `oldest_program` is the newest migration of the oldest compatible program.
    `views_version` is the version of functions and views (see `database.schema`). `grants` are the
    grants on functions and views before an unfinished upgrade (see `migrations`). Restatements of
    account-local days from `restatements_from` on are complete; the column is null if no
    restatements were deleted. `latest_at` is the latest time read from the database's clock (see
    `clock_repair`).
    """

    __tablename__ = "installation"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    mode: Mapped[str | None]
    oldest_program: Mapped[str]
    views_version: Mapped[int]
    grants: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    restatements_from: Mapped[date | None]
    latest_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("only_row", name="only_row"),
        CheckConstraint("mode IN ('sandbox', 'real')", name="mode_known"),
    )


class Process(PipelinesBase):
    """One row is a long-lived process of a host: stream, worker or a server of Dagster.

    `version` has the program's version and newest migration. `seen_at` is the time of the last
    heartbeat on the database's clock (see `database.processes`). `clock_ahead_by` is how far the
    host's clock was ahead of the database's clock at that time; negative if it was behind.
    """

    __tablename__ = "processes"

    kind: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(primary_key=True)
    pid: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[str]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    clock_ahead_by: Mapped[timedelta] = mapped_column(server_default="0")


class UnwritableFolder(PipelinesBase):
    """One row is a folder for downloads to which a host can't write, from the time `since` on.

    The host's loads pause until `retry_at`. The next successful load on the host deletes the row.
    """

    __tablename__ = "unwritable_folders"

    host: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    since: Mapped[datetime]
    retry_at: Mapped[datetime]
