"""The table of account days."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import TOTAL, TOTAL_COUNT, PipelinesBase
from bidbeacon_pipelines.database.base import account_reference as _account
from bidbeacon_pipelines.database.base import amazon_id as _id


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
