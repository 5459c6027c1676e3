"""The tables of report requests, and of the gate that creates them."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase

REQUEST_STATUSES = ("planned", "sent", "in_flight", "completed", "loaded", "failed")
OPEN_REQUEST = "status IN ('planned', 'sent', 'in_flight', 'completed')"


class ReportRequest(PipelinesBase):
    """One row is one report requested from Amazon: one dataset of one ads account, for all days of a range and all of its countries.

    It is planned before it is created: until its first attempt no window waits for it, and the next
    planning may change or delete it. It is stored before it is sent, and Amazon's id before it is
    polled. `locked_by` names the session that has locked it; the lock lasts as long as that
    session's lease. `passed_over` counts the reports of its ads account and dataset that were
    created since it was planned. `ad_products` are those whose rows are asked for, in the spelling
    of filters.
    """

    __tablename__ = "report_requests"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str] = mapped_column(
        Text(collation="C"), ForeignKey("ads_accounts.account_id")
    )
    dataset: Mapped[str]
    ad_products: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{SPONSORED_PRODUCTS}'")
    )
    start_date: Mapped[date]
    end_date: Mapped[date]
    status: Mapped[str] = mapped_column(server_default="planned")
    by_hand: Mapped[bool] = mapped_column(server_default=text("false"))
    passed_over: Mapped[int] = mapped_column(server_default="0")
    report_id: Mapped[str | None]
    amazon_status: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    polls: Mapped[int] = mapped_column(server_default="0")
    loads: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]
    next_step_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    failure_kind: Mapped[str | None]
    failure_code: Mapped[str | None]
    failure_reason: Mapped[str | None]
    part_count: Mapped[int | None]
    byte_count: Mapped[int | None]
    row_count: Mapped[int | None]
    locked_by: Mapped[UUID | None]
    requested_by: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint("start_date <= end_date", name="range_in_order"),
        CheckConstraint("cardinality(ad_products) > 0", name="asks_for_products"),
        CheckConstraint(f"status IN {REQUEST_STATUSES}", name="status_known"),
        CheckConstraint(
            "status NOT IN ('in_flight', 'completed') OR report_id IS NOT NULL",
            name="in_flight_has_report",
        ),
        CheckConstraint(
            "(status IN ('loaded', 'failed')) = (finished_at IS NOT NULL)", name="ended_has_end"
        ),
        Index("ix_report_requests_open", "next_step_at", postgresql_where=text(OPEN_REQUEST)),
        Index("ix_report_requests_account", "account_id", "dataset", "sent_at"),
    )


class ReportGate(PipelinesBase):
    """One row is the gate of one client id and region, through which all processes create reports; see `reports.gates`.

    `in_flight_limit` is how many reports may be in flight (its whole part), `pace` the time between
    two creates, and no report is created before `next_create_at`. `refusals` counts the creates
    refused in a row. `refused_count` and `closed_for` are the totals of 429 so far.
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
