"""When quarantined rows were added to a window, so that its day is summed up again; which windows are asked for, by index.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("report_windows", sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_report_windows_asked",
        "report_windows",
        ["account_id", "country_code"],
        postgresql_where=sa.text("request_id IS NOT NULL OR wanted_by IS NOT NULL"),
    )
