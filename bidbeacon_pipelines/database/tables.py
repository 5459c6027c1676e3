"""The tables of the installation: mode, processes, unwritable folders, simulated time."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class SimulatedTime(PipelinesBase):
    """At most one row: the offset of the time that decisions use; see `database.clock`.

    It is used with the sandbox only, never with Amazon credentials.
    """

    __tablename__ = "simulated_time"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    ahead_by: Mapped[timedelta]

    __table_args__ = (CheckConstraint("only_row", name="only_row"),)


class Installation(PipelinesBase):
    """One row: the mode of this database, and the versions of its schema.

    Processes of the other mode refuse the database; while `mode` is null, both may use it (see
    `database.address`). `oldest_program` is the newest migration of the oldest compatible program,
    `views_version` the version of functions and views (see `database.schema`), and `grants` are the
    rights on them at the start of an unfinished upgrade (see `migrations`). `restatements_from` is
    the first account-local day from which all restatements are kept; null while none were deleted.
    `latest_at` is the latest instant read from the database's clock (see `clock_repair`).
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

    `version` is its program's, with the newest migration. `seen_at` is the instant of its last
    heartbeat by the database's clock (see `database.processes`). `clock_ahead_by` is how far its
    host's clock was then ahead of the database's, negative if it was behind.
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
    """One row is a folder for downloads that a host can't write, since `since`.

    The host's loads pause until `retry_at`. Its next successful load deletes the row.
    """

    __tablename__ = "unwritable_folders"

    host: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    since: Mapped[datetime]
    retry_at: Mapped[datetime]
