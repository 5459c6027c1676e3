"""Whether an account that is about to be enabled has room among Dagster's partitions."""

from datetime import date

from sqlalchemy import Connection

from bidbeacon_pipelines.reports.partition_bound import check_partitions, first_partition_day
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.account_partitions import list_account_partitions
from bidbeacon_pipelines.store.accounts import get_account, list_accounts


def check_room_to_enable(connection: Connection, key: str, settings: Settings, today: date) -> None:
    """Refuse to enable an account that has no partitions yet, where accounts times days would be too many; `today` is in UTC.

    Counted as the sync of accounts does: those that are partitions, which they stay, and those that become some at the next sync.

    Raises:
        UnknownAccountError: there is none with this key.
        TooManyPartitionsError: there is no room; the message says what makes some.
    """
    account, partitions = get_account(connection, key), list_account_partitions(connection)
    if account.enabled or key in partitions:
        return
    wanted = {known.account_key for known in list_accounts(connection) if not known.is_disabled}
    first_day = first_partition_day(settings.first_window_date, today)
    check_partitions(len(partitions | wanted | {key}), first_day=first_day, today=today)
