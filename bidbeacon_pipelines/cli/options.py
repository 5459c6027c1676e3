"""Options and arguments shared by several commands, and access to the database."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Final

import typer

import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences of actions
from bidbeacon_pipelines.accounts.names import (
    complete_name,
    get_named_account,
    get_named_ads_account,
)
from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import read_day
from bidbeacon_sessions.errors import UsageError

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


def parse_day(value: str) -> date:
    """Parse a day like `2026-11-23`, or raise `UsageError`."""
    try:
        return read_day(value)
    except ValueError:
        raise UsageError(f"window: expected a day like 2026-11-23, got: {value!r}.") from None


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
    parser=parse_day,
    metavar="DAY",
    help="A day of the account's calendar, such as 2026-11-23.",
)
DayOption = Annotated[date, _DAY]
OnlyDay = Annotated[date | None, _DAY]
DaysOption = Annotated[
    list[str],
    typer.Option(
        "--window", help="A day (2026-11-23) or days (2026-11-01..2026-11-07), repeatable."
    ),
]


MOST_DAYS: Final = 10_000
"""The most days that `--window` accepts; Amazon keeps no dataset for so many days."""


def parse_windows(values: Iterable[str]) -> list[date]:
    """Return the days of `--window`, sorted and without duplicates, or raise `UsageError`."""
    days = sorted({day for value in values for day in parse_days(value)})
    if len(days) > MOST_DAYS:
        raise UsageError(f"window: expected at most {MOST_DAYS:,} days, got: {len(days):,}.")
    return days


def parse_days(value: str) -> list[date]:
    """Parse `2026-11-23` or `2026-11-01..2026-11-07` (inclusive), or raise `UsageError`."""
    first, dots, last = value.partition("..")
    try:
        start = read_day(first)
        end = read_day(last) if dots else start
    except ValueError:
        raise UsageError(
            f"window: expected 2026-11-23 or 2026-11-01..2026-11-07, got: {value!r}."
        ) from None
    if end < start:
        raise UsageError(f"window: expected the earlier day first, got: {value!r}.")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]
