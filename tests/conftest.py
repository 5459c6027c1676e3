"""What all tests share: one PostgreSQL cluster for the whole run, a fresh migrated database for each test that asks.

`BIDBEACON_TEST_CLUSTER_URL=postgresql://…` runs the suite against another server, 16 or newer; its
user must be able to create databases.
"""

import os
import secrets
import shutil
import signal
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import hypothesis
import psutil
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.migrations.upgrade import upgrade
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.settings import get_session_settings
from tests.contract import exchanges
from tools.temporary_postgres import temporary_postgres

pytest_plugins = ["tests.support.emitted_actions"]

# pytest's readline writes the terminal's size into the environment of worker processes, where rich
# would take it for a wish.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)

# A shell starts what runs in its background with interrupts ignored, and `nohup` hang-ups, which
# all that a test starts and stops would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


MEMORY, MEMORY_BYTES = Path("/dev/shm"), 4 * 2**30
MEMORY_PREFIX = "bidbeacon-tests-"

# httpx reads the certificates of all authorities for each client, of which tests have thousands
# that speak plain HTTP.
ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment] # as above

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("any machine", deadline=None)
# `make mutants` runs the same tests hundreds of times: with few examples, the same each time.
hypothesis.settings.register_profile(
    "mutants", deadline=None, max_examples=20, derandomize=True, database=None
)
# `pytest tests/contract --hypothesis-profile=night` looks for longer.
hypothesis.settings.register_profile("night", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _settings_of_this_test_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Each test starts without settings from outside, those of a running `bidbeacon dev` included, and its own end with it.

    Its home is a folder that does not exist yet: most tests need none, and making one takes longer
    than they do.
    """
    home = tmp_path_factory.getbasetemp() / f"home-{secrets.token_hex(6)}"
    for name in [name for name in os.environ if name.startswith("BIDBEACON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BIDBEACON_HOME", str(home))
    get_settings.cache_clear()
    get_session_settings.cache_clear()
    yield
    get_settings.cache_clear()
    get_session_settings.cache_clear()


exchanges.watch_client()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Fail a test whose exchanges differ from Amazon's documents; see `exchanges`."""
    yield from _judge_exchanges()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Judge what fixtures exchange when they end."""
    yield from _judge_exchanges()


def _judge_exchanges() -> Iterator[None]:
    try:
        yield
        differences = "\n".join(dict.fromkeys(exchanges.found))
    finally:
        exchanges.found.clear()
    if differences:
        pytest.fail(f"Not as in Amazon's documents:\n{differences}", pytrace=False)


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the maintenance database of a running server."""
    given = os.environ.get("BIDBEACON_TEST_CLUSTER_URL")
    if given is not None:
        yield given
        return
    with _cluster_folder(tmp_path_factory) as folder, temporary_postgres(folder) as url:
        yield url


@contextmanager
def _cluster_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder in memory where there is room: ext4 takes 0.3 s for the files of a database just after it has deleted another one's."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        yield tmp_path_factory.mktemp("cluster")
        return
    for folder in MEMORY.glob(f"{MEMORY_PREFIX}*"):  # a killed run has left it
        if not psutil.pid_exists(int(folder.name.split("-")[-2])):
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{MEMORY_PREFIX}{os.getpid()}-", dir=MEMORY))
    folder.chmod(0o711)  # the server's own user enters it
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template(cluster_url: str) -> str:
    """The name of a migrated database that others are cloned from."""
    name = f"template_{secrets.token_hex(4)}"
    _administer(cluster_url, "CREATE DATABASE {}", name)
    upgrade(_database(cluster_url, name))
    return name


@pytest.fixture(scope="session")
def _template_with_dagster(cluster_url: str, _template: str) -> str:
    """The name of a migrated database that has Dagster's tables as well, which take a second to create."""
    # Tests without Dagster need not wait until it is imported.
    from bidbeacon_pipelines.dagster_instance.storage import upgrade_dagster

    name = f"template_{secrets.token_hex(4)}"
    _administer(cluster_url, "CREATE DATABASE {} TEMPLATE {}", name, _template)
    upgrade_dagster(_database(cluster_url, name))
    return name


@pytest.fixture
def database_url(cluster_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh, migrated database; commits are seen by other connections, and all is dropped at the end.

    It has Dagster's tables where the test, or a fixture of it, asks for `dagster_tables`.
    """
    has_dagster = "dagster_tables" in request.fixturenames
    template = request.getfixturevalue("_template_with_dagster" if has_dagster else "_template")
    with _clone(cluster_url, template) as url:
        yield url


@pytest.fixture
def dagster_tables(database_url: str) -> None:
    """Have Dagster's tables in this test's database, as `db upgrade` creates them."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        # A copy of a database has not the settings of its roles.
        connection.execute(
            """DO $$ BEGIN EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = dagster, public',
                                          current_user, current_database()); END $$"""
        )


@pytest.fixture(scope="module")
def shared_database_url(cluster_url: str, _template: str) -> Iterator[str]:
    """The address of a migrated database that the tests of a module share, since they change nothing in it."""
    with _clone(cluster_url, _template) as url:
        yield url


@contextmanager
def _clone(cluster_url: str, template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    _administer(cluster_url, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
    yield _database(cluster_url, name)
    _administer(cluster_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def empty_url(cluster_url: str) -> Iterator[str]:
    """The address of a database without tables."""
    with _make_empty(cluster_url) as url:
        yield url


@pytest.fixture(scope="module")
def shared_empty_url(cluster_url: str) -> Iterator[str]:
    """The address of a database without tables at first, which the tests of a module share."""
    with _make_empty(cluster_url) as url:
        yield url


@contextmanager
def _make_empty(cluster_url: str) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(6)}"
    _administer(cluster_url, "CREATE DATABASE {}", name)
    yield _database(cluster_url, name)
    _administer(cluster_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh database."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def session_store(database_url: str) -> Iterator[SessionStore]:
    """A store of sessions on a fresh database."""
    store = SessionStore.connect(database_url)
    yield store
    store.dispose()


def _database(cluster_url: str, name: str) -> str:
    return make_url(cluster_url).set(database=name).render_as_string(hide_password=False)


def _administer(cluster_url: str, statement: str, *names: str) -> None:
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
