"""The commands that run a service until they are stopped; each imports no more than it needs, since it runs for weeks."""

from typing import Annotated

import typer

from bidbeacon_pipelines.cli.errors import BadOptionError
from bidbeacon_pipelines.cli.output import console
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_pipelines.settings_files import read_settings
from bidbeacon_sessions.settings import get_session_settings


def dev() -> None:
    """Run everything on this machine: database, sandbox (without Amazon credentials), Dagster, Event Stream."""
    from bidbeacon_pipelines.dev.dev import run_dev

    raise typer.Exit(run_dev(read_settings(Settings, running=False), console))


def db_start() -> None:
    """Run the embedded database alone, with its tables upgraded, until Ctrl-C."""
    from bidbeacon_pipelines.dev.dev import run_dev

    settings = read_settings(Settings, running=False)
    if settings.database_url is not None:
        raise BadOptionError(
            "BIDBEACON_DATABASE_URL is set: unset it to start the embedded database."
        )
    raise typer.Exit(run_dev(settings, console, with_services=False))


def stream(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any free port.")
    ] = None,
) -> None:
    """Run the Event Stream: the page, its list, and the live endpoints (SSE and WebSocket); it also watches for problems, and sends alerts."""
    from bidbeacon_pipelines.cli.database import database_url
    from bidbeacon_pipelines.database.engine import make_engine
    from bidbeacon_pipelines.database.presence import announce
    from bidbeacon_pipelines.problems.alerts import AlertWatch
    from bidbeacon_pipelines.web import pipelines_extension
    from bidbeacon_sessions import SessionStore
    from bidbeacon_sessions.server.serve import serve

    url = database_url(get_settings())
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
