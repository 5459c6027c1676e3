"""Finds the rights to read that the database role of this process lacks."""

from sqlalchemy import Connection, text

_MISSING = text("""
    SELECT concat_ws(' ',
                     CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE')
                          THEN format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, current_user) END,
                     CASE WHEN NOT has_table_privilege(c.oid, 'SELECT')
                          THEN format('GRANT SELECT ON %I.%I TO %I;', n.nspname, c.relname, current_user) END)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = coalesce(:schema, current_schema()) AND c.relname = :table""")


def find_missing_grant(connection: Connection, table: str, schema: str | None = None) -> str | None:
    """Return the SQL that lets this role read a table; None where it may read it, or where there is no such table.

    Args:
        connection: of the role in question.
        table: its name.
        schema: where it is; absent: where our tables are.
    """
    found: str | None = connection.execute(_MISSING, {"schema": schema, "table": table}).scalar()
    return found or None
