"""Functions and views are replaced, in one transaction, where a database has an older version of them.

PostgreSQL replaces a view to which columns are only appended. Where other columns change, the view
is dropped and created anew, and gets the grants of the one before. They are stored before the first
migration, which may drop a view, until the views are replaced, so that an upgrade may end in between.
"""

import json
from typing import Any, Final

from psycopg.errors import InvalidFunctionDefinition, InvalidTableDefinition
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bidbeacon_pipelines.database.schema import VIEWS_VERSION
from bidbeacon_pipelines.migrations.create import list_views, run

_NOT_REPLACEABLE: Final = (InvalidTableDefinition, InvalidFunctionDefinition)
"""The errors of a `CREATE OR REPLACE` that would change columns of a view or the result of a function."""
Grant = dict[str, Any]
"""A privilege of a role on a function, a view or a column of a view."""

# Names are compared, not looked up, which would take rights on the schema.
_GRANTS = text("""
    WITH granted AS (
        SELECT oid, relnamespace AS schema, relname AS object, '' AS kind, NULL AS column_name,
               relowner AS owner, coalesce(relacl, acldefault('r', relowner)) AS acl
          FROM pg_class
         UNION ALL
        SELECT c.oid, relnamespace, relname, '', attname, relowner, attacl
          FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
         UNION ALL
        SELECT oid, pronamespace, proname, 'FUNCTION ', NULL,
               proowner, coalesce(proacl, acldefault('f', proowner))
          FROM pg_proc)
    SELECT g.oid, name, column_name, grantee = owner AS is_owner, is_grantable,
           coalesce(quote_ident(rolname), 'PUBLIC') AS grantee,
           concat(privilege_type, ' (' || quote_ident(column_name) || ')', ' ON ', kind, name) AS privilege
      FROM granted g JOIN pg_namespace s ON s.oid = schema
     CROSS JOIN concat_ws('.', nullif(nspname, 'public'), object) AS name
     CROSS JOIN aclexplode(acl)
      LEFT JOIN pg_roles r ON r.oid = grantee
     WHERE name = ANY(:names)""")


def _read_grants(connection: Connection) -> list[Grant]:
    """Return the grants on all functions and views."""
    names = [view.split()[1] for view in list_views()]
    return [dict(row) for row in connection.execute(_GRANTS, {"names": names}).mappings()]


_READ = text("SELECT views_version, grants FROM public.installation")
_NOTE = text("UPDATE public.installation SET grants = CAST(:grants AS jsonb)")


def note_grants(connection: Connection) -> None:
    """Store the grants on functions and views that are older than this program's.

    Grants on views that an unfinished upgrade dropped are kept.
    """
    version, noted = connection.execute(_READ).one()
    if version >= VIEWS_VERSION:
        return
    now = _read_grants(connection)
    existing = {grant["name"] for grant in now}
    dropped = [grant for grant in noted or () if grant["name"] not in existing]
    connection.execute(_NOTE, {"grants": json.dumps([*now, *dropped])})


def replace_views(connection: Connection) -> None:
    """Replace functions and views where they are older than this program's; they keep the grants that are noted.

    Args:
        connection: A connection in a transaction.
    """
    version, noted = connection.execute(_READ).one()
    if version >= VIEWS_VERSION:
        return
    for name, sql in list_views().items():
        _replace(connection, name, sql)
    _grant_again(connection, noted)
    run(
        connection,
        f"UPDATE public.installation SET views_version = {VIEWS_VERSION}, grants = NULL",
    )


def _replace(connection: Connection, name: str, sql: str) -> None:
    try:
        with connection.begin_nested():
            run(connection, sql.replace("CREATE ", "CREATE OR REPLACE ", 1))
    except DBAPIError as error:
        if not isinstance(error.orig, _NOT_REPLACEABLE):
            raise
        _drop(connection, name)
        run(connection, sql)


_USERS = text("""
    WITH RECURSIVE users (class, object) AS (
        SELECT CAST('pg_class' AS regclass), CAST(to_regclass(:name) AS oid)
         UNION
        SELECT CAST('pg_proc' AS regclass), CAST(to_regproc(:name) AS oid)
         UNION
        SELECT CAST('pg_class' AS regclass), ev_class
          FROM users JOIN pg_depend ON refclassid = class AND refobjid = object
          JOIN pg_rewrite r ON classid = CAST('pg_rewrite' AS regclass) AND r.oid = objid)
    SELECT concat('VIEW ', CAST(object AS regclass)) FROM users""")
"""The views that use a function or view, itself among them."""


def _drop(connection: Connection, name: str) -> None:
    """Drop a function or view of ours, and those of ours that use it."""
    users = connection.execute(_USERS, {"name": name.split()[1]}).scalars().all()
    for view in reversed(list_views()):
        if view in {name, *users}:
            run(connection, f"DROP {view}")


_IS_POSSIBLE = text("""
    SELECT (:grantee = 'PUBLIC' OR to_regrole(:grantee) IS NOT NULL)
       AND (CAST(:column_name AS text) IS NULL OR EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = :column_name))""")
"""Whether the role and the column of a grant still exist."""


def _grant_again(connection: Connection, before: list[Grant]) -> None:
    """Restore exactly the former grants on functions and views that were created anew."""
    now = _read_grants(connection)
    objects = {(grant["name"], grant["oid"]) for grant in now}
    anew = {grant["name"] for grant in before if (grant["name"], grant["oid"]) not in objects}
    for grant in now:
        if grant["name"] in anew and not grant["is_owner"]:
            run(connection, f"REVOKE {grant['privilege']} FROM {grant['grantee']}")
    for grant in before:
        if grant["name"] in anew and connection.execute(_IS_POSSIBLE, grant).scalar_one():
            option = " WITH GRANT OPTION" if grant["is_grantable"] else ""
            run(connection, f"GRANT {grant['privilege']} TO {grant['grantee']}{option}")
