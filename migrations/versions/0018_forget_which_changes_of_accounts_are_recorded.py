"""Forget which changes of accounts are recorded: each is recorded where it is made.

Revision ID: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"
oldest_program = "0018"  # the newest migration that a program has to know


def upgrade() -> None:
    for column in ("next_look_of", "recorded_cadence", "recorded_alias"):
        op.drop_column("ads_accounts", column)
