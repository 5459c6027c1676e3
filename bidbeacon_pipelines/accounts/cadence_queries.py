"""SQL on the cadences of ads accounts, and when their next refresh may begin."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.ads_account_queries import get_ads_account
from bidbeacon_pipelines.accounts.queries import ADS_ACCOUNT_LABEL

# What next_look_at was worked out for. A cron is the ads account's wall clock, so its time zone is
# a part of it.
_CADENCE = "coalesce(refresh_cron || ' ' || time_zone, 'every ' || extract(epoch FROM refresh_every)::bigint)"


@dataclass(frozen=True)
class StoredCadence:
    """An ads account's cadence as stored, perhaps by SQL: at most one of both is set.

    Attributes:
        account_id: The ads account.
        ads_account_key: Its key.
        label: Its label.
        time_zone: What its cron counts in.
        refresh_every: The time between two rounds.
        refresh_cron: The times of rounds; five fields, but not yet known to be a cron.
        next_look_at: When the next refresh may begin; None for as soon as something is due.
        last_look_at: When the last refresh began; what was due by then is planned also before
            `next_look_at`.
    """

    account_id: str
    ads_account_key: str
    label: str
    time_zone: str
    refresh_every: timedelta | None
    refresh_cron: str | None
    next_look_at: datetime | None
    last_look_at: datetime | None


_COLUMNS = f"""o.account_id, o.ads_account_key, {ADS_ACCOUNT_LABEL} AS label, o.time_zone, refresh_every, refresh_cron, next_look_at, last_look_at"""


def correct_looks(connection: Connection, now: datetime) -> None:
    """Set times that a wrong clock stored in the future to now, and compute the next refresh and plans of these ads accounts again."""
    connection.execute(
        text("""UPDATE ads_accounts
                   SET last_look_at = least(last_look_at, :now), planned_at = NULL, next_look_of = NULL
                 WHERE greatest(last_look_at, planned_at) > CAST(:now AS timestamptz) + interval '1 day'"""),
        {"now": now},
    )
    connection.execute(
        text("""UPDATE advertiser_accounts SET entities_synced_at = :now
                 WHERE entities_synced_at > CAST(:now AS timestamptz) + interval '1 day'"""),
        {"now": now},
    )


def set_cadence(
    connection: Connection, key: str, *, every: timedelta | None, cron: str | None
) -> None:
    """Set the cadence of an ads account, by its key or the key of one of its accounts; with neither it is planned as soon as something is due.

    Raises:
        UnknownAccountError: no account has this key.
    """
    connection.execute(
        text(
            "UPDATE ads_accounts SET refresh_every = :every, refresh_cron = :cron WHERE account_id = :id"
        ),
        {"id": get_ads_account(connection, key).account_id, "every": every, "cron": cron},
    )


def get_cadence(connection: Connection, key: str) -> StoredCadence:
    """Return the cadence of one ads account, by its key or the key of one of its accounts.

    Raises:
        UnknownAccountError: no account has this key.
    """
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM ads_accounts o WHERE account_id = :id"),
        {"id": get_ads_account(connection, key).account_id},
    )
    return StoredCadence(**rows.mappings().one())


def list_cadences(connection: Connection) -> list[StoredCadence]:
    """Return the cadences of all ads accounts, by key."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM ads_accounts o ORDER BY ads_account_key")
    )
    return [StoredCadence(**row) for row in rows.mappings()]


def settle_cadences(
    connection: Connection, next_look: Callable[[StoredCadence], datetime | None]
) -> list[str]:
    """Work out next_look_at where the cadence is another than the one that it was worked out for; return the ads accounts' keys.

    What another transaction settles at the same moment is left to it.
    """
    found = connection.execute(
        text(f"""SELECT {_COLUMNS} FROM ads_accounts o
                  WHERE next_look_of IS DISTINCT FROM {_CADENCE} ORDER BY ads_account_key FOR UPDATE SKIP LOCKED""")
    )
    changed = [StoredCadence(**row) for row in found.mappings()]
    for cadence in changed:
        connection.execute(
            text(f"""UPDATE ads_accounts SET next_look_at = :at, next_look_of = {_CADENCE}
                      WHERE account_id = :id"""),
            {"id": cadence.account_id, "at": next_look(cadence)},
        )
    return [cadence.ads_account_key for cadence in changed]


def begin_look(connection: Connection, account_id: str, now: datetime) -> None:
    """Note that a refresh of an ads account has begun."""
    connection.execute(
        text("UPDATE ads_accounts SET last_look_at = :now WHERE account_id = :id"),
        {"id": account_id, "now": now},
    )


def end_round(
    connection: Connection,
    account_id: str,
    now: datetime,
    next_look: Callable[[StoredCadence], datetime | None],
) -> bool:
    """Set when the next round may begin, where an ads account has a cadence; return whether it was set.

    What began before its time, by hand, changes nothing.
    """
    found = connection.execute(
        text(f"""SELECT {_COLUMNS} FROM ads_accounts o
                  WHERE account_id = :id AND num_nonnulls(refresh_every, refresh_cron) = 1
                    AND coalesce(next_look_at, '-infinity') <= :now
                    FOR UPDATE"""),
        {"id": account_id, "now": now},
    )
    row = found.mappings().first()
    if row is None:
        return False
    cadence = StoredCadence(**row)
    connection.execute(
        text(f"""UPDATE ads_accounts SET next_look_at = :at, next_look_of = {_CADENCE}
                  WHERE account_id = :id"""),
        {"id": account_id, "at": next_look(cadence)},
    )
    return True
