"""Replace functions and views that are older than this program's, in one transaction.

PostgreSQL can replace a view if columns are only appended, and a function if its arguments and
result stay the same. All others are dropped and created again with their previous grants.
Migrations may drop views, so the grants are stored in the database before the first migration, and
removed after all views are replaced. Therefore no grant is lost if an upgrade is interrupted.
"""

from typing import Final

from psycopg.errors import (
    AmbiguousFunction,
    InvalidFunctionDefinition,
    InvalidTableDefinition,
    UndefinedColumn,
    UndefinedObject,
)
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bidbeacon_pipelines.database.schema import VIEWS_VERSION
from bidbeacon_pipelines.migrations.create import list_views, run

_NOT_REPLACEABLE: Final = (InvalidTableDefinition, InvalidFunctionDefinition, AmbiguousFunction)
"""Errors of a replacement that would change a view's columns or a function's signature."""
_NOT_GRANTABLE: Final = (UndefinedObject, UndefinedColumn)
"""Errors of a grant whose role or column no longer exists."""

_GRANTS = """
    SELECT name, CAST(oid AS bigint) AS oid,
           format('REVOKE ALL ON %s FROM %s', object,
                  concat_ws(', ', 'PUBLIC',
                            string_agg(DISTINCT role, ', ') FILTER (WHERE grantee <> owner)))
               AS revoke,
           array_agg(format('GRANT %s%s ON %s TO %s%s', privilege_type, columns, object, role,
                            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)) AS grants
      FROM unnest(CAST(:views AS text[])) AS view
     CROSS JOIN split_part(view, ' ', 2) AS name
     CROSS JOIN replace(view, 'VIEW ', '') AS object
     CROSS JOIN LATERAL (
        SELECT oid, relowner, '', coalesce(relacl, acldefault('r', relowner))
          FROM pg_class WHERE oid = to_regclass(name)
         UNION ALL
        SELECT oid, relowner, format(' (%I)', attname), attacl
          FROM pg_class JOIN pg_attribute ON attrelid = oid WHERE oid = to_regclass(name)
         UNION ALL
        SELECT oid, proowner, '', coalesce(proacl, acldefault('f', proowner))
          FROM pg_proc WHERE oid = to_regproc(name)) AS acls (oid, owner, columns, acl)
     CROSS JOIN aclexplode(acl)
     CROSS JOIN coalesce(nullif(CAST(CAST(grantee AS regrole) AS text), '-'), 'PUBLIC') AS role
     GROUP BY name, object, oid"""
_READ_GRANTS = text(_GRANTS)
_STORE_GRANTS = text(f"""
    UPDATE public.installation
       SET grants = coalesce(grants, '{{}}') || (
           SELECT coalesce(
                      jsonb_object_agg(name, jsonb_build_object('oid', oid, 'grants', grants)),
                      '{{}}')
             FROM ({_GRANTS}) AS g)
     WHERE views_version < :version""")


def store_grants(connection: Connection) -> None:
    """Store the grants on functions and views, if these are older than this program's.

    If an interrupted upgrade has dropped views, the grants that it stored for them are kept.
    """
    connection.execute(_STORE_GRANTS, {"views": list(list_views()), "version": VIEWS_VERSION})


def replace_views(connection: Connection) -> None:
    """Replace functions and views that are older than this program's; restore their grants."""
    read = text("SELECT views_version, grants FROM public.installation")
    version, stored = connection.execute(read).one()
    if version >= VIEWS_VERSION:
        return
    for view, sql in list_views().items():
        _replace(connection, view, sql)
    for name, oid, revoke, _ in connection.execute(_READ_GRANTS, {"views": list(list_views())}):
        if name in stored and stored[name]["oid"] != oid:
            run(connection, revoke)  # the default privileges of the schema
            for grant in stored[name]["grants"]:
                _try_to_run(connection, grant, _NOT_GRANTABLE)
    run(
        connection,
        f"UPDATE public.installation SET views_version = {VIEWS_VERSION}, grants = NULL",
    )


def _replace(connection: Connection, view: str, sql: str) -> None:
    kind, name = view.split()
    replacing = sql.replace("CREATE ", "CREATE OR REPLACE ", 1)
    if kind == "FUNCTION":  # with other arguments, it would be an overload
        replacing += f"; SELECT CAST('{name}' AS regproc)"
    if not _try_to_run(connection, replacing, _NOT_REPLACEABLE):
        _drop(connection, view)
        run(connection, sql)


def _try_to_run(connection: Connection, sql: str, refusals: tuple[type[Exception], ...]) -> bool:
    """Run SQL and return True; after an error in `refusals`, undo it and return False."""
    try:
        with connection.begin_nested():
            run(connection, sql)
    except DBAPIError as error:
        if not isinstance(error.orig, refusals):
            raise
        return False
    return True


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
"""SQL for a function or view and all views that depend on it."""


def _drop(connection: Connection, view: str) -> None:
    users = connection.execute(_USERS, {"name": view.split()[1]}).scalars().all()
    for other in reversed(list_views()):
        if other in {view, *users}:
            run(connection, f"DROP {other}")
