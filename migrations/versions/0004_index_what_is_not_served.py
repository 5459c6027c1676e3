"""index what is not served.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.drop_index("ix_report_windows_not_served", "report_windows")
    op.create_index(
        "ix_report_windows_not_served",
        "report_windows",
        ["account_id", "country_code", "dataset", "not_served", "window_date"],
        unique=False,
        postgresql_include=["expires_at", "not_served_since", "last_loaded_at"],
        postgresql_where=sa.text("not_served <> '{}'"),
    )
