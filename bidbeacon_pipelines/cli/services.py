"""The commands that run a service until they are stopped."""

from pathlib import Path
from typing import Annotated

import typer

from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import plain_errors
from bidbeacon_pipelines.cli.output import console
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions.settings import read_settings


@plain_errors
def dev() -> None:
    """Run everything on this machine: database, sandbox (without Amazon credentials), Dagster, Event Stream."""
    from bidbeacon_pipelines.dev.dev import run_dev

    raise typer.Exit(run_dev(read_settings(Settings, running=False), console))


@plain_errors
def sandbox(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any free port.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same accounts and numbers.")] = 1,
    accounts: Annotated[int, typer.Option(min=1, help="Number of ads accounts.")] = 4,
    rows_per_day: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_000_000, help="Rows of an account's day; absent: 200 to 2,000 by account."
        ),
    ] = None,
    report_seconds: Annotated[
        float | None, typer.Option(min=0, help="Seconds until a report is complete.")
    ] = None,
    calls_per_second: Annotated[
        int | None, typer.Option(min=1, help="Calls per second of a region and class before a 429.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME or NAME:key=value,… such as throttle:probability=0.1,times=3; repeatable."
        ),
    ] = None,
    fault_all: Annotated[float | None, typer.Option(help="Probability of each fault.")] = None,
    faults: Annotated[Path | None, typer.Option(help="A JSON file with a list of faults.")] = None,
    clock_start: Annotated[
        str | None,
        typer.Option(
            help="Simulated time at the start, such as 2026-01-15T00:00:00Z; absent: now."
        ),
    ] = None,
    clock_rate: Annotated[
        float | None, typer.Option(min=0, help="Simulated seconds per real second; 86400: a day.")
    ] = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Stop the simulated clock.")] = False,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="A deviation from the contract, see docs/sandbox.md; repeatable."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Answer as in this recording of `bidbeacon probe`, and nothing else."),
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where reports in flight survive a restart.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting as NAME=VALUE, such as part_rows=1000; repeatable."
        ),
    ] = None,
) -> None:
    """Run the sandbox Ads API: Amazon's part, over real HTTP, with seeded data and switchable faults."""
    from bidbeacon_pipelines.sandbox import serve
    from bidbeacon_pipelines.sandbox.config import read_config

    settings = get_settings()
    config = read_config(
        faults=fault or (),
        fault_all=fault_all,
        faults_file=faults,
        frozen=frozen,
        others=setting or (),
        seed=seed,
        accounts=accounts,
        rows_per_day=rows_per_day,
        report_seconds=report_seconds,
        calls_per_second=calls_per_second,
        clock_start=clock_start,
        clock_rate=clock_rate,
        state_dir=state_dir,
        variants=variant,
    )
    serve(
        config, settings.bind_host, settings.sandbox_port if port is None else port, replay=replay
    )


@plain_errors
def stream(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any free port.")
    ] = None,
) -> None:
    """Run the Event Stream: the page, its list, and the live endpoints (SSE and WebSocket); it also watches for problems, and sends alerts."""
    import bidbeacon_pipelines.actions  # noqa: F401 - the stream shows what it knows the classes of
    from bidbeacon_pipelines.database.engine import make_engine
    from bidbeacon_pipelines.database.presence import announce
    from bidbeacon_pipelines.problems.alerts import AlertWatch
    from bidbeacon_pipelines.web import pipelines_extension
    from bidbeacon_sessions import SessionStore
    from bidbeacon_sessions.server.serve import serve
    from bidbeacon_sessions.settings import get_session_settings

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
