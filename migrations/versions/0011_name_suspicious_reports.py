"""Name suspicious reports by this word.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_RENAME_IN_PRODUCT_STATES = r"""
UPDATE report_windows SET product_states = CAST(regexp_replace(CAST(product_states AS text), '"held_(\w+)":', '"suspicious_\1":', 'g') AS jsonb)
 WHERE CAST(product_states AS text) LIKE '%"held\_%'"""
# Postgres has a constraint for each NOT NULL from version 18 on.
_RENAME_NOT_NULLS = """
DO $$
DECLARE part record;
BEGIN
    FOR part IN SELECT conname AS name FROM pg_constraint WHERE conrelid = 'report_windows'::regclass AND conname LIKE '%held%' LOOP
        EXECUTE format('ALTER TABLE report_windows RENAME CONSTRAINT %I TO %I', part.name, replace(part.name, 'held', 'suspicious'));
    END LOOP;
END $$"""


def upgrade() -> None:
    for name in ("digest", "rows", "count"):
        op.alter_column("report_windows", f"held_{name}", new_column_name=f"suspicious_{name}")
    op.execute(_RENAME_NOT_NULLS)
    op.execute(_RENAME_IN_PRODUCT_STATES)
