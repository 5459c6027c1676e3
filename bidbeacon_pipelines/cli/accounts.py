"""The commands on accounts: what is stored of each; pause and resume, aliases, cadences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from bidbeacon_pipelines.accounts.cadence import choose_cadence, describe_schedule
from bidbeacon_pipelines.accounts.changes import COMMAND_LINE, AccountChanges
from bidbeacon_pipelines.accounts.names import get_named_account, get_named_ads_account
from bidbeacon_pipelines.accounts.queries import get_ads_account, list_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.cli.options import (
    AccountArgument,
    CountryOption,
    OnlyAccount,
    list_chosen,
    open_store,
)
from bidbeacon_pipelines.cli.output import (
    Json,
    console,
    print_hanging,
    print_json,
    print_line,
    print_list,
    table_of,
)
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.summaries.account_list import list_accounts_json
from bidbeacon_pipelines.summaries.account_page import schedule_json, who_json
from bidbeacon_sessions import SessionStore

_COUNTED = ("account", "kind", "stored", "no longer sent", "set aside", "last sent (UTC)")


def accounts_list(as_json: Json = False) -> None:
    """Show all accounts, and how complete their data is."""
    settings = get_settings()
    with open_store().snapshot() as connection:
        accounts = list_accounts(connection)
        listed = list_accounts_json(connection, settings, now=read_now(connection, settings))
    rows = {row["key"]: row for row in listed["accounts"]}
    print_list(
        [
            {**rows[one.account_key], **who_json(one), "schedule": schedule_json(one)}
            for one in accounts
        ],
        _print_account,
        as_json=as_json,
        if_empty="No accounts are stored yet: run `bidbeacon accounts sync`.",
    )


def _print_account(row: Mapping[str, Any]) -> None:
    """Print mark, name and key, never broken, so that a key can be copied at any width; below it the facts."""
    mark, style = ("●", "green") if row["stopped"] is None else ("■", "yellow")
    name, key = (row["label"], "bold blue"), (f"  {row['key']}", "dim")
    console.print(Text.assemble((f"{mark} ", style), name, key), soft_wrap=True)
    for fact in filter(None, _facts(row)):
        print_hanging(Text("  "), Text(fact, "dim"))


def _facts(row: Mapping[str, Any]) -> Iterator[str | None]:
    yield row["stopped"] and f"not refreshed: {row['stopped']}"
    if (at := row["schedule"]["paused_at"]) is not None:
        yield f"paused by {row['schedule']['paused_by']} at {at:%Y-%m-%d %H:%M} UTC"
    yield row["alias"] and f"an alias of {row['amazon_name']}"
    yield f"{row['currency']}, {row['time_zone']}, refreshed {row['schedule']['cadence']}"
    if not row["windows"]:
        yield "no windows yet"
    elif row["fresh"] is None:
        yield f"{row['windows']:,} windows"
    else:
        yield f"{row['fresh']:,} of {row['windows']:,} windows are fresh"


def entities_list(
    account: OnlyAccount = None, country: CountryOption = None, as_json: Json = False
) -> None:
    """Show how many entities of each kind are stored, no longer sent by Amazon, and set aside."""
    with open_store().begin() as connection:
        chosen = list_chosen(connection, account, country)
        labels = {one.account_key: one.label for one in chosen}
        counts = [
            {**one, "account_label": labels[one["account_key"]]}
            for one in count_entities(connection)
            if one["account_key"] in labels
        ]
    if as_json:
        print_json(counts)
    elif counts:
        console.print(table_of("", _COUNTED, map(_counted, counts)))
    else:
        print_line("No entities are stored yet: run `bidbeacon entities sync`.")


def _counted(count: Mapping[str, Any]) -> Sequence[str]:
    numbers = [f"{count[name]:,}" for name in ("stored", "gone", "set_aside")]
    seen = f"{count['seen_at']:%Y-%m-%d %H:%M}" if count["seen_at"] else "–"
    return count["account_label"], count["kind"], *numbers, seen


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
