"""The commands on the database, and the database that commands work on."""

import os
import shutil
import signal
import subprocess
import sys

import typer

from bidbeacon_pipelines.cli.errors import BadOptionError, plain_errors
from bidbeacon_pipelines.cli.output import console
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions.settings import read_settings

db_app = typer.Typer(
    no_args_is_help=True, help="The database: the embedded one, or that of BIDBEACON_DATABASE_URL."
)


def database_url(settings: Settings) -> str:
    """Return the database's address, after checking that its tables fit this program.

    Raises:
        DatabaseUnavailableError: there is no database.
        SchemaError: its tables are older or newer.
    """
    from bidbeacon_pipelines.database.address import open_database

    return open_database(settings)


@db_app.command("start")
@plain_errors
def db_start() -> None:
    """Run the embedded database alone, with its tables upgraded, until Ctrl-C."""
    from bidbeacon_pipelines.dev.dev import run_dev

    settings = read_settings(Settings, running=False)
    if settings.database_url is not None:
        raise BadOptionError(
            "BIDBEACON_DATABASE_URL is set: unset it to start the embedded database."
        )
    raise typer.Exit(run_dev(settings, console, with_services=False))


@db_app.command("upgrade")
@plain_errors
def db_upgrade() -> None:
    """Upgrade our tables and Dagster's; all other commands only check their version.

    The first time, it stores whether the database is for the sandbox or for the real Amazon. It
    changes nothing where the tables are newer than this program and still fit it.
    """
    from bidbeacon_pipelines.dagster_storage import upgrade_dagster
    from bidbeacon_pipelines.database.address import find_database
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.database.mode import check_mode, store_mode
    from bidbeacon_pipelines.database.schema import upgrade

    settings = get_settings()
    url = find_database(settings)
    with shared_engine(url).connect() as connection:
        check_mode(connection, settings.mode)
    if not upgrade(url, report=console.print):
        console.print("The tables are newer than this program, which can use them: nothing to do.")
        return
    upgrade_dagster(url, report=console.print)
    with shared_engine(url).begin() as connection:
        store_mode(connection, settings.mode)
    console.print("The database is up to date.")


@db_app.command("url")
@plain_errors
def db_url() -> None:
    """Print the database's address for scripts, password included, unless it is invalid."""
    from bidbeacon_pipelines.database.address import find_database

    sys.stdout.write(find_database(get_settings()) + "\n")


@db_app.command("shell")
@plain_errors
def db_shell() -> None:
    """Open psql on the database; try `select * from job_sessions order by started_at desc limit 5`."""
    from psycopg.conninfo import make_conninfo

    from bidbeacon_pipelines.database.address import find_database, psql_args
    from bidbeacon_sessions.connections import parse_database_url

    psql = shutil.which("psql") or _bundled_psql()
    shown, secret = psql_args(parse_database_url(find_database(get_settings())))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's: it ends a query, not the shell
    raise typer.Exit(subprocess.call([psql, make_conninfo(**shown)], env=os.environ | secret))  # noqa: S603 - psql, by its full path


def _bundled_psql() -> str:
    from bidbeacon_pipelines.dev.postgres import find_binaries

    return str(find_binaries() / "psql")
