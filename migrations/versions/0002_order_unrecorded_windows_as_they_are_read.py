"""Order unrecorded windows as they are read.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_report_windows_unrecorded", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_report_windows_unrecorded",
            "report_windows",
            ["account_id", "country_code", "dataset", sa.text("window_date DESC")],
            postgresql_concurrently=True,
            postgresql_where=sa.text("recorded_load_count < load_count"),
        )
