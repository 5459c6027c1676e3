"""The lists of accounts and of what is stored of each."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from rich.text import Text

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.cli.database import open_store
from bidbeacon_pipelines.cli.options import CountryOption, OnlyAccount, list_chosen
from bidbeacon_pipelines.cli.output import (
    Json,
    console,
    print_hanging,
    print_json,
    print_line,
    table_of,
)
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.summaries.account_list import list_accounts_json
from bidbeacon_pipelines.summaries.account_page import schedule_json, who_json

_COUNTS = ("stored", "no longer sent", "set aside", "last sent (UTC)")


def accounts_list(as_json: Json = False) -> None:
    """Show all accounts, and how complete their data is."""
    settings = get_settings()
    with open_store().snapshot() as connection:
        accounts = list_accounts(connection)
        listed = list_accounts_json(connection, settings, now=read_now(connection, settings))
    rows = {row["key"]: row for row in listed["accounts"]}
    if as_json:
        print_json([_account_json(one, rows[one.account_key]) for one in accounts])
        return
    for account in accounts:
        _print_account(account, rows[account.account_key])
    if not accounts:
        print_line("No accounts are stored yet: run `bidbeacon accounts sync`.")


def _account_json(account: Account, row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, **who_json(account), "schedule": schedule_json(account)}


def _print_account(account: Account, row: Mapping[str, Any]) -> None:
    """Print mark, name and key, never broken, so that a key can be copied at any width; below it the facts."""
    mark, style = ("●", "green") if account.stop_reason is None else ("■", "yellow")
    name, key = (account.label, "bold blue"), (f"  {account.account_key}", "dim")
    console.print(Text.assemble((f"{mark} ", style), name, key), soft_wrap=True)
    for line in _facts(account, row):
        print_hanging(console, Text("  "), line)


def _facts(account: Account, row: Mapping[str, Any]) -> Iterator[Text]:
    if account.stop_reason is not None:
        yield Text(f"not refreshed: {account.stop_reason}", "yellow")
    if account.paused_at is not None:
        at = f"{account.paused_at:%Y-%m-%d %H:%M} UTC"
        yield Text(f"paused by {account.paused_by} at {at}", "yellow")
    if account.alias is not None:
        yield Text(f"an alias of {account.name}", "dim")
    cadence = account.ads_account.cadence
    yield Text(f"{account.currency_code}, {account.time_zone}, refreshed {cadence}", "dim")
    if not row["windows"]:
        yield Text("no windows yet", "dim")
    elif row["fresh"] is None:
        yield Text(f"{row['windows']:,} windows", "dim")
    else:
        yield Text(f"{row['fresh']:,} of {row['windows']:,} windows are fresh")


def entities_list(
    account: OnlyAccount = None, country: CountryOption = None, as_json: Json = False
) -> None:
    """Show how many entities of each kind are stored, no longer sent by Amazon, and set aside."""
    with open_store().begin() as connection:
        chosen = list_chosen(connection, account, country)
        labels = {one.account_key: one.label for one in chosen}
        counts = [one for one in count_entities(connection) if one["account_key"] in labels]
    if as_json:
        print_json([one | {"account_label": labels[one["account_key"]]} for one in counts])
        return
    for key, of_account in groupby(counts, itemgetter("account_key")):
        rows = [
            (
                one["kind"],
                *(f"{one[name]:,}" for name in ("stored", "gone", "set_aside")),
                _minute(one),
            )
            for one in of_account
        ]
        console.print(table_of(labels[key], ("kind", *_COUNTS), rows))
    if not counts:
        print_line("No entities are stored yet: run `bidbeacon entities sync`.")


def _minute(count: Mapping[str, Any]) -> str:
    return f"{count['seen_at']:%Y-%m-%d %H:%M}" if count["seen_at"] else "–"
