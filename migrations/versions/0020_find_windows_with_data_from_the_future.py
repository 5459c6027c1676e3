"""Find windows with data from the future, which a wrong clock stored: they are due.

Revision ID: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.create_index(
        "ix_report_windows_final",
        "report_windows",
        ["data_as_of"],
        postgresql_where=sa.text("next_refresh_at IS NULL AND data_as_of IS NOT NULL"),
    )
