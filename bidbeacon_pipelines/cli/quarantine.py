"""Commands on quarantine: list invalid rows, and replay them after a fix."""

from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.names import get_named_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.cli.database import open_store
from bidbeacon_pipelines.cli.options import CountryOption, OnlyAccount, OnlyDataset, parse_day
from bidbeacon_pipelines.cli.output import Json, console, print_hanging, print_json, print_line
from bidbeacon_pipelines.cli.recorded import recorded
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.loading.quarantine import replay_quarantine
from bidbeacon_pipelines.loading.quarantine_queries import list_quarantined_rows


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
    day = None if window is None else parse_day(window)
    with open_store().begin() as connection:
        found = _find(connection, account, country, dataset)
        key = None if found is None else found.account_key
        rows = list_quarantined_rows(
            connection, account=key, dataset=dataset, day=day, reason=reason, limit=limit
        )
    if as_json:
        print_json([dict(row) for row in rows])
        return
    for row in rows:
        _print_row(row)
    if not rows:
        print_line("No row in quarantine matches.")


def _find(
    connection: Connection, account: str | None, country: str | None, dataset: str | None
) -> Account | None:
    """Return the account of a name, if one is given; refuse an unknown dataset."""
    if dataset is not None:
        get_dataset(dataset)
    return None if account is None else get_named_account(connection, account, country)


def _print_row(row: RowMapping) -> None:
    """Print a row's origin, why it is invalid, and its raw text."""
    outcome = "" if row["is_loaded"] else "  (not loaded: the report was refused)"
    day = str(row["window_date"] or "no readable day")
    origin = (f"  row {row['row_number']} of request {row['request_id']}{outcome}", "dim")
    label = (row["account_label"], "blue")
    head = Text.assemble(label, f" {row['dataset']} ", (day, "magenta"), origin)
    console.print(head)
    print_hanging(console, Text("  "), Text(explain(row["cause"]).sentence, "yellow"))
    print_hanging(console, Text("  "), Text(row["raw"], "dim"))


def quarantine_replay(
    account: OnlyAccount = None,
    country: CountryOption = None,
    dataset: OnlyDataset = None,
    as_json: Json = False,
) -> None:
    """Check quarantined rows again, after a fix, and load those that are valid now."""
    store = open_store()
    with store.begin() as connection:
        found = _find(connection, account, country, dataset)
    key, reference = (found.account_key, found.ref) if found else (None, None)
    given, take_json = {"account": key, "dataset": dataset}, print_json if as_json else None
    with recorded(store, "replay-quarantine", given, reference, take_json) as (session, _):
        replayed = replay_quarantine(store.engine, session, account=key, dataset=dataset)
    if not as_json:
        rows, left = sum(one.rows for one in replayed), sum(one.left for one in replayed)
        print_line(f"Loaded {rows:,} rows; {left:,} are still invalid.")
