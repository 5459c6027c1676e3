"""SQL on ads accounts and accounts."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select, text, update

from bidbeacon_pipelines.accounts.rules import ads_account_key
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.contract.queries import copy_histories
from bidbeacon_pipelines.credentials import DEFAULT
from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_pipelines.database.rows import read_rows
from bidbeacon_sessions import Subject
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.writes import json_text

GOES_ON = (
    "needs_attention = NULL, needs_attention_for = NULL, needs_attention_since = NULL, "
    "planned_at = NULL"
)
"""SQL assignments that end an ads account's need for attention and have its due windows planned."""
IS_ACTIVE = "NOT a.paused AND a.amazon_status <> 'DISABLED'"
"""SQL condition: the account `a` is neither paused nor disabled."""
IS_REFRESHED = f"{IS_ACTIVE} AND o.needs_attention IS NULL"
"""SQL condition: nothing stops the account `a` of the ads account `o`."""
STOP_WORD_ARMS = """WHEN a.paused THEN 'paused'
            WHEN a.amazon_status = 'DISABLED' THEN 'disabled'
            WHEN o.needs_attention IS NOT NULL THEN 'needs attention'"""
"""SQL of the arms of a CASE for why the account `a` of the ads account `o` is stopped."""
STOP_WORD = f"CASE {STOP_WORD_ARMS} END"
"""SQL for the word that `Account.stopped` returns."""

ADS_ACCOUNT_LABEL = "coalesce(o.alias, nullif(o.name, ''), o.ads_account_key)"
"""SQL for the label of the ads account `o`."""
ACCOUNT_LABEL = f"{ADS_ACCOUNT_LABEL} || ' · ' || a.country_code"
"""SQL for the label of the account `a` of the ads account `o`: `Acme Merch · US`."""


class UnknownAccountError(UsageError):
    """No account has this `key` or name; `nearest` has the most similar names."""

    def __init__(self, key: str, nearest: Sequence[str] = ()) -> None:
        self.key = key
        self.nearest = nearest
        meant = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(
            f"No account {key!r}: `bidbeacon accounts list` shows them; "
            f"`bidbeacon accounts sync` reads them from Amazon.{meant}"
        )


# `xmax = 0` is true of a row that this statement inserted.
_UPSERT_ACCOUNT = text("""
    INSERT INTO advertiser_accounts AS a
           (account_id, country_code, account_key, name, amazon_status, profile_id, entity_id,
            region, currency_code, time_zone, marketplace_id, account_type,
            first_seen_at, synced_at)
    VALUES (:account_id, :country_code, :account_key, :name, :amazon_status, :profile_id,
            :entity_id, :region, :currency_code, :time_zone, :marketplace_id, :account_type,
            :now, :now)
    ON CONFLICT (account_id, country_code) DO UPDATE
       SET name = excluded.name, amazon_status = excluded.amazon_status,
           profile_id = CASE WHEN :trusted THEN coalesce(excluded.profile_id, a.profile_id)
                             ELSE coalesce(a.profile_id, excluded.profile_id) END,
           entity_id = CASE WHEN :trusted THEN coalesce(excluded.entity_id, a.entity_id)
                            ELSE coalesce(a.entity_id, excluded.entity_id) END,
           region = CASE WHEN :trusted THEN excluded.region ELSE a.region END,
           currency_code = CASE WHEN :trusted THEN excluded.currency_code ELSE a.currency_code END,
           time_zone = CASE WHEN :trusted THEN excluded.time_zone ELSE a.time_zone END,
           marketplace_id = coalesce(excluded.marketplace_id, a.marketplace_id),
           account_type = coalesce(excluded.account_type, a.account_type),
           synced_at = excluded.synced_at
    RETURNING xmax = 0 AS added""")


def upsert_account(connection: Connection, values: dict[str, Any], *, now: datetime) -> bool:
    """Store one account as Amazon lists it; return True if it is new.

    `values` has the columns, and `trusted`: whether all profiles of the account's region and all
    alternate ids of its ads account could be read. If not, region, currency and time zone may be
    defaults, and its ids those of another profile: stored values are kept.
    """
    return bool(connection.execute(_UPSERT_ACCOUNT, values | {"now": now}).scalar_one())


def list_accounts(connection: Connection) -> list[Account]:
    """Return all accounts, by key."""
    return read_rows(connection, select(Account).order_by(Account.account_key))


def list_subjects(connection: Connection) -> list[Subject]:
    """Return all accounts and ads accounts as sessions refer to them, with present labels."""
    of_ads_accounts = [one.ref for one in read_rows(connection, select(AdsAccount))]
    return [account.ref for account in list_accounts(connection)] + of_ads_accounts


def find_account(connection: Connection, key: str) -> Account | None:
    """Return the account with this key, or None."""
    return get_accounts(connection, [key]).get(key)


