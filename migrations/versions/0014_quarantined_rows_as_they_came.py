"""A quarantined row is the text that the report had, not JSON with marks of ours in it.

The marks were ambiguous: a report's own `{"decimal": "1.5"}` was read as a number. Rows that are there keep their marks, which a replay
does not read any more; the next report of their window replaces them.

Revision ID: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("ALTER TABLE quarantined_rows ALTER COLUMN raw TYPE text")
