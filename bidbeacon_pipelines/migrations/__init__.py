"""The schema of both packages: creation in an empty database, and upgrades of schemas.

`create` has all statements for an empty database. In existing databases, Alembic applies the
changes of tables in `versions/`, and `replace` replaces the functions and views.
"""
