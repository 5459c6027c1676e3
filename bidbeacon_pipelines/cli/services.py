"""Commands for the database, and commands that run a service until they are stopped."""

import os
import shutil
import signal
import subprocess
import sys
from typing import Annotated

import typer
from psycopg.conninfo import make_conninfo

from bidbeacon_pipelines.cli.output import console
from bidbeacon_pipelines.database.address import (
    check_mode,
    get_database,
    open_database,
    psql_args,
    store_mode,
)
from bidbeacon_pipelines.database.engine import make_engine, shared_engine
from bidbeacon_pipelines.database.processes import announce
from bidbeacon_pipelines.migrations.upgrade import upgrade
from bidbeacon_pipelines.problems.alerts import AlertWatch
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_pipelines.settings_files import read_settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import begin_epoch
from bidbeacon_sessions.connections import parse_database_url
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.settings import get_session_settings


def dev() -> None:
    """Run all services locally: the database, Dagster and the Event Stream.

    If no Amazon credentials are set, the sandbox, a simulation of Amazon, runs too.
    """
    # Imported here since the image of deploy/ lacks the package `dev`.
    from bidbeacon_pipelines.dev.dev import run_dev

    raise typer.Exit(run_dev(read_settings(Settings, running=False), console))


def db_start() -> None:
    """Run only the embedded database until Ctrl-C, after upgrading its tables."""
    from bidbeacon_pipelines.dev.dev import run_dev

    settings = read_settings(Settings, running=False)
    if settings.database_url is not None:
        raise UsageError("BIDBEACON_DATABASE_URL is set: unset it to start the embedded database.")
    raise typer.Exit(run_dev(settings, console, with_services=False))


def stream(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any free port.")
    ] = None,
) -> None:
    """Run the Event Stream: pages, live endpoints (SSE and WebSocket), and sending of alerts."""
    # Imported here since it would cost every command a third of a second.
    from bidbeacon_pipelines.web import pipelines_extension
    from bidbeacon_sessions.server.serve import serve

    url = open_database(get_settings())
    store = SessionStore.connect(url)
    announce("stream", url)
    AlertWatch(make_engine(url, pool_size=1), get_settings()).start()
    settings = get_session_settings()
    serve(
        store,
        host=settings.stream_host,
        port=settings.stream_port if port is None else port,
        extension=pipelines_extension(store, get_settings()),
    )


def login() -> None:
    """Print the login URL, which contains the token. Open it to use the page's buttons."""
    settings = get_settings()
    token = settings.stream_token or settings.stream_changes_token
    if token is None:
        raise UsageError(
            "There is no token: start `bidbeacon dev`, which makes one, "
            "or set BIDBEACON_STREAM_TOKEN."
        )
    sys.stdout.write(settings.login_url(token.get_secret_value()) + "\n")


def db_upgrade(
    *,
    restored: Annotated[
        bool,
        typer.Option("--restored", help="Make all clients of the stream load their data again."),
    ] = False,
) -> None:
    """Upgrade BidBeacon's and Dagster's tables. No other command upgrades them.

    The first run stores whether the database is for the sandbox or for the real Amazon. Newer
    tables that this program can use are not changed. Use --restored after the database was restored
    from a backup.
    """
    from bidbeacon_pipelines.dagster_instance.storage import (
        upgrade_dagster,  # Dagster takes a second
    )

    settings = get_settings()
    url = get_database(settings)
    with shared_engine(url).connect() as connection:
        check_mode(connection, settings.mode)
    if upgrade(url, report=console.print):
        upgrade_dagster(url, report=console.print)
        with shared_engine(url).begin() as connection:
            store_mode(connection, settings.mode)
        console.print("The database is up to date.")
    else:
        console.print("The tables are newer than this program, which can use them: nothing to do.")
    if restored:
        with shared_engine(url).begin() as connection:
            begin_epoch(connection)
        console.print("A new epoch of the stream has begun: clients load their sessions again.")


def db_url() -> None:
    """Print the URL of the database, with its password, for scripts."""
    sys.stdout.write(get_database(get_settings()) + "\n")


def db_shell() -> None:
    """Open psql; try `select * from job_sessions order by started_at desc limit 5`."""
    from bidbeacon_pipelines.dev.postgres import find_binaries

    shown, secret = psql_args(parse_database_url(get_database(get_settings())))
    psql = shutil.which("psql") or str(find_binaries() / "psql")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's: it ends a query, not the shell
    command = [psql, make_conninfo(**shown)]
    raise typer.Exit(subprocess.call(command, env=os.environ | secret))  # noqa: S603 - a full path