def get_account(connection: Connection, key: str) -> Account:
    """Return the account with this key, or raise `UnknownAccountError`."""
    account = find_account(connection, key)
    if account is None:
        raise UnknownAccountError(key)
    return account


def get_accounts(connection: Connection, keys: Collection[str]) -> dict[str, Account]:
    """Return the accounts with these keys, by key; unknown keys are left out."""
    found = read_rows(connection, select(Account).where(Account.account_key.in_(keys)))
    return {account.account_key: account for account in found}


def read_account(engine: Engine, key: str) -> Account:
    """Like `get_account`, in a transaction of its own."""
    with engine.begin() as connection:
        return get_account(connection, key)


def find_subject(
    engine: Engine, *, account: str | None = None, ads_account: str | None = None
) -> Subject | None:
    """Return an account or ads account as sessions refer to it, or None if it is unknown."""
    try:
        if account is not None:
            return read_account(engine, account).ref
        return None if ads_account is None else read_ads_account(engine, ads_account).ref
    except UnknownAccountError:
        return None


def list_countries(connection: Connection, account_id: str) -> list[Account]:
    """Return the accounts of an ads account, one a country, by key."""
    return read_rows(
        connection,
        select(Account).where(Account.account_id == account_id).order_by(Account.account_key),
    )


def set_paused(connection: Connection, key: str, *, by: str) -> None:
    """Pause an account, and have its ads account's due windows planned without this country."""
    connection.execute(
        text("""
            WITH paused AS (
                UPDATE advertiser_accounts SET paused = true, paused_by = :by, paused_at = now()
                 WHERE account_key = :key
                RETURNING account_id)
            UPDATE ads_accounts o SET planned_at = NULL
              FROM paused
             WHERE paused.account_id = o.account_id"""),
        {"key": key, "by": by},
    )


def set_resumed(connection: Connection, key: str) -> None:
    """Resume an account and its ads account, and have due windows planned again."""
    connection.execute(
        text(f"""
            WITH resumed AS (
                UPDATE advertiser_accounts
                   SET paused = false, paused_by = NULL, paused_at = NULL, export_refusals = 0
                 WHERE account_key = :key
                RETURNING account_id)
            UPDATE ads_accounts o SET {GOES_ON}, refusals = 0
              FROM resumed
             WHERE resumed.account_id = o.account_id"""),
        {"key": key},
    )


def change_account(connection: Connection, account: Account, **values: Any) -> None:
    """Set columns of an account."""
    statement = update(Account).filter_by(**account.identity)
    connection.execute(statement.values(**values))


def count_export_refusal(connection: Connection, account: Account, at: datetime) -> None:
    """Count one more refusal of an account's exports in a row."""
    refusals = func.least(Account.export_refusals + 1, 1000)
    change_account(connection, account, export_refusals=refusals, export_refused_at=at)


EXPORTS_MAY_START = """NOT EXISTS (
    SELECT FROM rate_limits l
     WHERE (l.client_id, l.region, l.call_class, l.account_id)
         = (o.client_id, o.region, 'exports', a.account_id)
       AND l.next_start_at > clock_timestamp() + interval '2 seconds')"""
"""SQL condition: exports of the account `a` of the ads account `o` are not throttled."""


def lock_rows(connection: Connection, account: Account) -> None:
    """Lock an account's rows for loading until the transaction ends, to prevent deadlocks.

    The account's row is locked too, so that it can't be deleted meanwhile and loaded rows need no
    foreign key check of their own.

    Raises:
        LockTakenError: another job has held the lock for too long.
    """
    lock_until_commit(connection, f"rows {account.account_id} {account.country_code}")
    connection.execute(_LOCK_ACCOUNT, {"id": account.id})


_LOCK_ACCOUNT = text("SELECT FROM advertiser_accounts WHERE id = :id FOR KEY SHARE")


_INSERT_ADS_ACCOUNT = text("""
    INSERT INTO ads_accounts
           (account_id, ads_account_key, name, client_id, credential, region, time_zone,
            first_seen_at)
    VALUES (:account_id, :key, :name, :client_id, :credential, :region, :time_zone, :now)
    ON CONFLICT DO NOTHING""")
_UPDATE_ADS_ACCOUNT = text("""
    UPDATE ads_accounts
       SET name = :name,
           client_id = CASE WHEN credential = :credential THEN :client_id ELSE client_id END,
           region = CASE WHEN :trusted THEN :region ELSE region END,
           time_zone = CASE WHEN :trusted THEN :time_zone ELSE time_zone END
     WHERE account_id = :account_id
    RETURNING ads_account_key""")


