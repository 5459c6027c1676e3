"""The tables of alerts."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class Alert(PipelinesBase):
    """One row is a cause that alerts are sent about: since when, and the last message about it.

    `key` is the cause whatever its numbers; `problem` is how it was last seen, with the fields of
    `problems.problem_rules.Problem`. `told_at` is when the last message about the cause was written, and
    `told_count` how much of it there was then; null while no message was sent this time. `gone_at`
    is since when it is not seen any more, and `closed_at` when it was found to be over: the next
    time is a new beginning.
    """

    __tablename__ = "alerts"

    key: Mapped[str] = mapped_column(primary_key=True)
    problem: Mapped[dict[str, Any]]
    began_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    told_count: Mapped[int | None]
    gone_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 300", name="key_is_short"),
        CheckConstraint("told_count IS NULL OR told_at IS NOT NULL", name="told_at_some_time"),
        CheckConstraint("closed_at >= gone_at AND gone_at >= began_at", name="ends_after_start"),
        CheckConstraint("closed_at IS NULL OR gone_at IS NOT NULL", name="closed_is_gone"),
        Index("ix_alerts_open", "key", postgresql_where=text("closed_at IS NULL")),
    )


class AlertMessage(PipelinesBase):
    """One row is a message to one receiver; written with the alert's new state, and sent later.

    `receiver` is the number of its address in `BIDBEACON_ALERT_URLS`, from 1 on. An attempt is
    counted, and the next one set, before it is sent: a process that dies in between leaves a
    message that is sent again later, and not every minute.
    """

    __tablename__ = "alert_messages"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    alert_key: Mapped[str]
    event: Mapped[str]
    is_minor: Mapped[bool]
    title: Mapped[str]
    body: Mapped[str]
    receiver: Mapped[int] = mapped_column(SmallInteger)
    written_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    next_attempt_at: Mapped[datetime]
    error: Mapped[str | None]
    sent_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("event IN ('began', 'grew', 'lasts', 'ended')", name="event_known"),
        CheckConstraint("receiver >= 1", name="receiver_counted"),
        CheckConstraint("attempts >= 0", name="attempts_counted"),
        CheckConstraint("sent_at IS NULL OR attempts > 0", name="sent_by_an_attempt"),
        Index(
            "ix_alert_messages_unsent", "next_attempt_at", postgresql_where=text("sent_at IS NULL")
        ),
        Index(None, "alert_key", "written_at"),
    )


class AlertWatch(PipelinesBase):
    """At most one row: when problems were last checked.

    It is locked meanwhile, so that only one process checks.
    """

    __tablename__ = "alert_watch"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    looked_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("only_row", name="only_row"),)
