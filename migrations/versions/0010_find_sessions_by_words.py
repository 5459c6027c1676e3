"""Sessions are found by the words of their actions, and by job and account at once.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

WORDS = "(to_tsvector('simple', type) || jsonb_to_tsvector('simple', payload, '[\"string\"]'))"


def upgrade() -> None:
    # Sessions go on being written while these are built. A build that was interrupted leaves an invalid index: away with it.
    job_and_account = op.f("ix_session_headers_job_name_account_key_started_at_id")
    with op.get_context().autocommit_block():
        op.drop_index("ix_session_actions_words", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_session_actions_words",
            "session_actions",
            [sa.text(WORDS)],
            postgresql_using="gin",
            postgresql_concurrently=True,
        )
        op.drop_index(job_and_account, postgresql_concurrently=True, if_exists=True)
        op.create_index(
            job_and_account,
            "session_headers",
            ["job_name", "account_key", "started_at", "id"],
            postgresql_concurrently=True,
        )
