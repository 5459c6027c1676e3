"""Record who changed accounts.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("advertiser_accounts", sa.Column("paused_by", sa.Text(), nullable=True))
    op.add_column(
        "advertiser_accounts", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_check_constraint(
        "ck_advertiser_accounts_paused_by_somebody",
        "advertiser_accounts",
        "(paused_by IS NULL) = (paused_at IS NULL)",
    )
    op.add_column("ads_accounts", sa.Column("recorded_cadence", sa.Text(), nullable=True))
    op.add_column("ads_accounts", sa.Column("cadence_by", sa.Text(), nullable=True))
    op.add_column(
        "ads_accounts", sa.Column("cadence_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("ads_accounts", sa.Column("recorded_alias", sa.Text(), nullable=True))
