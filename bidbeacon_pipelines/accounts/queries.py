"""SQL on accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, text

from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_sessions import Subject

IS_ACTIVE = "a.enabled AND a.amazon_status <> 'DISABLED'"
"""Whether the account `a` is refreshed, unless its ads account is suspended."""


ADS_ACCOUNT_LABEL = "coalesce(o.alias, nullif(o.name, ''), o.ads_account_key)"
"""What the ads account `o` is called, everywhere."""
ACCOUNT_LABEL = f"{ADS_ACCOUNT_LABEL} || ' · ' || a.country_code"
"""What the account `a` of the ads account `o` is called, everywhere: `Acme Merch · US`."""


class UnknownAccountError(LookupError):
    """No account has this key or name.

    Attributes:
        key: What was given.
        nearest: The names that come closest.
    """

    def __init__(self, key: str, nearest: Sequence[str] = ()) -> None:
        self.key = key
        self.nearest = nearest
        meant = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(
            f"No account {key!r}: `bidbeacon accounts list` shows them; `bidbeacon accounts sync` reads them from Amazon.{meant}"
        )


@dataclass(frozen=True)
class Account:
    """An Amazon ads account in one country, as stored.

    `label` is what it is called, `name` what Amazon calls it. `time_zone` is the IANA zone its days
    are counted in; `id` is what report rows refer to.
    """

    id: int
    account_id: str
    country_code: str
    account_key: str
    ads_account_key: str
    name: str
    alias: str | None
    label: str
    amazon_status: str
    profile_id: str | None
    region: Any
    currency_code: str
    time_zone: str
    enabled: bool
    paused_by: str | None
    paused_at: datetime | None
    needs_person: str | None
    needs_person_for: str | None
    refusals: int
    entities_synced_at: datetime | None

    @property
    def ref(self) -> Subject:
        """How sessions refer to it."""
        return Subject(self.account_key, self.label)

    @property
    def identity(self) -> dict[str, str]:
        """The two columns that every table of account data has."""
        return {"account_id": self.account_id, "country_code": self.country_code}

    @property
    def is_disabled(self) -> bool:
        """Whether somebody paused it here, or disabled it at Amazon."""
        return not self.enabled or self.amazon_status == "DISABLED"

    @property
    def reason_to_skip(self) -> str | None:
        """Why no reports are requested for this account, or None."""
        if not self.enabled:
            return f"it is paused: `bidbeacon accounts resume {self.account_key}` resumes it"
        if self.amazon_status == "DISABLED":
            return "Amazon has disabled it"
        return self.needs_person


_COLUMNS = f"""a.id, a.account_id, a.country_code, a.account_key, o.ads_account_key, a.name, o.alias, {ACCOUNT_LABEL} AS label,
    a.amazon_status, a.profile_id, a.region, a.currency_code, a.time_zone, a.enabled, a.paused_by, a.paused_at, o.needs_person, o.needs_person_for, o.refusals, a.entities_synced_at"""
_FROM = "advertiser_accounts a JOIN ads_accounts o USING (account_id)"

# `xmax = 0` is true of a row that this statement inserted.
_UPSERT = text("""
    INSERT INTO advertiser_accounts AS a (account_id, country_code, account_key, name, amazon_status, profile_id, entity_id,
                                          region, currency_code, time_zone, marketplace_id, account_type, first_seen_at, synced_at)
    VALUES (:account_id, :country_code, :account_key, :name, :amazon_status, :profile_id, :entity_id,
            :region, :currency_code, :time_zone, :marketplace_id, :account_type, :now, :now)
    ON CONFLICT (account_id, country_code) DO UPDATE
       SET name = excluded.name, amazon_status = excluded.amazon_status, profile_id = coalesce(excluded.profile_id, a.profile_id),
           entity_id = coalesce(excluded.entity_id, a.entity_id), region = CASE WHEN :trusted THEN excluded.region ELSE a.region END,
           currency_code = CASE WHEN :trusted THEN excluded.currency_code ELSE a.currency_code END,
           time_zone = CASE WHEN :trusted THEN excluded.time_zone ELSE a.time_zone END, marketplace_id = coalesce(excluded.marketplace_id, a.marketplace_id),
           account_type = coalesce(excluded.account_type, a.account_type), synced_at = excluded.synced_at
    RETURNING xmax = 0 AS added""")


def upsert_account(connection: Connection, values: dict[str, Any], *, now: datetime) -> bool:
    """Store one account as Amazon lists it; return True if it is new. Accounts are never deleted.

    `values` has the columns, and `trusted`: whether the account's region returned all of its
    profiles. If not, region, currency and time zone are defaults, and stored values are kept.
    """
    return bool(connection.execute(_UPSERT, values | {"now": now}).scalar_one())


def list_accounts(connection: Connection) -> list[Account]:
    """Return all accounts, by key."""
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM {_FROM} ORDER BY a.account_key"))
    return [_account(row) for row in rows.mappings()]


_SUBJECTS = text(f"""
    SELECT a.account_key AS key, {ACCOUNT_LABEL} AS label FROM {_FROM}
     UNION ALL
    SELECT o.ads_account_key, {ADS_ACCOUNT_LABEL} FROM ads_accounts o""")


def list_subjects(connection: Connection) -> list[Subject]:
    """Return what accounts and ads accounts are called now, as sessions refer to them."""
    return [Subject(row.key, row.label) for row in connection.execute(_SUBJECTS)]


_DETAILS = text("""
    SELECT a.account_type, a.marketplace_id, a.profile_id, a.first_seen_at, a.synced_at, a.entities_synced_at, o.credential, o.client_id, o.region,
           o.cadence_by, o.cadence_at, o.refresh_every, o.refresh_cron, o.next_look_at, o.last_look_at
      FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
     WHERE a.account_id = :account_id AND a.country_code = :country_code""")


def get_details(connection: Connection, account: Account) -> RowMapping:
    """Return what else is stored of an account and of its ads account's schedule; the columns of both tables."""
    return connection.execute(_DETAILS, account.identity).mappings().one()


