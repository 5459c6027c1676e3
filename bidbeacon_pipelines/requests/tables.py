"""The tables of report requests, of the gates that limit them, and of loads by hand."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Date, Double, ForeignKey, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase, account_reference, amazon_id
from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.datasets.registry import DatasetReport, get_dataset

REQUEST_STATUSES = ("planned", "sent", "in_flight", "completed", "loaded", "failed")
OPEN_REQUEST = "status IN ('planned', 'sent', 'in_flight', 'completed')"


class ReportRequest(PipelinesBase):
    """One row is one report requested for an ads account: a range of days in all countries.

    `report` lists the ad products whose rows are requested, such as `SP+SB+SD`. Until its first
    attempt, a request is only planned: no window is attached to it, and the next planning may
    change or delete it. A request is stored before it is sent, and Amazon's `report_id` before the
    first poll. If the report is not ready at `late_at`, Amazon takes far longer than usual.
    `locked_by` is the session that locked the request; the lock ends with the session's lease. If
    this request repeats a part of a refused request, to learn which days Amazon serves, `narrows`
    is the id of the refused request. `first_failed_at` is when an attempt first failed. `due_at` is
    when the first of its windows fell due or was wanted by a user; null before the first attempt.
    `completed_at` is when a poll first found the report complete.
    """

    __tablename__ = "report_requests"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str] = mapped_column(
        Text(collation="C"), ForeignKey("ads_accounts.account_id")
    )
    dataset: Mapped[str]
    report: Mapped[str]
    start_date: Mapped[date]
    end_date: Mapped[date]
    status: Mapped[str] = mapped_column(server_default="planned")
    by_hand: Mapped[bool] = mapped_column(server_default=text("false"))
    report_id: Mapped[str | None]
    amazon_status: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    polls: Mapped[int] = mapped_column(server_default="0")
    loads: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]
    late_at: Mapped[datetime | None]
    next_step_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    failure_kind: Mapped[str | None]
    cause: Mapped[dict[str, Any] | None]
    first_failed_at: Mapped[datetime | None]
    locked_by: Mapped[UUID | None]
    narrows: Mapped[int | None] = mapped_column(ForeignKey("report_requests.id"))

    @property
    def dataset_report(self) -> DatasetReport:
        """The dataset and ad products that are requested."""
        return DatasetReport(get_dataset(self.dataset), products_of(self.report))

    @property
    def days(self) -> int:
        """The number of days that the request covers."""
        return (self.end_date - self.start_date).days + 1

    __table_args__ = (
        CheckConstraint("start_date <= end_date", name="range_in_order"),
        CheckConstraint(f"status IN {REQUEST_STATUSES}", name="status_known"),
        CheckConstraint(
            "status NOT IN ('in_flight', 'completed') OR report_id IS NOT NULL",
            name="in_flight_has_report",
        ),
        CheckConstraint(
            "(status IN ('loaded', 'failed')) = (finished_at IS NOT NULL)", name="ended_has_end"
        ),
        CheckConstraint("jsonb_typeof(cause) = 'object'", name="cause_is_an_object"),
        Index("ix_report_requests_open", "next_step_at", postgresql_where=text(OPEN_REQUEST)),
        Index("ix_report_requests_finished", "finished_at"),
        Index("ix_report_requests_account", "account_id", "dataset", "report", "sent_at"),
        Index(
            "ix_report_requests_narrows", "narrows", postgresql_where=text("narrows IS NOT NULL")
        ),
    )


class ReportGate(PipelinesBase):
    """One row is the gate of one client id and region; see `requests.gate_rules`.

    A create is a request that creates a report. `in_flight_limit`, rounded down, is how many
    reports may be in flight. `pace` is the interval between two creates. `next_create_at` is the
    earliest time of the next create. `refusals` is the number of creates that Amazon last refused
    (429) in a row. `refused_count` is the number of all refused creates. `closed_for` is the total
    time for which refused creates closed the gate.
    """

    __tablename__ = "report_gates"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    region: Mapped[str] = mapped_column(primary_key=True)
    in_flight_limit: Mapped[float] = mapped_column(Double())
    pace: Mapped[timedelta]
    next_create_at: Mapped[datetime]
    refusals: Mapped[int]
    refused_count: Mapped[int] = mapped_column(server_default="0")
    closed_for: Mapped[timedelta] = mapped_column(server_default="0")
    last_refused_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("in_flight_limit >= 1", name="limit_lets_one_in"),
        CheckConstraint("pace > '0' AND refusals >= 0", name="pace_positive"),
    )


class LoadByHand(PipelinesBase):
    """One row is a load by hand: the days of one dataset and account that a session loads."""

    __tablename__ = "loads_by_hand"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    session_id: Mapped[UUID]
    account_id: Mapped[str] = amazon_id()
    country_code: Mapped[str]
    dataset: Mapped[str]
    days: Mapped[list[date]] = mapped_column(ARRAY(Date))
    requested_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (account_reference(), Index("ix_loads_by_hand_session", "session_id"))
