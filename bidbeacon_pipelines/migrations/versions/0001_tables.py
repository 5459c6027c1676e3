"""The tables as they were when this history began; empty databases get today's from the classes.

Revision ID: 0001
"""

revision = "0001"
down_revision = None
oldest_program = "0001"


def upgrade() -> None:
    pass
