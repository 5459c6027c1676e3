"""How often in a row Amazon has refused an account: one odd answer is no reason to stop asking for it.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column(
        "advertiser_accounts",
        sa.Column("refusals", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_advertiser_accounts_refusals_counted"), "advertiser_accounts", "refusals >= 0"
    )
