"""The schema of this package and `bidbeacon_sessions`: creation and upgrades.

`create` has all statements for an empty database. In existing databases, Alembic applies the
changes of tables in `versions/`, and `replace` replaces the functions and views.
"""
