"""Find the parts of a refused report.

Revision ID: 0032
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.create_index(
        "ix_report_requests_narrows",
        "report_requests",
        ["narrows"],
        unique=False,
        postgresql_where=sa.text("narrows IS NOT NULL"),
    )
