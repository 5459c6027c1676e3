"""Add aliases of ads accounts.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_IS_PLAIN = (
    r"alias = btrim(alias) AND char_length(alias) BETWEEN 1 AND 80 AND alias !~ '[\x01-\x1f\x7f]'"
)


def upgrade() -> None:
    op.add_column("ads_accounts", sa.Column("alias", sa.Text(), nullable=True))
    op.create_check_constraint("ck_ads_accounts_alias_is_plain", "ads_accounts", _IS_PLAIN)
