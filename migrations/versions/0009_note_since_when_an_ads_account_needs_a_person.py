"""Note since when an ads account needs a person.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column(
        "ads_accounts", sa.Column("needs_person_since", sa.DateTime(timezone=True), nullable=True)
    )
