"""The schema from PostgreSQL's catalogs, with everything that Alembic does not compare."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

Catalog = Mapping[tuple[str, str, str], str]
"""Definitions by kind of object, table or view, and name."""

# Only views have ordered columns, in their definition; the order of a table's is ignored.
_CATALOG = text("""
    WITH tables AS (
        SELECT oid, CAST(CAST(oid AS regclass) AS text) AS relname, relkind, reloptions
          FROM pg_class
         WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition AND relname <> 'alembic_version'
           AND relnamespace IN (to_regnamespace('public'), to_regnamespace('reports')))
    SELECT 'table' AS kind, relname AS "table", relname AS name,
           concat_ws(' ', pg_get_partkeydef(oid), reloptions, obj_description(oid, 'pg_class'),
                     CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
      FROM tables
     UNION ALL
    SELECT 'column', relname, attname,
           concat_ws(' ', format_type(atttypid, atttypmod), attcollation::regcollation,
                     CASE WHEN attnotnull THEN 'NOT NULL' END,
                     'identity ' || nullif(CAST(attidentity AS text), ''),
                     'generated ' || nullif(CAST(attgenerated AS text), ''),
                     pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
      FROM tables t JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     UNION ALL
    SELECT CASE contype WHEN 'c' THEN 'check' ELSE 'constraint' END, relname, conname,
           pg_get_constraintdef(c.oid)
      FROM tables t JOIN pg_constraint c ON conrelid = t.oid AND contype <> 'n'
     UNION ALL
    SELECT 'index', relname, indexrelid::regclass::text, pg_get_indexdef(indexrelid)
      FROM tables t JOIN pg_index ON indrelid = t.oid
     UNION ALL
    SELECT 'function', '', CAST(CAST(oid AS regprocedure) AS text), pg_get_functiondef(oid)
      FROM pg_proc WHERE pronamespace = to_regnamespace('public')""")


def read_catalog(connection: Connection) -> Catalog:
    """Return the definitions of all objects of the schema, without partitions."""
    rows = connection.execute(_CATALOG)
    return {(kind, table, name): definition for kind, table, name, definition in rows}


def describe_differences(stored: Catalog, wanted: Catalog) -> list[str]:
    """Return a line for each object that differs or is in only one of two databases."""
    return [
        f"{kind} {name} of {table}: expected {_shown(wanted, key)}, got: {_shown(stored, key)}"
        for key in sorted(stored.keys() | wanted.keys())
        if stored.get(key) != wanted.get(key)
        for kind, table, name in [key]
    ]


def _shown(catalog: Catalog, key: tuple[str, str, str]) -> str:
    return repr(catalog[key]) if key in catalog else "nothing"
