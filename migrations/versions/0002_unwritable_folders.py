"""Store which folders a host can't write.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.create_table(
        "unwritable_folders",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("host", "folder", name=op.f("pk_unwritable_folders")),
    )
