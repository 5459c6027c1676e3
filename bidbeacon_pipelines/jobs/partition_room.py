"""Whether an account that is about to be enabled has room among Dagster's partitions."""

from datetime import date

from sqlalchemy import Connection

from bidbeacon_pipelines.reports.partition_bound import check_partitions
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.accounts import get_account, list_accounts


def check_room_to_enable(connection: Connection, key: str, settings: Settings, today: date) -> None:
    """Refuse to enable an account that is disabled, where accounts times days would be too many; `today` is in UTC.

    Raises:
        UnknownAccountError: there is none with this key.
        TooManyPartitionsError: there is no room; the message says what makes some.
    """
    if get_account(connection, key).enabled:
        return
    enabled = sum(account.enabled for account in list_accounts(connection))
    check_partitions(enabled + 1, first_day=date.fromisoformat(settings.first_window_date), today=today)
