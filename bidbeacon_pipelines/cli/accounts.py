"""The commands that change accounts: pause and resume, aliases, cadences."""

from typing import Annotated

import typer

from bidbeacon_pipelines.accounts.cadence import choose_cadence, describe_schedule
from bidbeacon_pipelines.accounts.changes import COMMAND_LINE, AccountChanges
from bidbeacon_pipelines.accounts.names import get_named_account, get_named_ads_account
from bidbeacon_pipelines.accounts.queries import get_ads_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.cli.database import open_store
from bidbeacon_pipelines.cli.options import AccountArgument, CountryOption
from bidbeacon_pipelines.cli.output import Json, print_json, print_line
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import SessionStore


def accounts_pause(account: AccountArgument, country: CountryOption = None) -> None:
    """Stop refreshing an account; its data stays."""
    found, changes = _open_account(account, country)
    changes.pause(found)
    print_line(f"{found.label} is paused.")


def accounts_resume(account: AccountArgument, country: CountryOption = None) -> None:
    """Refresh an account again; also clears why it needs attention.

    The next sync of accounts adds its partition if it has none.
    """
    found, changes = _open_account(account, country)
    changes.resume(found)
    print_line(f"{found.label} is resumed.")


def _open_account(named: str, country: str | None) -> tuple[Account, AccountChanges]:
    """Return the account that matches a name, and the changes made as the command line."""
    store, changes = _open_changes()
    with store.begin() as connection:
        return get_named_account(connection, named, country), changes


def _open_changes() -> tuple[SessionStore, AccountChanges]:
    store = open_store()
    return store, AccountChanges(store, get_settings(), by=COMMAND_LINE)


def accounts_rename(
    account: AccountArgument,
    alias: Annotated[
        str | None,
        typer.Argument(help="The alias to show, in all countries; absent: Amazon's name."),
    ] = None,
) -> None:
    """Set the alias of an ads account, which is shown instead of Amazon's name; both can be searched for."""
    store, changes = _open_changes()
    with store.begin() as connection:
        found = get_named_ads_account(connection, account)
    renamed = changes.rename(found, alias)
    print_line(f"{renamed.ads_account_key} is called {renamed.label}.")


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
    chosen = choose_cadence(every=every, cron=cron, as_soon_as_due=as_soon_as_due)
    store, changes = _open_changes()
    with store.begin() as connection:
        found = get_named_ads_account(connection, account)
    if chosen is not None:
        changes.set_cadence(found, chosen)
        with store.begin() as connection:
            found = get_ads_account(connection, found.ads_account_key)
    if as_json:
        facts = ("label", "cadence", "time_zone", "next_look_at", "last_look_at")
        shown = {name: getattr(found, name) for name in facts}
        print_json({"account": found.ads_account_key} | shown)
    else:
        print_line(describe_schedule(found))
