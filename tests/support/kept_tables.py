"""Tables that are put back as they were, which is faster than a fresh database for each of many tests."""

from collections.abc import Sequence

from sqlalchemy import Engine, text

_COLUMNS = text("""
    SELECT string_agg(column_name, ', ') FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = :table AND is_generated = 'NEVER'""")


def keep_tables(engine: Engine, tables: Sequence[str]) -> None:
    """Keep a copy of each table."""
    with engine.begin() as connection:
        for table in tables:
            connection.execute(text(f"CREATE TABLE kept_{table} AS TABLE {table}"))


def put_back(engine: Engine, kept: Sequence[str], emptied: Sequence[str] = ()) -> None:
    """Empty some tables, and put kept ones back; each is named before those that refer to it."""
    with engine.begin() as connection:
        for table in (*emptied, *reversed(kept)):
            # Much faster than TRUNCATE, for tables this small.
            connection.execute(text(f"DELETE FROM {table}"))
        for table in kept:
            columns = connection.execute(_COLUMNS, {"table": table}).scalar_one()
            copy = f"SELECT {columns} FROM kept_{table}"
            connection.execute(
                text(f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE {copy}")
            )
