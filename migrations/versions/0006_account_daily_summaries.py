"""What each account's days add up to, with the ratios that people look at.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "account_daily_summaries",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("summary_date", sa.Date(), nullable=False),
        sa.Column("currency_code", sa.Text(), nullable=False),
        *_metrics(""),
        sa.Column("acos", sa.Numeric(), nullable=True),
        sa.Column("roas", sa.Numeric(), nullable=True),
        *_metrics("hourly_"),
        sa.Column("spend_difference", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("sales_difference", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("daily_loads", sa.BigInteger(), nullable=False),
        sa.Column("hourly_loads", sa.BigInteger(), nullable=False),
        sa.Column("daily_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hourly_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "summarized_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "(acos IS NULL) = (spend IS NULL OR coalesce(sales, 0) = 0)",
            name=op.f("ck_account_daily_summaries_acos_where_sales"),
        ),
        sa.CheckConstraint(
            "(roas IS NULL) = (sales IS NULL OR coalesce(spend, 0) = 0)",
            name=op.f("ck_account_daily_summaries_roas_where_spend"),
        ),
        sa.CheckConstraint(
            "spend_difference IS NOT DISTINCT FROM hourly_spend - spend AND sales_difference IS NOT DISTINCT FROM hourly_sales - sales",
            name=op.f("ck_account_daily_summaries_differences_add_up"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_account_daily_summaries_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id",
            "country_code",
            "summary_date",
            "currency_code",
            name=op.f("pk_account_daily_summaries"),
        ),
    )


def _metrics(prefix: str) -> list[sa.Column]:
    return [
        sa.Column(f"{prefix}impressions", sa.BigInteger(), nullable=True),
        sa.Column(f"{prefix}clicks", sa.BigInteger(), nullable=True),
        sa.Column(f"{prefix}orders", sa.BigInteger(), nullable=True),
        sa.Column(f"{prefix}sales", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column(f"{prefix}spend", sa.Numeric(precision=20, scale=6), nullable=True),
    ]
