"""Brings the database's tables up to date, with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from bidbeacon_pipelines.store.engine import make_engine

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"

# Any constant number will do: two processes that start at once must not migrate at once.
_MIGRATION_LOCK = 7_203_114_001


def upgrade(database_url: str) -> None:
    """Apply every migration that the database does not have yet; safe to call from several processes at once."""
    engine = make_engine(database_url, pool_size=1)
    try:
        with engine.connect() as connection:
            # Who migrates may take longer than other locks are waited for.
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
    finally:
        engine.dispose()
