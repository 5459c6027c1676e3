"""The start of the migrations. Empty databases get their tables from the table classes.

Revision ID: 0001
"""

revision = "0001"
down_revision = None
oldest_program = "0001"


def upgrade() -> None:
    pass
