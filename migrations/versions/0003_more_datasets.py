"""Rows told by more than a target, hourly rows, and windows that are kept for each dataset by itself.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# What stands here is history: it is written out, and imports nothing of the packages, whose code goes on changing.
UNRESOLVED_IS_NAMED = "resolved OR (target_value IS NOT NULL AND match_type IS NOT NULL)"
KEY_OF_DAY = ["account_id", "country_code", "dataset", "window_date", "ad_id", "entity_id", "entity_detail"]


def upgrade() -> None:
    _create_dataset_windows()
    _widen_daily_rows()
    _create_hourly_rows()
    op.add_column("restatements", sa.Column("hour_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "restatements",
        sa.Column("entity_detail", sa.Text(collation="C"), server_default="", nullable=False),
    )


def _create_dataset_windows() -> None:
    """Until now there was one dataset, and the account itself said up to where its windows exist."""
    op.create_table(
        "dataset_windows",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("through_date", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_dataset_windows_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", "dataset", name=op.f("pk_dataset_windows")),
    )
    op.execute("""
        INSERT INTO dataset_windows (account_id, country_code, dataset, through_date)
        SELECT account_id, country_code, 'daily_targets', windows_through_date
          FROM advertiser_accounts WHERE windows_through_date IS NOT NULL""")
    op.drop_column("advertiser_accounts", "windows_through_date")


def _widen_daily_rows() -> None:
    op.add_column(
        "performance_daily",
        sa.Column("entity_detail", sa.Text(collation="C"), server_default="", nullable=False),
    )
    op.alter_column("performance_daily", "target_value", nullable=True)
    op.alter_column("performance_daily", "match_type", nullable=True)
    op.create_check_constraint(
        op.f("ck_performance_daily_unresolved_is_named"), "performance_daily", UNRESOLVED_IS_NAMED
    )
    op.drop_constraint(op.f("pk_performance_daily"), "performance_daily")
    op.create_primary_key(op.f("pk_performance_daily"), "performance_daily", [*KEY_OF_DAY, "currency_code"])


def _create_hourly_rows() -> None:
    op.create_table(
        "performance_hourly",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=False),
        sa.Column("hour_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ad_id", sa.Text(collation="C"), nullable=False),
        sa.Column("entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("entity_detail", sa.Text(collation="C"), server_default="", nullable=False),
        sa.Column("currency_code", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("campaign_name", sa.Text(), nullable=True),
        sa.Column("ad_group_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ad_group_name", sa.Text(), nullable=True),
        sa.Column("target_value", sa.Text(), nullable=True),
        sa.Column("match_type", sa.Text(), nullable=True),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("impressions", sa.BigInteger(), nullable=True),
        sa.Column("clicks", sa.BigInteger(), nullable=True),
        sa.Column("orders", sa.BigInteger(), nullable=True),
        sa.Column("sales", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("spend", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "impressions >= 0 AND clicks >= 0 AND orders >= 0",
            name=op.f("ck_performance_hourly_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "sales >= 0 AND spend >= 0", name=op.f("ck_performance_hourly_amounts_not_negative")
        ),
        sa.CheckConstraint(
            "sales <> 'NaN' AND spend <> 'NaN'", name=op.f("ck_performance_hourly_amounts_are_numbers")
        ),
        sa.CheckConstraint(UNRESOLVED_IS_NAMED, name=op.f("ck_performance_hourly_unresolved_is_named")),
        sa.CheckConstraint(
            "extract(epoch FROM hour_at) % 900 = 0", name=op.f("ck_performance_hourly_hour_begins")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_performance_hourly_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            *[*KEY_OF_DAY[:4], "hour_at", *KEY_OF_DAY[4:], "currency_code"],
            name=op.f("pk_performance_hourly"),
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_performance_hourly_unresolved",
        "performance_hourly",
        ["account_id", "country_code", "ad_group_id"],
        unique=False,
        postgresql_where=sa.text("NOT resolved"),
    )
