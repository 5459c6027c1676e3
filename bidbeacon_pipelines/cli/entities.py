"""The commands on entities: campaigns, ad groups, ads, targets and portfolios."""

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any

import typer

from bidbeacon_pipelines.accounts.queries import read_account
from bidbeacon_pipelines.cli.account_names import OnlyAccount
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import (
    BadOptionError,
    CommandFailedError,
    ExitCode,
    plain_errors,
    report_error,
)
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import get_settings

entities_app = typer.Typer(
    no_args_is_help=True,
    help="Campaigns, ad groups, ads, targets and portfolios, as last received from Amazon.",
)

OnlyCountry = Annotated[
    str | None, typer.Option("--country", help="Only this country, for example DE.")
]


@entities_app.command("sync")
@plain_errors
def entities_sync(
    account: OnlyAccount = None, country: OnlyCountry = None, as_json: Json = False
) -> None:
    """Sync entities now, account by account.

    Exits with 0 if all were synced, 1 if one was not, and 2 if all accounts of the name are paused.
    """
    from bidbeacon_pipelines.amazon_ads.client import RetryPolicy
    from bidbeacon_pipelines.job_context import open_job_context
    from bidbeacon_pipelines.requests.wanted import check_active

    settings = get_settings()
    with open_job_context(settings, database_url(settings), retry=RetryPolicy()) as context:
        chosen = _choose(context.engine, account, country)
        if all(candidate.stop_reason is not None for candidate in chosen):
            check_active(chosen[0])
        results = [
            _sync(context, chosen_account.account_key, as_json=as_json) for chosen_account in chosen
        ]
    failed = sum(result["error"] is not None for result in results)
    if as_json:
        print_json(results)
    else:
        console.print(
            f"Synced {len(results) - failed} of {len(results)} accounts.", highlight=False
        )
    if failed:
        raise typer.Exit(ExitCode.FAILED)


@entities_app.command("list")
@plain_errors
def entities_list(
    account: OnlyAccount = None, country: OnlyCountry = None, as_json: Json = False
) -> None:
    """Show how many entities of each kind are stored, no longer sent by Amazon, and set aside."""
    from bidbeacon_pipelines.cli.session_output import table_of
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.entities.queries import count_entities

    engine = shared_engine(database_url(get_settings()))
    labels = {
        chosen_account.account_key: chosen_account.label
        for chosen_account in _choose(engine, account, country)
    }
    with engine.begin() as connection:
        counts = [count for count in count_entities(connection) if count.account_key in labels]
    if as_json:
        print_json(
            [count.__dict__ | {"account_label": labels[count.account_key]} for count in counts]
        )
    elif counts:
        columns = ("kind", "stored", "no longer sent", "set aside", "last sent (UTC)")
        for key, of_account in groupby(counts, lambda count: count.account_key):
            rows = [
                (
                    count.kind,
                    f"{count.stored:,}",
                    f"{count.gone:,}",
                    f"{count.set_aside:,}",
                    f"{count.seen_at:%Y-%m-%d %H:%M}",
                )
                for count in of_account
            ]
            console.print(table_of(labels[key], columns, rows))
    else:
        console.print("No entities are stored yet: run `bidbeacon entities sync`.", highlight=False)


def _choose(engine: Any, named: str | None, country: str | None) -> Sequence[Any]:
    """Return the accounts to sync: all that can be synced, or those that match a name, even if they can't."""
    from bidbeacon_pipelines.accounts.names import list_named_accounts
    from bidbeacon_pipelines.accounts.queries import list_accounts
    from bidbeacon_pipelines.amazon_ads.countries import normalise_country

    with engine.begin() as connection:
        accounts = (
            list_accounts(connection) if named is None else list_named_accounts(connection, named)
        )
    if country is not None:
        accounts = [
            candidate
            for candidate in accounts
            if candidate.country_code == normalise_country(country)
        ]
    if named is None:
        accounts = [candidate for candidate in accounts if candidate.stop_reason is None]
    if not accounts:
        where = "" if country is None else f" in {country}"
        error = CommandFailedError if country is None else BadOptionError
        raise error(f"There is no account to sync{where}: `bidbeacon accounts list` shows them.")
    return accounts


def _sync(context: Any, key: str, *, as_json: bool) -> dict[str, Any]:
    """Sync one account in a session of its own; return its counts by kind, or its error."""
    from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
    from bidbeacon_pipelines.cli.recorded import recorded
    from bidbeacon_pipelines.entities.sync import ExportFailedError, sync_entities
    from bidbeacon_pipelines.requests.backfill import AccountSkippedError
    from bidbeacon_pipelines.values.decode import BrokenPartError

    # Read again: the previous account may have found that Amazon refuses our credentials.
    account = read_account(context.engine, key)
    if account.stop_reason is not None:
        return _failed(key, AccountSkippedError(account))
    given = {"account": key, "via": "command line"}
    hidden = {"export-requested"}
    try:
        with recorded(
            context,
            "sync-entities",
            input=given,
            account=account.ref,
            as_json=as_json,
            hidden=hidden,
        ) as (session, _):
            return {
                "account": key,
                "counts": sync_entities(context, session, account),
                "error": None,
            }
    except (AdsApiError, BrokenPartError, ExportFailedError) as error:
        return _failed(key, error)


def _failed(key: str, error: Exception) -> dict[str, Any]:
    report_error(error)
    return {"account": key, "counts": {}, "error": str(error)}
