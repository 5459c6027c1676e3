"""The stream's own role in the database, made by the SQL of `docs/how-to/use-your-own-postgres.md`: everything it needs, and nothing else."""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import Engine, make_url, text

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.problems.doctor import as_checked, examine
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings, get_settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore, Subject
from bidbeacon_sessions.change_log import head, step, trim
from tests.stream.reading import serve_stream
from tests.support.recorded_sessions import LoafBaked, record
from tests.support.rows import add_account, change_sessions

STREAM_COMMAND = [sys.executable, "-m", "bidbeacon_pipelines", "stream", "--port", "0"]


@pytest.fixture
def role_url(database_url: str, engine: Engine) -> Iterator[str]:
    """The address of the database for a role that has what the document grants."""
    page = (PROJECT_ROOT / "docs" / "how-to" / "use-your-own-postgres.md").read_text(
        encoding="utf-8"
    )
    [grants] = [
        block
        for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
        if "CREATE ROLE bidbeacon_stream" in block
    ]
    name = f"stream_{secrets.token_hex(4)}"
    with engine.begin() as connection:
        connection.exec_driver_sql(grants.replace("bidbeacon_stream", name))
    url = make_url(database_url).set(username=name, password="a-long-random-text")
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")


@pytest.fixture
def role_store(role_url: str) -> Iterator[SessionStore]:
    """A store that is opened by that role."""
    store = SessionStore.connect(role_url)
    yield store
    store.dispose()


PATHS = (
    "/api/job-sessions",
    "/api/job-sessions?text=bread&account=US.one&status=succeeded&type=loaf-baked",
    "/api/job-sessions?dataset=daily_targets&window=2026-11-23",
    "/api/job-sessions/ID",
    "/api/job-sessions/ID/surroundings",
    "/api/job-sessions/histogram",
    "/api/job-sessions/values",
    "/api/job-metrics",
    "/api/account?account=US.one",
    "/api/accounts",
    "/api/home",
    "/api/coverage",
    "/api/explain?account=US.one&dataset=daily_targets&window=2026-11-23",
    "/healthz",
    "/readyz",
    "/metrics",
)


def test_all_that_the_page_asks_is_answered(
    session_store: SessionStore, role_store: SessionStore, engine: Engine
) -> None:
    """List, one session, what stands around it, counts, values, coverage, explanations, metrics: none misses a right."""
    session_id = record(session_store, "job", LoafBaked(), account=Subject("US.one"))
    add_account(engine)
    extension = pipelines_extension(role_store, get_settings())
    with (
        serve_stream(role_store, extension=extension) as server,
        httpx.Client(base_url=server.url, timeout=15) as http,
    ):
        answers = [(path, http.get(path.replace("ID", session_id))) for path in PATHS]
    assert [] == [path for path, answer in answers if answer.status_code != 200]


def test_the_role_keeps_the_log(
    session_store: SessionStore, role_store: SessionStore, engine: Engine
) -> None:
    """It publishes, trims, and begins a new epoch with all that belongs to that."""
    record(session_store, "job", LoafBaked())
    with role_store.begin() as connection:
        step(connection)
    change_sessions(engine, changed_xid="900000000000")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE session_change_cursor SET system_identifier = 7")
    with role_store.begin() as connection:
        before = head(connection).epoch
        step(connection)
        assert before != head(connection).epoch
    record(session_store)
    with role_store.begin() as connection:
        assert 1 == step(connection)
        assert 1 == trim(connection, rows=0)


def test_doctor_works_as_the_role(role_url: str) -> None:
    """It asks Amazon without the rate limits, which the role may not write."""
    engine = make_engine(role_url, pool_size=1)
    found = [*map(as_checked, examine(Settings(sandbox_url="http://127.0.0.1:1"), engine))]
    engine.dispose()
    assert ["database", "sandbox", "processes", "accounts"] == [one.code for one in found]
    assert "does not answer for regions NA, EU, FE" in found[1].sentence


RIGHTS = text("""
    SELECT table_name || '.' || column_name || ' ' || lower(privilege_type) FROM information_schema.column_privileges
     WHERE grantee = current_user AND privilege_type <> 'SELECT'
     UNION ALL
    SELECT table_name || ' ' || lower(privilege_type) FROM information_schema.table_privileges
     WHERE grantee = current_user AND privilege_type <> 'SELECT'""")
CURSOR_COLUMNS = ("epoch", "position", "published_snapshot", "system_identifier", "stepped_at")


def test_the_role_has_no_other_right_to_write(role_store: SessionStore) -> None:
    """The grants that PostgreSQL lists are those of the document, column by column; the role writes alerts and its own row of processes."""
    with role_store.begin() as connection:
        rights = set(connection.execute(RIGHTS).scalars())
    own = {right for right in rights if right.startswith(("alert", "findings", "processes"))}
    assert {"findings", "alert_receivers", "processes"} == {
        re.split("[. ]", right)[0] for right in own
    }
    assert rights - own == {
        "session_changes delete",
        *(f"session_changes.{column} insert" for column in ("position", "session_id", "ord")),
        *(f"session_change_cursor.{column} update" for column in CURSOR_COLUMNS),
        "session_headers.changed_xid update",
        "session_actions.changed_xid update",
        *(f"row_removals.{one} update" for one in ("acknowledged_by", "acknowledged_at", "note")),
    }


def test_a_database_that_is_behind_is_said_in_a_line(role_url: str, engine: Engine) -> None:
    """The role may not bring it up to date: the command says who must, and ends."""
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    environment = os.environ | {"BIDBEACON_DATABASE_URL": role_url}
    ended = subprocess.run(
        STREAM_COMMAND, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (2, "") == (ended.returncode, ended.stdout)
    assert "bidbeacon db upgrade" in ended.stderr
    assert "Traceback" not in ended.stderr
