"""Sessions are found by the words of their actions, and by job and account at once.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index(
        "ix_session_actions_words",
        "session_actions",
        [sa.text("(to_tsvector('simple', type) || jsonb_to_tsvector('simple', payload, '[\"string\"]'))")],
        postgresql_using="gin",
    )
    op.create_index(
        op.f("ix_session_headers_job_name_account_key_started_at_id"),
        "session_headers",
        ["job_name", "account_key", "started_at", "id"],
    )
