"""How many days are Dagster's partitions, and whether one more account has room among them."""

from datetime import date

from sqlalchemy import Connection

from bidbeacon_pipelines.reports.partition_bound import check_partitions, first_partition_day
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.account_partitions import list_account_partitions
from bidbeacon_pipelines.store.accounts import get_account, list_accounts


def check_room_to_enable(connection: Connection, key: str, settings: Settings, today: date) -> None:
    """Refuse to enable an account without partitions if accounts times days would be too many; `today` is in UTC.

    Counted as the sync of accounts does: existing partitions, and those that the next sync adds.

    Raises:
        UnknownAccountError: no account has this key.
        TooManyPartitionsError: there is no room; the message says how to make room.
    """
    account, partitions = get_account(connection, key), list_account_partitions(connection)
    if account.enabled or key in partitions:
        return
    accounts = len(_list_accounts(connection) | {key})
    first_day = first_partition_day(settings.first_window_date, today, accounts)
    check_partitions(accounts, first_day=first_day, today=today)


def count_accounts(connection: Connection) -> int:
    """Return how many accounts are partitions, or become some at the next sync."""
    return len(_list_accounts(connection))


def _list_accounts(connection: Connection) -> set[str]:
    wanted = {
        account.account_key for account in list_accounts(connection) if not account.is_disabled
    }
    return wanted | list_account_partitions(connection)
