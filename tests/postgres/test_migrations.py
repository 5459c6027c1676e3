"""The one migration history: an empty database becomes what the models of both packages say."""

import importlib.util
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import ModuleType
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text

from bidbeacon_pipelines.store.engine import make_engine
from bidbeacon_pipelines.store.migrate import MIGRATIONS, list_revisions, upgrade
from bidbeacon_pipelines.store.tables import PipelinesBase
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.store import list_sessions
from bidbeacon_sessions.tables import JOB_PROMISES_VIEW, JOB_SESSIONS_VIEW, SessionsBase

HEAD = list_revisions()[-1]
PROMISED_COLUMNS = {
    *("id", "job_name", "run_id", "step_key", "retry_number", "account_id", "country_code", "status"),
    *("started_at", "finished_at", "duration", "error", "input", "actions", "action_count"),
    *("parent_session_id", "revision"),
}
CONSTRAINTS = """
    SELECT conrelid::regclass::text AS "table", conname AS name, pg_get_constraintdef(oid) AS definition
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass"""
INDEXES = "SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
COLUMNS = """
    SELECT attrelid::regclass::text AS "table", attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity,
           attcollation::regcollation::text AS collation, pg_get_expr(adbin, adrelid) AS "default"
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid AND relkind = 'r' LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped AND relname <> 'alembic_version'"""
STORAGE = """
    SELECT relname AS name, reloptions FROM pg_class
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"""


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Give the rows of a query, sorted."""
    with psycopg.connect(url) as connection:
        return sorted(connection.execute(statement).fetchall(), key=str)


def load_migration(name: str) -> ModuleType:
    """Import the file of a migration."""
    spec = importlib.util.spec_from_file_location(name, MIGRATIONS / "versions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def create_from_models(url: str) -> None:
    """Make the tables of both packages as their models say, without any migration."""
    engine = make_engine(url, pool_size=1)
    SessionsBase.metadata.create_all(engine)
    PipelinesBase.metadata.create_all(engine)
    with engine.begin() as connection:  # so that the queries, which leave it out, find its name
        connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
    engine.dispose()


@pytest.mark.filterwarnings("ignore:Did not recognize type")  # xid8 and pg_snapshot are ours
def test_alembic_finds_nothing_left_to_migrate(database_url: str) -> None:
    """Between a migrated database and the models of both packages there is no difference."""
    merged = MetaData()
    for metadata in (SessionsBase.metadata, PipelinesBase.metadata):
        for table in metadata.tables.values():
            table.to_metadata(merged)
    engine = make_engine(database_url, pool_size=1)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), merged)
    engine.dispose()
    assert differences == []


@pytest.mark.parametrize(
    "question", [CONSTRAINTS, INDEXES, COLUMNS, STORAGE], ids=["constraints", "indexes", "columns", "storage"]
)
def test_migrated_and_modelled_tables_are_the_same(database_url: str, empty_url: str, question: str) -> None:
    """Checks, keys, partial indexes, collations, defaults and fill factors too, which Alembic does not compare."""
    create_from_models(empty_url)
    assert ask(empty_url, question) == ask(database_url, question)


def test_the_view_has_the_promised_columns(database_url: str) -> None:
    """`job_sessions` answers with every column that the design promises."""
    columns = ask(
        database_url,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'job_sessions'::regclass AND attnum > 0",
    )
    assert {name for (name,) in columns} >= PROMISED_COLUMNS


def test_the_migrations_views_are_the_packages_own() -> None:
    """A view is written out in its migration, which imports nothing of ours, and says what the package says."""
    assert JOB_SESSIONS_VIEW == load_migration("0001_first_tables").JOB_SESSIONS_VIEW
    assert JOB_PROMISES_VIEW == load_migration("0008_session_promises").JOB_PROMISES_VIEW


def test_no_migration_imports_our_packages() -> None:
    """A migration that is released must not change because the code does."""
    for file in (MIGRATIONS / "versions").glob("*.py"):
        assert "bidbeacon_" not in file.read_text()


def test_migrations_are_numbered_in_their_order() -> None:
    """The numbers of the files are what the tables' version is compared with; reading the files would cost each process more."""
    history = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert list_revisions() == [script.revision for script in history][::-1]


def test_twice_is_once(database_url: str) -> None:
    """A database that is up to date is left alone, data and all."""
    before = ask(database_url, "SELECT epoch, position FROM session_change_cursor")
    upgrade(database_url)
    assert before == ask(database_url, "SELECT epoch, position FROM session_change_cursor")
    assert [(HEAD,)] == ask(database_url, "SELECT version_num FROM alembic_version")


