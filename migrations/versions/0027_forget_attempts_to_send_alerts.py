"""Forget how often a receiver of alerts was tried, since the time for which it fails says when it is tried next; and who looked last for findings.

Revision ID: 0027
"""

from alembic import op

revision = "0027"
down_revision = "0026"
oldest_program = "0027"  # the newest migration that a program has to know


def upgrade() -> None:
    op.drop_column("alert_receivers", "attempts")
    op.drop_table("alert_watch")
