"""The schema of both packages: creation in an empty database, and upgrades of all others.

`create` has all statements for an empty database. `versions/` has the changes of tables, which
Alembic applies to all others; functions and views are replaced there as a whole (`replace`).
"""