def test_four_processes_migrate_one_database_once(empty_url: str) -> None:
    """All four return, and the tables are there once."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(upgrade, [empty_url] * 4))
    assert [(1,)] == ask(empty_url, "SELECT count(*) FROM session_change_cursor")
    assert [(HEAD,)] == ask(empty_url, "SELECT version_num FROM alembic_version")


def test_countries_of_before_get_one_ads_account(empty_url: str) -> None:
    """Two countries of one id share a row with a key of its own, the cadence that one of them had, what was learned, and their requests."""
    upgrade(empty_url, "0011")
    ask(
        empty_url,
        """INSERT INTO advertiser_accounts (account_id, country_code, account_key, name, amazon_status, region, currency_code, time_zone,
                                            refresh_every)
           VALUES ('amzn1.1kc1bk217k', 'CA', 'CA.a', 'Acmé Merch', 'CREATED', 'NA', 'CAD', 'America/Los_Angeles', NULL),
                  ('amzn1.1kc1bk217k', 'US', 'US.a', 'Acmé Merch', 'CREATED', 'NA', 'USD', 'America/Los_Angeles', '6 hours'),
                  ('amzn1.1kc1bk21zz', 'JP', 'JP.b', '株式会社', 'CREATED', 'FE', 'JPY', 'Asia/Tokyo', NULL) RETURNING 1""",
    )
    ask(
        empty_url,
        """INSERT INTO report_requests (account_id, country_code, dataset, slot, start_date, end_date)
           VALUES ('amzn1.1kc1bk217k', 'US', 'daily_targets', 1, '2026-01-01', '2026-01-01') RETURNING 1""",
    )
    upgrade(empty_url, "0018")
    ask(
        empty_url,
        """INSERT INTO report_limits (account_id, dataset, longest_period_days)
           VALUES ('amzn1.1kc1bk217k', 'daily_targets', 30), ('amzn1.1kc1bk217k', 'daily_products', 60) RETURNING 1""",
    )
    upgrade(empty_url)
    assert [({"daily_targets": 30, "daily_products": 60},), ({},)] == ask(
        empty_url, "SELECT longest_periods FROM ads_accounts ORDER BY account_id"
    )
    assert [("1kc1bk21z", None), ("acme-merch.1kc1bk217", "06:00:00")] == ask(
        empty_url, "SELECT ads_account_key, CAST(refresh_every AS text) FROM ads_accounts"
    )
    assert [("acme-merch.1kc1bk217",)] == ask(
        empty_url, "SELECT ads_account_key FROM report_requests JOIN ads_accounts USING (account_id)"
    )


def test_what_was_loaded_before_there_were_five_datasets_stays(empty_url: str) -> None:
    """Rows of daily targets keep their key, and the day up to which windows exist is the one dataset's own."""
    upgrade(empty_url, "0002")
    ask(
        empty_url,
        """INSERT INTO advertiser_accounts (account_id, country_code, account_key, name, amazon_status, region, currency_code, time_zone,
                                            windows_through_date)
           VALUES ('a', 'US', 'US.a', '', 'CREATED', 'NA', 'USD', 'America/Los_Angeles', '2026-01-14'),
                  ('b', 'US', 'US.b', '', 'CREATED', 'NA', 'USD', 'America/Los_Angeles', NULL) RETURNING 1""",
    )
    ask(
        empty_url,
        """INSERT INTO performance_daily (account_id, country_code, dataset, window_date, ad_id, entity_id, currency_code, campaign_id,
                                          ad_group_id, target_value, match_type, resolved, request_id, spend)
           VALUES ('a', 'US', 'daily_targets', '2026-01-10', '1', '2', 'USD', '3', '4', 'dog', 'EXACT', true, 1, 1.234567) RETURNING 1""",
    )
    upgrade(empty_url)
    assert [("a", "daily_targets", "2026-01-14")] == ask(
        empty_url, "SELECT account_id, dataset, CAST(through_date AS text) FROM dataset_windows"
    )
    assert [("2", "", "1.234567")] == ask(
        empty_url, "SELECT entity_id, entity_detail, CAST(spend AS text) FROM performance_daily"
    )


def test_touches_of_before_know_when_their_sessions_began(empty_url: str) -> None:
    """A database that was in use is brought up to date with what it holds, and lists find its sessions as before."""
    upgrade(empty_url, "0006")
    ask(
        empty_url,
        """INSERT INTO session_headers (id, job_name, status, started_at, finished_at)
           VALUES ('00000000-0000-0000-0000-000000000001', 'x', 'succeeded', '2026-01-15T12:00Z', '2026-01-15T12:01Z') RETURNING 1""",
    )
    ask(
        empty_url,
        """INSERT INTO session_actions (session_id, ord, type, schema_version, at, payload)
           VALUES ('00000000-0000-0000-0000-000000000001', 1, 'done', 1, '2026-01-15T12:00Z', '{}') RETURNING 1""",
    )
    ask(
        empty_url,
        """INSERT INTO session_touches (session_id, ord, account_key, dataset, window_key, effect)
           VALUES ('00000000-0000-0000-0000-000000000001', 1, 'US.a', 'daily_targets', '2026-01-10', 'loaded') RETURNING 1""",
    )
    upgrade(empty_url)
    assert [(1,)] == ask(
        empty_url, "SELECT count(*) FROM session_touches WHERE started_at = '2026-01-15T12:00Z'"
    )
    store = SessionStore.connect(empty_url)
    with store.snapshot() as connection:
        found = list_sessions(connection, SessionFilter(window="2026-01-10"))
    store.dispose()
    assert ["x"] == [row["job_name"] for row in found]
