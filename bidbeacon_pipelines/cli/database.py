"""The database that commands work on, and the commands on it."""

import os
import shutil
import signal
import subprocess
import sys

import typer
from psycopg.conninfo import make_conninfo

import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences of actions
from bidbeacon_pipelines.cli.output import print_line
from bidbeacon_pipelines.database.address import find_database, open_database, psql_args
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.mode import check_mode, store_mode
from bidbeacon_pipelines.database.schema import upgrade
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.connections import parse_database_url


def database_url(settings: Settings) -> str:
    """Return the database's address, after checking that its tables fit this program.

    Raises:
        DatabaseUnavailableError: there is no database.
        SchemaError: its tables are older or newer.
    """
    return open_database(settings)


def open_store() -> SessionStore:
    """Return the database of the settings, after checking that its tables fit this program.

    Raises:
        DatabaseUnavailableError: there is no database.
        SchemaError: its tables are older or newer.
    """
    return SessionStore(shared_engine(database_url(get_settings())))


def db_upgrade() -> None:
    """Upgrade our tables and Dagster's; all other commands only check their version.

    The first time, it stores whether the database is for the sandbox or for the real Amazon. It
    changes nothing where the tables are newer than this program and still fit it.
    """
    from bidbeacon_pipelines.dagster_storage import upgrade_dagster  # takes a second

    settings = get_settings()
    url = find_database(settings)
    with shared_engine(url).connect() as connection:
        check_mode(connection, settings.mode)
    if not upgrade(url, report=print_line):
        print_line("The tables are newer than this program, which can use them: nothing to do.")
        return
    upgrade_dagster(url, report=print_line)
    with shared_engine(url).begin() as connection:
        store_mode(connection, settings.mode)
    print_line("The database is up to date.")


def db_url() -> None:
    """Print the database's address for scripts, password included, unless it is invalid."""
    sys.stdout.write(find_database(get_settings()) + "\n")


def db_shell() -> None:
    """Open psql on the database; try `select * from job_sessions order by started_at desc limit 5`."""
    psql = shutil.which("psql") or _bundled_psql()
    shown, secret = psql_args(parse_database_url(find_database(get_settings())))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's: it ends a query, not the shell
    raise typer.Exit(subprocess.call([psql, make_conninfo(**shown)], env=os.environ | secret))  # noqa: S603 - psql, by its full path


def _bundled_psql() -> str:
    from bidbeacon_pipelines.dev.postgres import find_binaries  # rarely needed

    return str(find_binaries() / "psql")
