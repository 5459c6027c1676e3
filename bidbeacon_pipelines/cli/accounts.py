"""The commands on accounts."""

from typing import TYPE_CHECKING, Annotated

import typer

from bidbeacon_pipelines.cli.account_names import AccountArgument, CountryOption
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import get_settings

if TYPE_CHECKING:
    from bidbeacon_pipelines.accounts.changes import AccountChanges
    from bidbeacon_pipelines.accounts.tables import Account
    from bidbeacon_sessions import SessionStore

accounts_app = typer.Typer(
    no_args_is_help=True, help="Advertiser accounts: an Amazon ads account in one country each."
)


@accounts_app.command("sync")
@plain_errors
def accounts_sync(as_json: Json = False) -> None:
    """Read the accounts from Amazon; they are added and updated, never deleted."""
    from bidbeacon_pipelines.accounts.sync import sync_accounts
    from bidbeacon_pipelines.amazon_ads.client import RetryPolicy
    from bidbeacon_pipelines.cli.recorded import recorded
    from bidbeacon_pipelines.job_context import open_job_context

    settings = get_settings()
    given = {"via": "command line"}
    with (
        open_job_context(settings, database_url(settings), retry=RetryPolicy()) as context,
        recorded(context, "sync-accounts", input=given, as_json=as_json) as (session, _),
    ):
        keys = sync_accounts(context, session)
    if as_json:
        print_json(keys)


@accounts_app.command("list")
@plain_errors
def accounts_list(as_json: Json = False) -> None:
    """Show all accounts, and how complete their data is."""
    from bidbeacon_pipelines.accounts.queries import list_accounts
    from bidbeacon_pipelines.cli.account_output import account_json, print_accounts
    from bidbeacon_pipelines.database.clock import read_now
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.windows.queries import list_coverage

    settings = get_settings()
    with shared_engine(database_url(settings)).begin() as connection:
        accounts = list_accounts(connection)
        now = read_now(connection, settings)
        coverage = list_coverage(connection, now, settings.late_after)
    if as_json:
        print_json([account_json(account, coverage) for account in accounts])
    else:
        print_accounts(console, accounts, coverage)


@accounts_app.command("resume")
@plain_errors
def accounts_resume(account: AccountArgument, country: CountryOption = None) -> None:
    """Refresh an account again; also clears why it needs attention.

    The next sync of accounts adds its partition if it has none.
    """
    found, changes = _open_account(account, country)
    changes.resume(found)
    console.print(f"{found.label} is resumed.", markup=False)


@accounts_app.command("pause")
@plain_errors
def accounts_pause(account: AccountArgument, country: CountryOption = None) -> None:
    """Stop refreshing an account; its data stays."""
    found, changes = _open_account(account, country)
    changes.pause(found)
    console.print(f"{found.label} is paused.", markup=False)


def _open_account(given: str, country: str | None) -> "tuple[Account, AccountChanges]":
    """Return the account that matches a name, and the changes made as the command line."""
    from bidbeacon_pipelines.accounts.names import get_named_account

    store, changes = _open_changes()
    with store.begin() as connection:
        return get_named_account(connection, given, country), changes


def _open_changes() -> "tuple[SessionStore, AccountChanges]":
    """Return the database, and the changes made as the command line."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.accounts.changes import COMMAND_LINE, AccountChanges
    from bidbeacon_sessions import SessionStore

    settings = get_settings()
    store = SessionStore.connect(database_url(settings))
    return store, AccountChanges(store, settings, by=COMMAND_LINE)


@accounts_app.command("rename")
@plain_errors
def accounts_rename(
    account: AccountArgument,
    alias: Annotated[
        str | None,
        typer.Argument(help="The alias to show, in all countries; absent: Amazon's name."),
    ] = None,
) -> None:
    """Set the alias of an ads account, which is shown instead of Amazon's name; both can be searched for."""
    from bidbeacon_pipelines.accounts.names import get_named_ads_account

    store, changes = _open_changes()
    with store.begin() as connection:
        found = get_named_ads_account(connection, account)
    renamed = changes.rename(found, alias)
    console.print(
        f"{renamed.ads_account_key} is called {renamed.label}.", highlight=False, markup=False
    )


@accounts_app.command("cadence")
@plain_errors
def accounts_cadence(
    account: AccountArgument,
    every: Annotated[
        str | None,
        typer.Option(help="Time between two refreshes: 6h, 90m, 1d12h, or PT6H (ISO 8601)."),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option(help="Times of refreshes, in the account's time zone: '0 6 * * *'."),
    ] = None,
    as_soon_as_due: Annotated[
        bool,
        typer.Option("--as-soon-as-due", help="Use the default: refresh as soon as data is due."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Set or show how often an ads account is refreshed; manual loads do not wait for it."""
    from bidbeacon_pipelines.accounts.cadence import choose_cadence, describe_schedule
    from bidbeacon_pipelines.accounts.names import get_named_ads_account
    from bidbeacon_pipelines.accounts.queries import get_ads_account

    chosen = choose_cadence(every=every, cron=cron, as_soon_as_due=as_soon_as_due)
    store, changes = _open_changes()
    with store.begin() as connection:
        found = get_named_ads_account(connection, account)
    if chosen is not None:
        changes.set_cadence(found, chosen)
        with store.begin() as connection:
            found = get_ads_account(connection, found.ads_account_key)
    if as_json:
        shown = {
            "account": found.ads_account_key,
            "label": found.label,
            "cadence": str(found.cadence),
            "time_zone": found.time_zone,
            "next_look_at": found.next_look_at,
            "last_look_at": found.last_look_at,
        }
        print_json(shown)
    else:
        console.print(describe_schedule(found), highlight=False, markup=False)
