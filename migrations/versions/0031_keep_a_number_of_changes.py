"""Bound the change log by its number of rows alone.

Revision ID: 0031
"""

from alembic import op

revision = "0031"
down_revision = "0030"
oldest_program = "0031"  # the newest migration that a program has to know


def upgrade() -> None:
    op.drop_column("session_changes", "published_at")  # and its index


def downgrade() -> None:
    raise NotImplementedError
