"""Share access tokens between processes, and keep rate limits apart by client.

Revision ID: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
oldest_program = "0026"  # the newest migration that a program has to know


def upgrade() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("access_token", sa.Text(), nullable=False),
        sa.Column("renew_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_access_tokens")),
    )
    op.execute("DELETE FROM rate_limits")
    op.add_column("rate_limits", sa.Column("client_id", sa.Text(), nullable=False))
    op.drop_constraint("pk_rate_limits", "rate_limits", type_="primary")
    op.create_primary_key(
        "pk_rate_limits", "rate_limits", ["client_id", "region", "call_class", "account_id"]
    )
    op.drop_constraint(op.f("ck_rate_limits_call_class_known"), "rate_limits", type_="check")
    op.create_check_constraint(
        op.f("ck_rate_limits_call_class_known"),
        "rate_limits",
        "call_class IN ('create', 'retrieve', 'exports', 'download', 'token', 'other')",
    )


def downgrade() -> None:
    raise NotImplementedError
