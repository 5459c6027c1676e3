"""The migrations of the tables, which Alembic applies: one history for both packages."""
