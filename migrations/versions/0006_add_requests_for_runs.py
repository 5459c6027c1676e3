"""Add requests for runs.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "run_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "windows", postgresql.ARRAY(sa.Date()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'load-windows') = (dataset <> '' AND cardinality(windows) > 0)",
            name=op.f("ck_run_requests_loads_name_windows"),
        ),
        sa.CheckConstraint(
            "kind IN ('load-windows', 'sync-entities')", name=op.f("ck_run_requests_kind_known")
        ),
        sa.CheckConstraint(
            "failure IS NULL OR finished_at IS NOT NULL",
            name=op.f("ck_run_requests_failed_has_end"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_run_requests_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_requests")),
    )
    op.create_index(
        "ix_run_requests_account",
        "run_requests",
        ["account_id", "country_code", "requested_at"],
        unique=False,
    )
    op.create_index(
        "uq_run_requests_open",
        "run_requests",
        ["account_id", "country_code", "kind", "dataset", "windows"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
