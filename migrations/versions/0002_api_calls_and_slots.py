"""The ledger of calls to Amazon, lanes that all processes share, two slots an account, how often a window was held, whom a refusal concerns.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# What stands here is history: it is written out, and imports nothing of the packages, whose code goes on changing.
OPEN_REQUEST = "status IN ('planned', 'sent', 'in_flight', 'completed')"


def upgrade() -> None:
    _create_ledger_and_lanes()
    _give_slots()
    op.add_column(
        "report_windows", sa.Column("held_count", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("advertiser_accounts", sa.Column("needs_person_for", sa.Text(), nullable=True))
    op.execute("UPDATE advertiser_accounts SET needs_person_for = 'account' WHERE needs_person IS NOT NULL")
    op.create_check_constraint(
        op.f("ck_advertiser_accounts_needs_person_for_known"),
        "advertiser_accounts",
        "needs_person_for IN ('account', 'credentials')",
    )
    op.create_check_constraint(
        op.f("ck_advertiser_accounts_needs_person_for_something"),
        "advertiser_accounts",
        "(needs_person IS NULL) = (needs_person_for IS NULL)",
    )


def _create_ledger_and_lanes() -> None:
    op.create_table(
        "api_calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=True),
        sa.Column("country_code", sa.Text(), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("duration", sa.Interval(), nullable=False),
        sa.Column("queued", sa.Interval(), nullable=False),
        sa.Column("waited", sa.Interval(), nullable=False),
        sa.Column("retry_count", sa.SmallInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint("region IN ('NA', 'EU', 'FE')", name=op.f("ck_api_calls_region_known")),
        sa.CheckConstraint(
            "duration >= '0' AND queued >= '0' AND waited >= '0'", name=op.f("ck_api_calls_times_positive")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_calls")),
    )
    op.create_index(op.f("ix_api_calls_called_at"), "api_calls", ["called_at"])
    op.create_index("ix_api_calls_account", "api_calls", ["account_id", "called_at"])
    op.create_table(
        "api_lanes",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("call_class", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), server_default="", nullable=False),
        sa.Column("next_start_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("region IN ('NA', 'EU', 'FE')", name=op.f("ck_api_lanes_region_known")),
        sa.CheckConstraint(
            "call_class IN ('create', 'retrieve', 'exports', 'other')",
            name=op.f("ck_api_lanes_call_class_known"),
        ),
        sa.PrimaryKeyConstraint("region", "call_class", "account_id", name=op.f("pk_api_lanes")),
    )


def _give_slots() -> None:
    """Number the open requests of each ads account; there were never more than two."""
    op.add_column("report_requests", sa.Column("slot", sa.SmallInteger(), server_default="1", nullable=False))
    op.execute(f"""
        UPDATE report_requests r SET slot = n.slot
          FROM (SELECT id, row_number() OVER (PARTITION BY account_id ORDER BY id) AS slot
                  FROM report_requests WHERE {OPEN_REQUEST}) n
         WHERE n.id = r.id AND n.slot <> 1""")
    op.alter_column("report_requests", "slot", server_default=None)
    op.create_check_constraint(op.f("ck_report_requests_slot_known"), "report_requests", "slot IN (1, 2)")
    op.create_index(
        "uq_report_requests_slot",
        "report_requests",
        ["account_id", "slot"],
        unique=True,
        postgresql_where=sa.text(OPEN_REQUEST),
    )
