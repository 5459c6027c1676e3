"""Runs the migrations, each in a transaction of its own, on the connection that `bidbeacon_pipelines.database.schema` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="public",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
