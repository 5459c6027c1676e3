"""By how much simulations move the time that decisions are made by.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "simulated_time",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("ahead_by", sa.Interval(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_simulated_time_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_simulated_time")),
    )
