"""SQL on when accounts are looked at: their cadences, and when the next round may begin."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from bidbeacon_pipelines.store.accounts import Account, get_account

# What next_look_at was worked out for. A cron is the account's wall clock, so its time zone is a part of it.
_CADENCE = "coalesce(refresh_cron || ' ' || time_zone, 'every ' || extract(epoch FROM refresh_every)::bigint)"


@dataclass(frozen=True)
class StoredCadence:
    """An account's cadence as stored, perhaps by SQL: at most one of both is set.

    Attributes:
        account_key: The account.
        time_zone: What its cron counts in.
        refresh_every: The time between two rounds.
        refresh_cron: The times of rounds; five fields, but not yet known to be a cron.
        next_look_at: From when the next round may begin; None as soon as something is due.
        last_look_at: When the last refresh began.
    """

    account_key: str
    time_zone: str
    refresh_every: timedelta | None
    refresh_cron: str | None
    next_look_at: datetime | None
    last_look_at: datetime | None


_COLUMNS = "account_key, time_zone, refresh_every, refresh_cron, next_look_at, last_look_at"


def correct_looks(connection: Connection, now: datetime) -> None:
    """Move what a wrong clock has noted in the future to now, and have the next look of these accounts worked out anew."""
    connection.execute(
        text("""UPDATE advertiser_accounts
                   SET last_look_at = least(last_look_at, :now), entities_synced_at = least(entities_synced_at, :now),
                       next_look_of = NULL
                 WHERE greatest(last_look_at, entities_synced_at) > CAST(:now AS timestamptz) + interval '1 day'"""),
        {"now": now},
    )


def set_cadence(connection: Connection, key: str, *, every: timedelta | None, cron: str | None) -> None:
    """Set an account's cadence; with neither it is refreshed as soon as something is due.

    Raises:
        UnknownAccountError: there is none with this key.
    """
    get_account(connection, key)
    connection.execute(
        text(
            "UPDATE advertiser_accounts SET refresh_every = :every, refresh_cron = :cron WHERE account_key = :key"
        ),
        {"key": key, "every": every, "cron": cron},
    )


def get_cadence(connection: Connection, key: str) -> StoredCadence:
    """Give the cadence of one account.

    Raises:
        UnknownAccountError: there is none with this key.
    """
    get_account(connection, key)
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM advertiser_accounts WHERE account_key = :key"), {"key": key}
    )
    return StoredCadence(**rows.mappings().one())


def list_cadences(connection: Connection) -> list[StoredCadence]:
    """Give the cadences of all accounts, by key."""
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM advertiser_accounts ORDER BY account_key"))
    return [StoredCadence(**row) for row in rows.mappings()]


def settle_cadences(
    connection: Connection, next_look: Callable[[StoredCadence], datetime | None]
) -> list[str]:
    """Work out next_look_at where the cadence is another than the one that it was worked out for; give the accounts' keys.

    What another transaction settles at the same moment is left to it.
    """
    found = connection.execute(
        text(f"""SELECT {_COLUMNS} FROM advertiser_accounts
                  WHERE next_look_of IS DISTINCT FROM {_CADENCE} ORDER BY account_key FOR UPDATE SKIP LOCKED""")
    )
    changed = [StoredCadence(**row) for row in found.mappings()]
    for cadence in changed:
        connection.execute(
            text(f"""UPDATE advertiser_accounts SET next_look_at = :at, next_look_of = {_CADENCE}
                      WHERE account_key = :key"""),
            {"key": cadence.account_key, "at": next_look(cadence)},
        )
    return [cadence.account_key for cadence in changed]


def begin_look(connection: Connection, account: Account, now: datetime) -> None:
    """Note that a refresh of an account has begun."""
    connection.execute(
        text("""UPDATE advertiser_accounts SET last_look_at = :now
                 WHERE account_id = :account_id AND country_code = :country_code"""),
        account.identity | {"now": now},
    )


def end_round(
    connection: Connection,
    account: Account,
    now: datetime,
    next_look: Callable[[StoredCadence], datetime | None],
) -> bool:
    """Set when the next round may begin, where an account has a cadence and this round is over; say whether it was set.

    A round is over when all that was due is asked for. What began before its time, by hand, changes nothing.
    """
    found = connection.execute(
        text(f"""SELECT {_COLUMNS} FROM advertiser_accounts a
                  WHERE account_id = :account_id AND country_code = :country_code
                    AND num_nonnulls(refresh_every, refresh_cron) = 1 AND coalesce(next_look_at, '-infinity') <= :now
                    AND NOT EXISTS (SELECT FROM report_windows w
                                     WHERE w.account_id = a.account_id AND w.country_code = a.country_code
                                       AND w.next_refresh_at <= :now AND w.request_id IS NULL)
                    FOR UPDATE"""),
        account.identity | {"now": now},
    )
    row = found.mappings().first()
    if row is None:
        return False
    cadence = StoredCadence(**row)
    connection.execute(
        text(f"""UPDATE advertiser_accounts SET next_look_at = :at, next_look_of = {_CADENCE}
                  WHERE account_key = :key"""),
        {"key": cadence.account_key, "at": next_look(cadence)},
    )
    return True
