"""SQL on Dagster's own tables: which accounts are partitions.

They have no promise; tests keep this statement to the version we use.
"""

from sqlalchemy import Connection, text

PARTITIONS_NAME = "accounts"
"""What Dagster keeps the accounts' partitions under."""


def list_account_partitions(connection: Connection) -> set[str]:
    """Return the keys of the accounts that are partitions; none where Dagster never ran on this database."""
    has_table = connection.execute(
        text("SELECT to_regclass('dagster.dynamic_partitions') IS NOT NULL")
    )
    if not has_table.scalar():
        return set()
    rows = connection.execute(
        text("SELECT partition FROM dagster.dynamic_partitions WHERE partitions_def_name = :name"),
        {"name": PARTITIONS_NAME},
    )
    return set(rows.scalars())
