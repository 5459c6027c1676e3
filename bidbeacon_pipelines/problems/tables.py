"""The tables of findings, receivers of alerts, and checks of datasets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class StoredFinding(PipelinesBase):
    """One row is a finding, present or past, with its acknowledgement and the alerts about it.

    `finding` has the fields of `problems.findings.Finding`, `acknowledged` those of
    `alert_rules.Acknowledgement`. `gone_at` is the time of the first check without the finding.
    `last_alerts` has the last alert to each receiver: its `event`, and the instant `at` when it was
    sent.
    """

    __tablename__ = "findings"

    key: Mapped[str] = mapped_column(primary_key=True)
    finding: Mapped[dict[str, Any]]
    began_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]
    acknowledged: Mapped[dict[str, Any] | None]
    last_alerts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 100", name="key_is_short"),
        CheckConstraint("gone_at >= began_at", name="ends_after_start"),
    )


class AlertReceiver(PipelinesBase):
    """One row is a receiver of alerts, when to try it again, and its last failure.

    `receiver` is the position of the receiver's URL in `BIDBEACON_ALERT_URLS`; the first is 1.
    `failing_since` is when sending first failed after the last success. `next_attempt_at`, the
    earliest time of the next attempt, is stored before each attempt.
    """

    __tablename__ = "alert_receivers"

    receiver: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    next_attempt_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    error: Mapped[str | None]

    __table_args__ = (CheckConstraint("receiver >= 1", name="receiver_counted"),)


class DatasetCheck(PipelinesBase):
    """One row is the last check of a dataset; `differing` is the number of totals that differ."""

    __tablename__ = "dataset_checks"

    dataset: Mapped[str] = mapped_column(primary_key=True)
    checked_at: Mapped[datetime]
    session_id: Mapped[UUID]
    differing: Mapped[int]

    __table_args__ = (CheckConstraint("differing >= 0", name="differing_counted"),)
