"""Run the migrations on a given connection, each in its own transaction."""

from typing import Any

from alembic import context
from alembic.migration import MigrationContext, MigrationInfo
from sqlalchemy import text

_RAISE = text("UPDATE public.installation SET oldest_program = :revision")


def raise_oldest_program(ctx: MigrationContext, step: MigrationInfo, *_: Any, **__: Any) -> None:
    """Store the oldest compatible program in the database, if the migration declares one."""
    module = getattr(step.up_revision, "module", None)
    oldest = getattr(module, "oldest_program", None)
    if oldest and ctx.connection:
        ctx.connection.execute(_RAISE, {"revision": oldest})


context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="public",
    transaction_per_migration=True,
    on_version_apply=raise_oldest_program,
)
with context.begin_transaction():
    context.run_migrations()