def find_account(connection: Connection, key: str) -> Account | None:
    """Return the account with this key, or None."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE a.account_key = :key"), {"key": key}
    )
    row = rows.mappings().first()
    return None if row is None else _account(row)


def get_account(connection: Connection, key: str) -> Account:
    """Return the account with this key.

    Raises:
        UnknownAccountError: there is none.
    """
    account = find_account(connection, key)
    if account is None:
        raise UnknownAccountError(key)
    return account


def read_account(engine: Engine, key: str) -> Account:
    """Return the account with a key, in a transaction of its own.

    Raises:
        UnknownAccountError: no account has this key.
    """
    with engine.begin() as connection:
        return get_account(connection, key)


def count_countries(connection: Connection, account_id: str) -> int:
    """Return how many countries an ads account has, disabled ones among them."""
    statement = text("SELECT count(*) FROM advertiser_accounts WHERE account_id = :account_id")
    return int(connection.execute(statement, {"account_id": account_id}).scalar_one())


def list_countries(connection: Connection, account_id: str) -> list[Account]:
    """Return the accounts of an ads account, one a country, by key."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE a.account_id = :id ORDER BY a.account_key"),
        {"id": account_id},
    )
    return [_account(row) for row in rows.mappings()]


def set_enabled(connection: Connection, key: str, *, enabled: bool) -> None:
    """Switch an account's refreshes on or off; switching on also clears why its ads account needs a person.

    Due windows are planned again, with or without this country.
    """
    account = get_account(connection, key)
    connection.execute(
        text("""UPDATE advertiser_accounts
                   SET enabled = :enabled, export_refusals = CASE WHEN :enabled THEN 0 ELSE export_refusals END
                 WHERE account_key = :key"""),
        {"key": key, "enabled": enabled},
    )
    connection.execute(
        text("""UPDATE ads_accounts
                   SET planned_at = NULL, needs_person = CASE WHEN :enabled THEN NULL ELSE needs_person END,
                       needs_person_for = CASE WHEN :enabled THEN NULL ELSE needs_person_for END,
                       needs_person_since = CASE WHEN :enabled THEN NULL ELSE needs_person_since END,
                       refusals = CASE WHEN :enabled THEN 0 ELSE refusals END
                 WHERE account_id = :account_id"""),
        {"account_id": account.account_id, "enabled": enabled},
    )


