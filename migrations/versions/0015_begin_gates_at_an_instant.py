"""Begin gates at an instant instead of at minus infinity, which Python cannot read.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.execute("UPDATE report_gates SET next_create_at = now() WHERE next_create_at = '-infinity'")
