"""Commands for accounts and entities: list, pause, resume, rename, set the cadence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from bidbeacon_pipelines.accounts.changes import COMMAND_LINE, AccountChanges
from bidbeacon_pipelines.accounts.names import list_named_accounts
from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.rules import choose_cadence
from bidbeacon_pipelines.cli.options import (
    AccountArgument,
    CountryOption,
    OnlyAccount,
    get_account,
    get_ads_account,
    open_store,
)
from bidbeacon_pipelines.cli.output import (
    Json,
    console,
    print_entry,
    print_json,
    print_list,
    table_of,
)
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.summaries.account_list import list_accounts_json
from bidbeacon_pipelines.summaries.account_page import schedule_json, who_json

_NO_WINDOWS_YET = (
    "no windows yet: the first refresh makes them. Dagster starts it by itself; `bidbeacon "
    "refresh` does it now."
)
_COUNTED = ("account", "kind", "stored", "gone", "set aside", "last sent (UTC)")


def accounts_list(as_json: Json = False) -> None:
    """Show all accounts, and how complete their data is."""
    settings = get_settings()
    with open_store().snapshot() as connection:
        accounts = list_accounts(connection)
        listed = list_accounts_json(connection, settings, now=read_now(connection, settings))
    rows = {row["key"]: row for row in listed["accounts"]}
    shown = [
        {**rows[one.account_key], **who_json(one), "schedule": schedule_json(one)}
        for one in accounts
    ]
    empty = "No accounts are stored yet: run `bidbeacon accounts sync`."
    print_list(shown, _print_account, as_json=as_json, if_empty=empty)


def _print_account(row: Mapping[str, Any]) -> None:
    mark = "fine" if row["stopped"] is None else "stopped"
    head = Text.assemble((row["label"], "bold blue"), "  ", (row["key"], "dim"))
    print_entry(mark, head, _facts(row))


def _facts(row: Mapping[str, Any]) -> Iterator[str | None]:
    yield row["stopped"] and f"not refreshed: {row['stop_reason']}"
    if (at := row["schedule"]["paused_at"]) is not None:
        yield f"paused by {row['schedule']['paused_by']} at {at:%Y-%m-%d %H:%M} UTC"
    yield row["alias"] and f"an alias of {row['amazon_name']}"
    cadence = "" if row["stopped"] else f", cadence: {row['schedule']['cadence']}"
    yield f"{row['currency']}, {row['time_zone']}{cadence}"
    if not row["windows"]:
        yield "no windows" if row["stopped"] else _NO_WINDOWS_YET
    elif row["fresh"] is None:
        yield f"{row['windows']:,} windows"
    else:
        yield f"{row['fresh']:,} of {row['windows']:,} windows are fresh"


def entities_list(
    account: OnlyAccount = None, country: CountryOption = None, as_json: Json = False
) -> None:
    """Show three counts per kind of entity: stored, gone from Amazon, and invalid.

    Invalid entities are not stored, because BidBeacon could not read them.
    """
    with open_store().begin() as connection:
        chosen = list_named_accounts(connection, account, country)
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
        console.print("No entities are stored yet: run `bidbeacon entities sync`.")


def _counted(count: Mapping[str, Any]) -> Sequence[str]:
    numbers = [f"{count[name]:,}" for name in ("stored", "gone", "set_aside")]
    seen = f"{count['seen_at']:%Y-%m-%d %H:%M}" if count["seen_at"] else "–"
    return count["account_label"], count["kind"], *numbers, seen


def accounts_pause(account: AccountArgument, country: CountryOption = None) -> None:
    """Stop refreshing an account. Its data is kept."""
    found = get_account(account, country)
    _changes().pause(found)
    console.print(f"{found.label} is paused.")


def accounts_resume(account: AccountArgument, country: CountryOption = None) -> None:
    """Resume refreshes of an account that is paused or needs attention.

    The next sync of accounts adds the account's partition to Dagster if it is missing.
    """
    found = get_account(account, country)
    _changes().resume(found)
    console.print(f"{found.label} is resumed.")


def _changes() -> AccountChanges:
    return AccountChanges(open_store(), get_settings(), by=COMMAND_LINE)


def accounts_rename(
    account: AccountArgument,
    alias: Annotated[
        str | None, typer.Argument(help="The alias in all countries (default: Amazon's name).")
    ] = None,
) -> None:
    """Set an alias of an ads account, shown instead of Amazon's name.

    Commands accept both names.
    """
    renamed = _changes().rename(get_ads_account(account), alias)
    console.print(f"{renamed.ads_account_key} is now called {renamed.label}.")


def accounts_cadence(
    account: AccountArgument,
    every: Annotated[
        str | None, typer.Option(help="Time between refreshes: 6h, 90m, 1d12h or PT6H (ISO 8601).")
    ] = None,
    cron: Annotated[
        str | None, typer.Option(help="Refresh times in the account's time zone: '0 6 * * *'.")
    ] = None,
    as_soon_as_due: Annotated[
        bool, typer.Option("--as-soon-as-due", help="Refresh as soon as data is due (the default)")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set or show how often an ads account is refreshed. Loads by hand are not affected."""
    chosen = choose_cadence(every=every, cron=cron, as_soon_as_due=as_soon_as_due)
    found = get_ads_account(account)
    if chosen is not None:
        _changes().set_cadence(found, chosen)
        found = get_ads_account(found.ads_account_key)
    if as_json:
        facts = ("label", "cadence", "time_zone", "next_run_at", "last_run_at")
        shown = {name: getattr(found, name) for name in facts}
        print_json({"account": found.ads_account_key} | shown)
    else:
        console.print(found.schedule)
