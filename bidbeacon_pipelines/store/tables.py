"""The tables of the pipelines.

`…_at` is an instant in UTC; `…_date` a calendar day of the account's own time zone.

Every table that holds an account's data has `account_id` and `country_code`: Amazon's ids are
unique in neither alone. Ids are text in "C" order (they sort and compare as bytes), money is
`numeric(20, 6)` in the row's own currency.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Date,
    Double,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import TOTAL, TOTAL_COUNT, PipelinesBase
from bidbeacon_pipelines.database.base import account_reference as _account
from bidbeacon_pipelines.database.base import amazon_id as _id
from bidbeacon_pipelines.entities import tables as entity_tables  # noqa: F401 - their classes belong to the same metadata

REQUEST_STATUSES = ("planned", "sent", "in_flight", "completed", "loaded", "failed")
OPEN_REQUEST = "status IN ('planned', 'sent', 'in_flight', 'completed')"
RUN_KINDS = ("load-windows", "sync-entities")


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


class RunRequest(PipelinesBase):
    """One row is a run requested on the page; a Dagster sensor starts it.

    `windows` are account-local days of `dataset`, for windows to load; both are empty for a sync of
    entities. `session_id` is the session of the run, once it has begun. A request is open until
    `finished_at`; an equal one is not stored meanwhile. `failure` is why no run began.
    """

    __tablename__ = "run_requests"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    account_id: Mapped[str] = _id()
    country_code: Mapped[str]
    dataset: Mapped[str] = mapped_column(server_default="")
    windows: Mapped[list[date]] = mapped_column(ARRAY(Date), server_default=text("'{}'"))
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    session_id: Mapped[UUID | None]
    finished_at: Mapped[datetime | None]
    failure: Mapped[str | None]

    __table_args__ = (
        _account(),
        CheckConstraint(f"kind IN {RUN_KINDS}", name="kind_known"),
        CheckConstraint(
            "(kind = 'load-windows') = (dataset <> '' AND cardinality(windows) > 0)",
            name="loads_name_windows",
        ),
        CheckConstraint("failure IS NULL OR finished_at IS NOT NULL", name="failed_has_end"),
        Index(
            "uq_run_requests_open",
            "account_id",
            "country_code",
            "kind",
            "dataset",
            "windows",
            unique=True,
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("ix_run_requests_account", "account_id", "country_code", "requested_at"),
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


class Alert(PipelinesBase):
    """One row is a cause that alerts are sent about: since when, and the last message about it.

    `key` is the cause whatever its numbers; `problem` is how it was last seen, with the fields of
    `reports.problems.Problem`. `told_at` is when the last message about the cause was written, and
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


class AccountDailySummary(PipelinesBase):
    """One row has the sums of an account-local day of an account for one ad product in one currency; null where it was not loaded.

    Ad products have rows for the days on which they had any activity, and Sponsored Products for
    every day that was loaded. The two grains are asked for at different times (`…_as_of`), and
    Amazon goes on changing numbers. `…_loads` is which loads of the two windows it was made from:
    behind the windows' own, it is out of date.
    """

    __tablename__ = "account_daily_summaries"

    account_id: Mapped[str] = _id(primary_key=True, comment="Amazon's id of the ads account.")
    country_code: Mapped[str] = mapped_column(
        primary_key=True, comment="Country of the account: two letters, GB for the United Kingdom."
    )
    summary_date: Mapped[date] = mapped_column(
        primary_key=True, comment="Day of the account's own calendar."
    )
    ad_product: Mapped[str] = mapped_column(
        primary_key=True, comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …"
    )
    currency_code: Mapped[str] = mapped_column(primary_key=True, comment="Currency of the amounts.")
    impressions: Mapped[Decimal | None] = mapped_column(
        TOTAL_COUNT, comment="Impressions of the day."
    )
    clicks: Mapped[Decimal | None] = mapped_column(TOTAL_COUNT, comment="Clicks of the day.")
    orders: Mapped[Decimal | None] = mapped_column(
        TOTAL_COUNT, comment="Orders attributed to the day."
    )
    sales: Mapped[Decimal | None] = mapped_column(TOTAL, comment="Sales attributed to the day.")
    spend: Mapped[Decimal | None] = mapped_column(TOTAL, comment="Cost of the day.")
    acos: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="spend / sales; null where that divides by zero."
    )
    roas: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="sales / spend; null where that divides by zero."
    )
    hourly_impressions: Mapped[Decimal | None] = mapped_column(
        TOTAL_COUNT,
        comment="impressions as the hours of the day add up; null where the ad product has no hourly reports.",
    )
    hourly_clicks: Mapped[Decimal | None] = mapped_column(
        TOTAL_COUNT,
        comment="clicks as the hours of the day add up; null where the ad product has no hourly reports.",
    )
    hourly_orders: Mapped[Decimal | None] = mapped_column(
        TOTAL_COUNT,
        comment="orders as the hours of the day add up; null where the ad product has no hourly reports.",
    )
    hourly_sales: Mapped[Decimal | None] = mapped_column(
        TOTAL,
        comment="sales as the hours of the day add up; null where the ad product has no hourly reports.",
    )
    hourly_spend: Mapped[Decimal | None] = mapped_column(
        TOTAL,
        comment="spend as the hours of the day add up; null where the ad product has no hourly reports.",
    )
    spend_difference: Mapped[Decimal | None] = mapped_column(
        TOTAL, comment="hourly_spend less spend: the two come from different pipelines of Amazon."
    )
    sales_difference: Mapped[Decimal | None] = mapped_column(
        TOTAL, comment="hourly_sales less sales: the two come from different pipelines of Amazon."
    )
    daily_loads: Mapped[int] = mapped_column(
        comment="Number of the daily load it was made from; 0 for none."
    )
    hourly_loads: Mapped[int] = mapped_column(
        comment="Number of the hourly load it was made from; 0 for none."
    )
    daily_as_of: Mapped[datetime | None] = mapped_column(
        comment="When the daily report was asked for."
    )
    hourly_as_of: Mapped[datetime | None] = mapped_column(
        comment="When the hourly report was asked for."
    )
    summarized_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), comment="When this row was made."
    )

    __table_args__ = (
        _account(),
        CheckConstraint(
            "(acos IS NULL) = (spend IS NULL OR coalesce(sales, 0) = 0)", name="acos_where_sales"
        ),
        CheckConstraint(
            "(roas IS NULL) = (sales IS NULL OR coalesce(spend, 0) = 0)", name="roas_where_spend"
        ),
        CheckConstraint(
            "spend_difference IS NOT DISTINCT FROM hourly_spend - spend AND sales_difference IS NOT DISTINCT FROM hourly_sales - sales",
            name="differences_add_up",
        ),
        {
            "comment": "What each day of an account adds up to, by ad product, beside what its hours add up to."
        },
    )