def upsert_ads_account(connection: Connection, values: dict[str, Any], *, now: datetime) -> str:
    """Store an ads account as Amazon lists it; return its key, which never changes.

    `values` has account_id, name, client_id, region, time_zone, `credential` unless it is the
    default one, and `trusted`, as for `upsert_account`.

    Raises:
        ValueError: its id makes no key.
    """
    values = {"credential": DEFAULT} | values
    copy_histories(connection, values["account_id"], values["client_id"], of=values["credential"])
    stored = connection.execute(_UPDATE_ADS_ACCOUNT, values).scalar_one_or_none()
    if stored is not None:
        return str(stored)
    ids = connection.execute(text("SELECT account_id FROM ads_accounts")).scalars().all()
    key = ads_account_key(values["account_id"], values["name"], ids)
    connection.execute(_INSERT_ADS_ACCOUNT, values | {"key": key, "now": now})
    return key


def change_ads_account(connection: Connection, account_id: str, **values: Any) -> None:
    """Set columns of an ads account."""
    statement = update(AdsAccount).where(AdsAccount.account_id == account_id)
    connection.execute(statement.values(**values))


def set_next_look(
    connection: Connection, ads_account: AdsAccount, next_look_at: datetime | None
) -> None:
    """Set an ads account's next refresh, unless its cadence changed since it was read."""
    connection.execute(
        update(AdsAccount)
        .where(
            AdsAccount.account_id == ads_account.account_id,
            AdsAccount.cadence_at.is_not_distinct_from(ads_account.cadence_at),
        )
        .values(next_look_at=next_look_at)
    )


def find_ads_account(connection: Connection, key: str) -> AdsAccount | None:
    """Return the ads account with this key, its own or that of one of its accounts, or None."""
    of_country = select(Account.account_id).where(Account.account_key == key)
    statement = select(AdsAccount).where(
        or_(
            AdsAccount.ads_account_key == key,
            AdsAccount.account_id == of_country.scalar_subquery(),
        )
    )
    found = read_rows(connection, statement)
    return found[0] if found else None


def get_ads_account(connection: Connection, key: str) -> AdsAccount:
    """Like `find_ads_account`, but raise `UnknownAccountError` if there is none."""
    found = find_ads_account(connection, key)
    if found is None:
        raise UnknownAccountError(key)
    return found


def read_ads_account(engine: Engine, key: str) -> AdsAccount:
    """Like `get_ads_account`, in a transaction of its own."""
    with engine.begin() as connection:
        return get_ads_account(connection, key)


def get_ads_account_by_id(connection: Connection, account_id: str) -> AdsAccount:
    """Return the ads account with this Amazon id."""
    [found] = read_rows(connection, select(AdsAccount).where(AdsAccount.account_id == account_id))
    return found


def accounts_of(statement: str) -> str:
    """Return SQL that runs an update of ads accounts and selects their accounts' keys, sorted."""
    return f"""
        WITH changed AS ({statement} RETURNING account_id)
        SELECT a.account_key
          FROM advertiser_accounts a
          JOIN changed USING (account_id)
         ORDER BY a.account_key"""


def stop(connection: Connection, of: str, values: dict[str, Any], cause: Cause) -> list[str]:
    """Stop the ads accounts that match an SQL condition; return their accounts' keys."""
    statement = f"""
        UPDATE ads_accounts
           SET needs_attention = CAST(:cause AS jsonb), needs_attention_for = :for,
               needs_attention_since = now()
         WHERE {of}"""
    stopped = text(accounts_of(statement))
    return list(connection.execute(stopped, values | {"cause": json_text(cause)}).scalars())


def set_needs_attention(connection: Connection, account_id: str, cause: Cause) -> list[str]:
    """Stop an ads account until a person resumes it; return the newly stopped accounts' keys."""
    of = "account_id = :id AND needs_attention_for IS DISTINCT FROM 'account'"
    return stop(connection, of, {"id": account_id, "for": "account"}, cause)


def count_refusal(connection: Connection, account_id: str) -> int:
    """Count one more refusal of an ads account; return how many there are in a row."""
    row = connection.execute(
        text("""
            UPDATE ads_accounts SET refusals = least(refusals + 1, 1000)
             WHERE account_id = :account_id
            RETURNING refusals"""),
        {"account_id": account_id},
    )
    return int(row.scalar_one())


_FAILED_TWICE = text("""
    SELECT account FROM (
        SELECT coalesce(account_key, '') AS account, status, finished_at,
               row_number() OVER (PARTITION BY account_key ORDER BY started_at DESC) AS place
          FROM session_headers
         WHERE job_name = :job
           AND started_at BETWEEN CAST(:since AS timestamptz) - interval '1 day'
                              AND CAST(:since AS timestamptz) + interval '1 hour') AS sessions
     WHERE place <= 2
     GROUP BY account
    HAVING count(*) = 2 AND bool_and(status = 'failed')
       AND max(finished_at) BETWEEN :since AND CAST(:since AS timestamptz) + interval '1 hour'""")


def list_accounts_failed_twice(
    connection: Connection, job_name: str, *, since: datetime
) -> set[str]:
    """Return the accounts (`""` for none) with two failed sessions of a job in a row.

    These are their last two, and the later one ended at most an hour after `since`.
    """
    return set(connection.execute(_FAILED_TWICE, {"job": job_name, "since": since}).scalars())
