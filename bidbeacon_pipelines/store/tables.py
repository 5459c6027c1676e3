"""The tables of the pipelines.

`…_at` is an instant in UTC; `…_date` a calendar day of the account's own time zone.

Every table that holds an account's data has `account_id` and `country_code`: Amazon's ids are
unique in neither alone. Ids are text in "C" order (they sort and compare as bytes), money is
`numeric(20, 6)` in the row's own currency.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, Numeric, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import TOTAL, TOTAL_COUNT, PipelinesBase
from bidbeacon_pipelines.database.base import account_reference as _account
from bidbeacon_pipelines.database.base import amazon_id as _id
from bidbeacon_pipelines.entities import tables as entity_tables  # noqa: F401 - their classes belong to the same metadata


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
