"""Time the steps of report requests.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.add_column(
        "report_loads", sa.Column("first_days", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.create_index("ix_report_loads_loaded", "report_loads", ["loaded_at"], unique=False)
    op.add_column("report_requests", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "report_requests", sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index("ix_report_requests_finished", "report_requests", ["finished_at"], unique=False)
