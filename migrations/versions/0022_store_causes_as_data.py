"""Store causes as data: a code with parameters in place of sentences, which readers grouped by parsing them.

Revision ID: 0022
"""

from alembic import op

revision = "0022"
down_revision = "0021"
oldest_program = "0022"  # programs before it write the sentences

_BECOMES_CAUSE = {
    "report_windows": "failure_reason",
    "report_requests": "failure_reason",
    "ads_accounts": "needs_attention",
    "quarantined_rows": "reason",
    "entity_problems": "reason",
    "entity_exports": "failure",
}
"""Which column held the sentence."""


def upgrade() -> None:
    for table, column in _BECOMES_CAUSE.items():
        op.execute(f"""
            ALTER TABLE {table} ALTER {column} TYPE jsonb
            USING CASE WHEN {column} IS NOT NULL
                       THEN jsonb_build_object('code', 'other', 'detail', jsonb_build_object('reason', {column})) END""")
        if table != "ads_accounts":
            op.alter_column(table, column, new_column_name="cause")
    for table in ("quarantined_rows", "entity_problems"):  # PostgreSQL 18 names the constraint
        op.alter_column(table, "cause", nullable=True)
        op.alter_column(table, "cause", nullable=False)
    for table in ("report_windows", "report_requests"):
        op.create_check_constraint(
            f"ck_{table}_cause_is_an_object", table, "jsonb_typeof(cause) = 'object'"
        )
    op.create_check_constraint(
        "ck_ads_accounts_needs_attention_is_a_cause",
        "ads_accounts",
        "jsonb_typeof(needs_attention) = 'object'",
    )
    op.drop_column("report_requests", "failure_code")
