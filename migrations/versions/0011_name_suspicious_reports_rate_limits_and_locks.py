"""Name suspicious reports, rate limits and locks by these words.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_RENAME_IN_PRODUCT_STATES = r"""
UPDATE report_windows SET product_states = CAST(regexp_replace(CAST(product_states AS text), '"held_(\w+)":', '"suspicious_\1":', 'g') AS jsonb)
 WHERE CAST(product_states AS text) LIKE '%"held\_%'"""
# Postgres has a constraint for each NOT NULL from version 18 on. The index of a primary key is renamed with it.
_RENAME_CONSTRAINTS = """
DO $$
DECLARE part record;
BEGIN
    FOR part IN SELECT conrelid::regclass AS owner, conname AS name FROM pg_constraint
                 WHERE conrelid IN ('report_windows'::regclass, 'rate_limits'::regclass)
                   AND conname ~ 'api_lanes|windows_held_' LOOP
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', part.owner, part.name,
                       replace(replace(part.name, 'api_lanes', 'rate_limits'), 'windows_held_', 'windows_suspicious_'));
    END LOOP;
END $$"""


def upgrade() -> None:
    for name in ("digest", "rows", "count"):
        op.alter_column("report_windows", f"held_{name}", new_column_name=f"suspicious_{name}")
    op.alter_column("report_requests", "claimed_by", new_column_name="locked_by")
    op.rename_table("api_lanes", "rate_limits")
    op.execute(_RENAME_CONSTRAINTS)
    op.execute(_RENAME_IN_PRODUCT_STATES)
