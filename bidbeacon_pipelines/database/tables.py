"""The tables of the installation itself: mode, processes, unwritable folders, the sandbox's time."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class SimulatedTime(PipelinesBase):
    """At most one row: how far simulations move the time that decisions are made by; see `database.clock`.

    It is used with the sandbox only, never with Amazon credentials.
    """

    __tablename__ = "simulated_time"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    ahead_by: Mapped[timedelta]

    __table_args__ = (CheckConstraint("only_row", name="only_row"),)


class Installation(PipelinesBase):
    """One row: whose data this database holds, and which programs may use it; see `database.mode` and `database.schema`.

    Processes of the other mode refuse the database; while `mode` is null, both may use it.
    `oldest_program` is the revision that a program has to know at least, `views_version` the version
    of functions and views, `grants` who had rights on them when an upgrade began that has not ended;
    see `migrations`. `restatements_from` is the first account-local day
    whose restatements are all kept; null while none were deleted. `latest_at` is the latest instant
    that was read of the database's clock; see `clock_repair`.
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
    """One row is a long-lived process: stream, worker, code server, daemon or webserver of one host.

    `version` is its program's, with the newest migration that it knows. `seen_at` is when it last
    said that it lives, by the database's clock; see `database.presence`. `clock_ahead_by` is how far
    its host's clock was then ahead of the database's, negative where it was behind.
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
    """One row is a folder for downloads that its host could not write.

    The host's loads pause until `retry_at`.

    `since` is when that was first so. The next load of the host that works deletes the row.
    """

    __tablename__ = "unwritable_folders"

    host: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    since: Mapped[datetime]
    retry_at: Mapped[datetime]
