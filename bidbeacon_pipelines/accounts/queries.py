"""SQL for ads accounts and accounts."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, func, or_, select, text, update

from bidbeacon_pipelines.accounts.rules import ads_account_key
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.contract.proven_queries import copy_histories
from bidbeacon_pipelines.credentials import DEFAULT
from bidbeacon_pipelines.database.base import read_rows
from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_sessions import Subject
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.writes import json_text

RESUMED: Final = dict.fromkeys(
    ("needs_attention", "needs_attention_for", "needs_attention_since", "planned_at")
)
"""Columns to set to null when an ads account resumes; its reports are then planned again."""
IS_ACTIVE = "NOT a.paused AND a.amazon_status <> 'DISABLED'"
"""SQL condition: the account `a` is neither paused nor disabled."""
IS_REFRESHED = f"{IS_ACTIVE} AND o.needs_attention IS NULL"
"""SQL condition: the account `a` of the ads account `o` is active and needs no attention."""
STOP_WORD_ARMS = """WHEN a.paused THEN 'paused'
            WHEN a.amazon_status = 'DISABLED' THEN 'disabled'
            WHEN o.needs_attention IS NOT NULL THEN 'needs attention'"""
"""SQL: the WHEN branches of a CASE that returns why the account `a` of `o` is stopped."""
STOP_WORD = f"CASE {STOP_WORD_ARMS} END"
"""SQL for the word that `Account.stopped` returns."""

ADS_ACCOUNT_LABEL = "coalesce(o.alias, nullif(o.name, ''), o.ads_account_key)"
"""SQL for the label of the ads account `o`."""
ACCOUNT_LABEL = f"{ADS_ACCOUNT_LABEL} || ' · ' || a.country_code"
"""SQL for the label of the account `a` of the ads account `o`: `Acme Merch · US`."""


class UnknownAccountError(UsageError):
    """No account of a country has this `key` or name; `nearest` has the most similar names."""

    def __init__(self, key: str, nearest: Sequence[str] = (), country: str | None = None) -> None:
        self.key = key
        self.nearest = nearest
        meant = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        where = f" in {country}" if country else ""
        super().__init__(
            f"No account {key!r}{where}: `bidbeacon accounts list` shows all accounts; "
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

    `values` has the columns and `trusted`. `trusted` is true if all profiles of the account's
    region, and all profile and entity ids of its ads account, could be read. Otherwise stored ids,
    region, currency and time zone are kept, since the new ones may be defaults or wrong.
    """
    return bool(connection.execute(_UPSERT_ACCOUNT, values | {"now": now}).scalar_one())


def list_accounts(connection: Connection) -> list[Account]:
    """Return all accounts, sorted by key."""
    return read_rows(connection, select(Account).order_by(Account.account_key))


def list_subjects(connection: Connection) -> list[Subject]:
    """Return all accounts and ads accounts as subjects of sessions, with current labels."""
    of_ads_accounts = [one.ref for one in read_rows(connection, select(AdsAccount))]
    return [account.ref for account in list_accounts(connection)] + of_ads_accounts


def get_account(connection: Connection, key: str) -> Account:
    """Return the account with this key, or raise `UnknownAccountError`."""
    found = get_accounts(connection, [key])
    if key not in found:
        raise UnknownAccountError(key)
    return found[key]


def get_accounts(connection: Connection, keys: Collection[str]) -> dict[str, Account]:
    """Return the accounts with these keys, by key; unknown keys are left out."""
    found = read_rows(connection, select(Account).where(Account.account_key.in_(keys)))
    return {account.account_key: account for account in found}


def read_account(engine: Engine, key: str) -> Account:
    """Return the account with this key, read in a new transaction (see `get_account`)."""
    with engine.begin() as connection:
        return get_account(connection, key)


def list_countries(connection: Connection, account_id: str) -> list[Account]:
    """Return the accounts of an ads account (one per country), sorted by key."""
    countries = select(Account).where(Account.account_id == account_id)
    return read_rows(connection, countries.order_by(Account.account_key))


def set_paused(connection: Connection, account: Account, *, by: str) -> None:
    """Pause an account.

    The next refresh plans the ads account's due windows again, without those of this account.
    """
    change_account(connection, account, paused=True, paused_by=by, paused_at=func.now())
    change_ads_account(connection, account.account_id, planned_at=None)


