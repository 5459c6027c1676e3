"""Commands on quarantine: listing invalid rows, and replaying them after a fix."""

from typing import Annotated

import typer

from bidbeacon_pipelines.cli.account_names import CountryOption, OnlyAccount
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import get_settings

quarantine_app = typer.Typer(
    no_args_is_help=True, help="Invalid rows of reports: as received, with the reason."
)

OnlyDataset = Annotated[str | None, typer.Option("--dataset", help="Only this dataset.")]


@quarantine_app.command("list")
@plain_errors
def quarantine_list(
    account: OnlyAccount = None,
    country: CountryOption = None,
    dataset: OnlyDataset = None,
    window: Annotated[str | None, typer.Option(help="Only this day: 2026-11-23.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only rows whose reason contains this text.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """Show quarantined rows, newest first, each as received and with the reason."""
    from bidbeacon_pipelines.accounts.names import get_named_account
    from bidbeacon_pipelines.cli.window_output import print_quarantined_row
    from bidbeacon_pipelines.cli.windows import parse_day
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.datasets.registry import get_dataset
    from bidbeacon_pipelines.loading.quarantine_queries import list_quarantined_rows

    day = None if window is None else parse_day(window)
    if dataset is not None:
        get_dataset(dataset)
    with shared_engine(database_url(get_settings())).begin() as connection:
        found = None if account is None else get_named_account(connection, account, country)
        key = None if found is None else found.account_key
        rows = list_quarantined_rows(
            connection, account=key, dataset=dataset, day=day, reason=reason, limit=limit
        )
    if as_json:
        print_json([row.__dict__ for row in rows])
        return
    for row in rows:
        print_quarantined_row(console, row)
    if not rows:
        console.print("No row in quarantine matches.")


@quarantine_app.command("replay")
@plain_errors
def quarantine_replay(
    account: OnlyAccount = None,
    country: CountryOption = None,
    dataset: OnlyDataset = None,
    as_json: Json = False,
) -> None:
    """Check quarantined rows again, after a fix, and load those that are valid now."""
    from bidbeacon_pipelines.accounts.names import get_named_account
    from bidbeacon_pipelines.cli.recorded import ending_by_signals
    from bidbeacon_pipelines.cli.session_output import action_sentence
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.datasets.registry import get_dataset
    from bidbeacon_pipelines.loading.quarantine import replay_quarantine
    from bidbeacon_sessions import SessionStore, with_job_session

    engine = shared_engine(database_url(get_settings()))
    if dataset is not None:
        get_dataset(dataset)
    with engine.begin() as connection:
        found = None if account is None else get_named_account(connection, account, country)
    key, reference = (None, None) if found is None else (found.account_key, found.ref)
    given = {"account": key, "dataset": dataset, "via": "command line"}
    store = SessionStore(engine)
    with (
        ending_by_signals(),
        with_job_session(
            "replay-quarantine", input=given, store=store, account=reference
        ) as session,
    ):
        replayed = replay_quarantine(engine, session, account=key, dataset=dataset)
    if as_json:
        counts = [action.model_dump(mode="json") for action in replayed]
        print_json({"session_id": str(session.session_id), "reports": counts})
        return
    for action in replayed:
        console.print(action_sentence({"parts": action.parts(), "tone": action.own_tone()}))
    rows, left = sum(action.rows for action in replayed), sum(action.left for action in replayed)
    console.print(f"Loaded {rows:,} rows; {left:,} are still invalid.")
