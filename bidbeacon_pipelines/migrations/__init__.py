"""The schema of both packages: how an empty database is made, and how any other is brought up to date.

`create` has all statements for an empty database. `versions/` has the changes of tables, which
Alembic applies to all others; functions and views are replaced there as a whole (`replace`).
"""
