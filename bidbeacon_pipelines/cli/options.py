"""Options and arguments shared by several commands, and access to the database."""

from datetime import date
from typing import Annotated

import typer

import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences of actions
from bidbeacon_pipelines.accounts.names import (
    complete_name,
    get_named_account,
    get_named_ads_account,
)
from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.cli.days import PERIODS, check_day, check_days
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_sessions import SessionStore

_HELP = "The account: its name, its alias or its key."


def open_store() -> SessionStore:
    """Return the session store in the configured database; check the schema's version.

    Raises:
        DatabaseUnavailableError: There is no database.
        SchemaError: The tables are older or newer than this program can use.
    """
    return SessionStore(shared_engine(open_database(get_settings())))


def complete_account(incomplete: str) -> list[tuple[str, str]]:
    """Return completions of an account name, with labels; [] if the database doesn't answer."""
    try:
        with open_store().begin() as connection:
            return complete_name(list_accounts(connection), incomplete)
    except Exception:  # noqa: BLE001 - a completion has nowhere to print an error
        return []


def get_account(named: str, country: str | None = None) -> Account:
    """Return the account with this name, alias or key; see `get_named_account`."""
    with open_store().begin() as connection:
        return get_named_account(connection, named, country)


def get_ads_account(named: str) -> AdsAccount:
    """Return the ads account with this name, alias or key; see `get_named_ads_account`."""
    with open_store().begin() as connection:
        return get_named_ads_account(connection, named)


def get_today(account: Account) -> date:
    """Return the current day of an account's calendar, by the clock of the database."""
    with open_store().begin() as connection:
        return local_date(read_now(connection, get_settings()), account.time_zone)


_ACCOUNT = typer.Option("--account", help=_HELP, autocompletion=complete_account)
AccountOption = Annotated[str, _ACCOUNT]
OnlyAccount = Annotated[str | None, _ACCOUNT]
AccountArgument = Annotated[str, typer.Argument(help=_HELP, autocompletion=complete_account)]
CountryOption = Annotated[
    str | None, typer.Option("--country", help="The country of the account, like DE.")
]
DatasetOption = Annotated[str, typer.Option("--dataset", help="The dataset's name.")]
OnlyDataset = Annotated[str | None, typer.Option("--dataset", help="Only this dataset.")]
_DAY = typer.Option(
    "--window",
    callback=check_day,
    metavar="DAY",
    help="A day of the account's calendar: 2026-11-23, today or yesterday.",
)
DayOption = Annotated[str, _DAY]
OnlyDay = Annotated[str | None, _DAY]
DaysOption = Annotated[
    list[str],
    typer.Option(
        "--window",
        callback=check_days,
        metavar="DAYS",
        help=f"A day of the account's calendar (2026-11-23, today, yesterday) or days "
        f"(2026-11-01..2026-11-07, 7d, {', '.join(PERIODS)}; 7d are the seven days before today); "
        "repeatable.",
    ),
]
