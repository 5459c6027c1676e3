"""Each account's own cadence, and an index that finds the accounts with due work among millions of windows.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("advertiser_accounts", sa.Column("refresh_every", sa.Interval(), nullable=True))
    op.add_column("advertiser_accounts", sa.Column("refresh_cron", sa.Text(), nullable=True))
    op.add_column("advertiser_accounts", sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("advertiser_accounts", sa.Column("next_look_of", sa.Text(), nullable=True))
    op.add_column("advertiser_accounts", sa.Column("last_look_at", sa.DateTime(timezone=True), nullable=True))
    for name, rule in {
        "refresh_every_in_reach": "refresh_every BETWEEN '5 minutes' AND '31 days'",
        "refresh_cron_has_five": "refresh_cron ~ '^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$'",
        "one_cadence": "num_nonnulls(refresh_every, refresh_cron) <= 1",
    }.items():
        op.create_check_constraint(op.f(f"ck_advertiser_accounts_{name}"), "advertiser_accounts", rule)
    op.drop_index("ix_report_windows_due", "report_windows")
    op.create_index(
        "ix_report_windows_due",
        "report_windows",
        ["account_id", "country_code", "next_refresh_at"],
        postgresql_where=sa.text("next_refresh_at IS NOT NULL AND request_id IS NULL"),
    )
    op.create_index(
        "ix_report_windows_unresolved",
        "report_windows",
        ["account_id", "country_code", "data_as_of"],
        postgresql_where=sa.text("unresolved_count > 0"),
    )
