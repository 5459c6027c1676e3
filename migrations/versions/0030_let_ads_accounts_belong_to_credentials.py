"""Store which credentials list an ads account and who chose between them, and by which credential a call was made.

Revision ID: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
oldest_program = "0029"  # the newest migration that a program has to know


def upgrade() -> None:
    # Ads accounts have belonged to the credential "default" so far, the only one.
    op.add_column("ads_accounts", sa.Column("credential_by", sa.Text()))
    listed_by = sa.Column(
        "listed_by", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
    )
    op.add_column("ads_accounts", listed_by)
    made_by = sa.Column("credential", sa.Text(), server_default="default", nullable=False)
    op.add_column("api_calls", made_by)