def set_entities_synced(connection: Connection, account: Account, at: datetime) -> None:
    """Record that all four kinds of entities were synced at this instant."""
    connection.execute(
        text("""UPDATE advertiser_accounts SET entities_synced_at = :at
                 WHERE account_id = :account_id AND country_code = :country_code"""),
        account.identity | {"at": at},
    )


def count_export_refusal(connection: Connection, account: Account, at: datetime) -> int:
    """Count one more refusal of an account's exports; return how many there are in a row."""
    row = connection.execute(
        text("""UPDATE advertiser_accounts
                   SET export_refusals = least(export_refusals + 1, 1000), export_refused_at = :at
                 WHERE account_id = :account_id AND country_code = :country_code RETURNING export_refusals"""),
        account.identity | {"at": at},
    )
    return int(row.scalar_one())


def forget_export_refusals(connection: Connection, account: Account) -> None:
    """Reset the count of refused exports of an account."""
    connection.execute(
        text("""UPDATE advertiser_accounts SET export_refusals = 0
                 WHERE account_id = :account_id AND country_code = :country_code AND export_refusals > 0"""),
        account.identity,
    )


EXPORTS_MAY_START = """NOT EXISTS (
    SELECT FROM rate_limits l
     WHERE (l.region, l.call_class, l.account_id) = (o.region, 'exports', a.account_id)
       AND l.next_start_at > clock_timestamp() + interval '2 seconds'
       AND l.next_start_at <= clock_timestamp() + interval '1 hour')"""
"""Amazon does not throttle exports of the account `a` of the ads account `o`."""
MOST_EXPORT_REFUSALS = 3
"""So many refusals in a row of an account's exports are believed: then they are asked for rarely."""


def list_keys_without_entities(
    connection: Connection, *, synced_before: datetime, missed_before: datetime
) -> Sequence[str]:
    """Return the keys of active accounts whose entities are to be synced though nobody asked for it, and whose exports Amazon does not throttle.

    Args:
        connection: where to look.
        synced_before: those whose last sync is older, or that never had one.
        missed_before: those whose last sync is older, and that have since loaded rows with unknown
            targets; also those whose exports
            Amazon has refused too often in a row, the last time before this.
    """
    rows = connection.execute(
        text(f"""SELECT account_key FROM {_FROM}
                 WHERE {IS_ACTIVE} AND o.needs_person IS NULL AND profile_id IS NOT NULL
                   AND (export_refusals < {MOST_EXPORT_REFUSALS} OR export_refused_at < :missed)
                   AND a.entities_wanted_by IS NULL AND {EXPORTS_MAY_START}
                   AND (entities_synced_at IS NULL OR entities_synced_at < :synced
                        OR entities_synced_at < :missed AND EXISTS (
                           SELECT FROM report_windows w
                            WHERE w.account_id = a.account_id AND w.country_code = a.country_code
                              AND w.unresolved_count > 0 AND w.data_as_of > a.entities_synced_at))
                 ORDER BY account_key"""),
        {"synced": synced_before, "missed": missed_before},
    )
    return list(rows.scalars())


def lock_rows(connection: Connection, account: Account) -> None:
    """Lock loading and resolving of this account's rows until the transaction ends: two at once could deadlock.

    Raises:
        LockTakenError: another job has been at work on them for too long.
    """
    lock_until_commit(connection, f"rows {account.account_id} {account.country_code}")


def lock_summary(connection: Connection, account: Account) -> None:
    """Lock the summary of this account until the transaction ends.

    Raises:
        LockTakenError: another job held the lock for too long.
    """
    lock_until_commit(connection, f"summary {account.account_id} {account.country_code}")


def _account(row: RowMapping) -> Account:
    return Account(**row)
