"""Store whose data a database holds: the sandbox's or the real Amazon's.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_installation_only_row")),
        sa.CheckConstraint("mode IN ('sandbox', 'real')", name=op.f("ck_installation_mode_known")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_installation")),
    )