def set_resumed(connection: Connection, account: Account) -> None:
    """Resume an account and its ads account; the next refresh plans all due windows again."""
    active = {"paused": False, "paused_by": None, "paused_at": None, "export_refusals": 0}
    change_account(connection, account, **active)
    change_ads_account(connection, account.account_id, **RESUMED, refusals=0)


def change_account(connection: Connection, account: Account, **values: Any) -> None:
    """Set the columns in `values` in an account's row."""
    statement = update(Account).filter_by(**account.identity)
    connection.execute(statement.values(**values))


def count_export_refusal(connection: Connection, account: Account, at: datetime) -> None:
    """Increase the number of consecutive refusals of an account's exports by one."""
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

    The row of the account itself is locked too. The account therefore can't be deleted meanwhile,
    and loaded rows need no foreign key check.

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

    `values` has account_id, name, client_id, region, time_zone and `trusted` (see
    `upsert_account`). If it has no `credential`, the default credential is used.

    Raises:
        ValueError: the ads account's id can't be part of a key.
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
    """Set the columns in `values` in an ads account's row."""
    statement = update(AdsAccount).where(AdsAccount.account_id == account_id)
    connection.execute(statement.values(**values))


def set_next_run(
    connection: Connection, ads_account: AdsAccount, next_run_at: datetime | None
) -> None:
    """Store an ads account's next refresh.

    Nothing is stored if a user has changed the cadence since `ads_account` was read.
    """
    is_unchanged = AdsAccount.cadence_at.is_not_distinct_from(ads_account.cadence_at)
    statement = update(AdsAccount).where(AdsAccount.account_id == ads_account.account_id)
    connection.execute(statement.where(is_unchanged).values(next_run_at=next_run_at))


def find_ads_account(connection: Connection, key: str) -> AdsAccount | None:
    """Return the ads account with this key, or None; `key` may be that of one of its accounts."""
    of_country = select(Account.account_id).where(Account.account_key == key).scalar_subquery()
    is_found = or_(AdsAccount.ads_account_key == key, AdsAccount.account_id == of_country)
    found = read_rows(connection, select(AdsAccount).where(is_found))
    return found[0] if found else None


def get_ads_account(connection: Connection, key: str) -> AdsAccount:
    """Return the result of `find_ads_account`; raise `UnknownAccountError` instead of None."""
    found = find_ads_account(connection, key)
    if found is None:
        raise UnknownAccountError(key)
    return found


def read_ads_account(engine: Engine, key: str) -> AdsAccount:
    """Return an ads account by key, read in a new transaction (see `get_ads_account`)."""
    with engine.begin() as connection:
        return get_ads_account(connection, key)


def get_ads_account_by_id(connection: Connection, account_id: str) -> AdsAccount:
    """Return the ads account with this Amazon id."""
    [found] = read_rows(connection, select(AdsAccount).where(AdsAccount.account_id == account_id))
    return found


def change_ads_accounts(
    connection: Connection, *where: ColumnElement[bool], **values: Any
) -> list[str]:
    """Set columns of the ads accounts that meet all conditions; return their accounts' keys."""
    changed = update(AdsAccount).where(*where).values(**values).returning(AdsAccount.account_id)
    ids = connection.execute(changed).scalars().all()
    keys = select(Account.account_key).where(Account.account_id.in_(ids))
    return list(connection.execute(keys.order_by(Account.account_key)).scalars())


def needing_attention(of: str, cause: Cause) -> dict[str, Any]:
    """Return the column values that mark an ads account as needing attention from now on.

    `of` is `account` if Amazon refuses the ads account, `credentials` if it refuses the credential.
    """
    why = text("CAST(:cause AS jsonb)").bindparams(cause=json_text(cause))
    since = {"needs_attention_since": func.now()}
    return {"needs_attention": why, "needs_attention_for": of} | since


def set_needs_attention(connection: Connection, account_id: str, cause: Cause) -> list[str]:
    """Stop an ads account until a person resumes it; return keys of newly stopped accounts."""
    of = AdsAccount.account_id == account_id
    is_new = AdsAccount.needs_attention_for.is_distinct_from("account")
    return change_ads_accounts(connection, of, is_new, **needing_attention("account", cause))


def count_refusal(connection: Connection, account_id: str) -> int:
    """Count one more refusal of an ads account; return the number of consecutive refusals."""
    refusals = func.least(AdsAccount.refusals + 1, 1000)
    counted = update(AdsAccount).where(AdsAccount.account_id == account_id)
    statement = counted.values(refusals=refusals).returning(AdsAccount.refusals)
    return int(connection.execute(statement).scalar_one())
