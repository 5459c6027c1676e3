"""What Amazon's answers have taught: the names of fields, and how long a report may be;
windows whose report had no rows where it should have some; and what became of each row of a report.

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0014"

_COUNTS = (
    "rows_read",
    "rows_loaded",
    "rows_summed",
    "rows_quarantined",
    "rows_withheld",
    "rows_not_waited_for",
)


def upgrade() -> None:
    op.create_table(
        "field_spellings",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("spelling", sa.Text(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("region", "field", name=op.f("pk_field_spellings")),
        sa.CheckConstraint("region IN ('NA', 'EU', 'FE')", name=op.f("ck_field_spellings_region_known")),
    )
    op.create_table(
        "report_limits",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("longest_period_days", sa.SmallInteger(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "dataset", name=op.f("pk_report_limits")),
        sa.CheckConstraint("longest_period_days >= 1", name=op.f("ck_report_limits_longest_period_is_a_day")),
    )
    op.drop_constraint(op.f("ck_report_windows_status_known"), "report_windows", type_="check")
    op.create_check_constraint(
        op.f("ck_report_windows_status_known"),
        "report_windows",
        "status IN ('missing', 'requested', 'unconfirmed', 'loaded', 'failed', 'expired')",
    )
    op.create_table(
        "report_loads",
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("request_id", "account_id", "country_code", name=op.f("pk_report_loads")),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_report_loads_account_id_country_code"),
        ),
        sa.CheckConstraint(
            f"rows_read = {' + '.join(_COUNTS[1:])}", name=op.f("ck_report_loads_every_row_is_counted")
        ),
        sa.CheckConstraint(
            f"least({', '.join(_COUNTS[1:])}) >= 0", name=op.f("ck_report_loads_counts_not_negative")
        ),
    )
