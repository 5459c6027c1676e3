"""Find old restatements.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "ix_restatements_day",
        "restatements",
        ["window_date"],
        unique=False,
        postgresql_using="brin",
    )
