"""Store which programs may use the tables.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.alter_column("installation", "mode", existing_type=sa.Text(), nullable=True)
    op.add_column("installation", sa.Column("oldest_program", sa.Text(), nullable=True))
    op.execute("""
        INSERT INTO installation (oldest_program) VALUES ('0013')
            ON CONFLICT (only_row) DO UPDATE SET oldest_program = excluded.oldest_program""")
    op.alter_column("installation", "oldest_program", existing_type=sa.Text(), nullable=False)
