"""Name stopped accounts by three words: paused, disabled, needs attention.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
oldest_program = "0019"  # the newest migration that a program has to know


def upgrade() -> None:
    for suffix in ("", "_for", "_since"):
        op.alter_column(
            "ads_accounts", f"needs_person{suffix}", new_column_name=f"needs_attention{suffix}"
        )
    for suffix in ("for_known", "for_something"):
        op.execute(
            f"ALTER TABLE ads_accounts RENAME CONSTRAINT ck_ads_accounts_needs_person_{suffix}"
            f" TO ck_ads_accounts_needs_attention_{suffix}"
        )
    op.add_column(
        "advertiser_accounts",
        sa.Column(
            "paused",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether a person has paused it: its reports and entities are not kept up to date.",
        ),
    )
    op.execute("UPDATE advertiser_accounts SET paused = true WHERE NOT enabled")
    op.drop_column("advertiser_accounts", "enabled")
    op.create_check_constraint(
        op.f("ck_advertiser_accounts_paused_while_paused"),
        "advertiser_accounts",
        "paused OR paused_by IS NULL",
    )
    for table, column in (("session_references", "effect"), ("session_actions", "type")):
        op.execute(
            f"UPDATE {table} SET {column} = replace({column}, 'needs-person', 'needs-attention')"
            f" WHERE {column} LIKE '%needs-person'"
        )
