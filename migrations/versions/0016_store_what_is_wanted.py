"""Store who wants windows and entities, and since when, in place of requests for runs.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
oldest_program = "0016"  # the newest migration that a program has to know


def upgrade() -> None:
    op.drop_table("run_requests")
    op.drop_column("report_windows", "wanted_by")  # the id of a session, and its index
    op.add_column("report_windows", sa.Column("wanted_by", sa.Text()))
    op.add_column("report_windows", sa.Column("wanted_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_report_windows_asked",
        "report_windows",
        ["account_id", "country_code"],
        postgresql_where=sa.text("request_id IS NOT NULL OR wanted_by IS NOT NULL"),
    )
    op.create_check_constraint(
        op.f("ck_report_windows_wanted_since"),
        "report_windows",
        "(wanted_by IS NULL) = (wanted_at IS NULL)",
    )
    who = "Who asked for a sync of its entities that has not ended."
    op.add_column("advertiser_accounts", sa.Column("entities_wanted_by", sa.Text(), comment=who))
    op.add_column(
        "advertiser_accounts",
        sa.Column(
            "entities_wanted_at",
            sa.DateTime(timezone=True),
            comment="When that sync was asked for.",
        ),
    )
    op.create_check_constraint(
        op.f("ck_advertiser_accounts_entities_wanted_since"),
        "advertiser_accounts",
        "(entities_wanted_by IS NULL) = (entities_wanted_at IS NULL)",
    )
