"""The tables of findings, of alerts about them, and of checks of datasets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class StoredFinding(PipelinesBase):
    """One row is a finding: since when it is there, who has acknowledged it, and who was told.

    `finding` is how it was last seen, with the fields of `problems.findings.Finding`, and
    `acknowledged` has those of its `Acknowledgement`. `gone_at` is since when it is not seen any
    more. `told` has the last alert about it by receiver: its event, and when it was sent.
    """

    __tablename__ = "findings"

    key: Mapped[str] = mapped_column(primary_key=True)
    finding: Mapped[dict[str, Any]]
    began_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]
    acknowledged: Mapped[dict[str, Any] | None]
    told: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 100", name="key_is_short"),
        CheckConstraint("gone_at >= began_at", name="ends_after_start"),
    )


class AlertReceiver(PipelinesBase):
    """One row is a receiver of alerts: when it may be sent something next, and why the last attempt failed.

    `receiver` is the place of its address in `BIDBEACON_ALERT_URLS`, from 1 on. `failing_since` is
    the first attempt since the last that succeeded; the next one is set before it is made.
    """

    __tablename__ = "alert_receivers"

    receiver: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    next_attempt_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    error: Mapped[str | None]

    __table_args__ = (CheckConstraint("receiver >= 1", name="receiver_counted"),)


class DatasetCheck(PipelinesBase):
    """One row is the last check of a dataset: by which session, and how many totals differ from another dataset's."""

    __tablename__ = "dataset_checks"

    dataset: Mapped[str] = mapped_column(primary_key=True)
    checked_at: Mapped[datetime]
    session_id: Mapped[UUID]
    differing: Mapped[int]

    __table_args__ = (CheckConstraint("differing >= 0", name="differing_counted"),)
