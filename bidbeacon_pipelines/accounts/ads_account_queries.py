"""SQL on ads accounts: their identity, suspension, and which have something to plan."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, text

from bidbeacon_pipelines.accounts.keys import ads_account_key
from bidbeacon_pipelines.accounts.queries import ADS_ACCOUNT_LABEL, IS_ACTIVE, UnknownAccountError
from bidbeacon_sessions import Subject


@dataclass(frozen=True)
class AdsAccount:
    """An ads account as stored; see the table's description.

    `label` is what it is called, `name` what Amazon calls it.
    """

    account_id: str
    ads_account_key: str
    name: str
    label: str
    client_id: str
    region: Any
    needs_person: str | None
    needs_person_for: str | None
    refusals: int
    longest_periods: dict[str, tuple[int, date]] = field(default_factory=dict)
    split_datasets: list[str] = field(default_factory=list)

    @property
    def ref(self) -> Subject:
        """How sessions refer to it."""
        return Subject(self.ads_account_key, self.label)


_COLUMNS = f"""o.account_id, o.ads_account_key, o.name, {ADS_ACCOUNT_LABEL} AS label, o.client_id, o.region, o.needs_person, o.needs_person_for, o.refusals,
    o.longest_periods, o.split_datasets"""

_INSERT = text("""
    INSERT INTO ads_accounts (account_id, ads_account_key, name, client_id, region, time_zone, first_seen_at)
    VALUES (:account_id, :key, :name, :client_id, :region, :time_zone, :now) ON CONFLICT DO NOTHING""")
_UPDATE = text("""
    UPDATE ads_accounts
       SET name = :name, client_id = :client_id, region = CASE WHEN :trusted THEN :region ELSE region END,
           time_zone = CASE WHEN :trusted THEN :time_zone ELSE time_zone END
     WHERE account_id = :account_id RETURNING ads_account_key""")


def upsert_ads_account(connection: Connection, values: dict[str, Any], *, now: datetime) -> str:
    """Store an ads account as Amazon lists it; return its key, which is made at first sight and stays.

    `values` has account_id, name, client_id, region, time_zone, and `trusted`: as for
    `store.accounts.upsert_account`.

    Raises:
        ValueError: its id makes no key.
    """
    stored = connection.execute(_UPDATE, values).scalar_one_or_none()
    if stored is not None:
        return str(stored)
    ids = connection.execute(text("SELECT account_id FROM ads_accounts")).scalars().all()
    key = ads_account_key(values["account_id"], values["name"], ids)
    connection.execute(_INSERT, values | {"key": key, "now": now})
    return key


def set_alias(connection: Connection, account_id: str, alias: str | None) -> None:
    """Set or remove (None) the alias of an ads account."""
    connection.execute(
        text("UPDATE ads_accounts SET alias = :alias WHERE account_id = :id"),
        {"id": account_id, "alias": alias},
    )


def find_ads_account(connection: Connection, key: str) -> AdsAccount | None:
    """Return the ads account with this key, or the one that the account with this key belongs to; None where there is none."""
    row = connection.execute(
        text(f"""SELECT {_COLUMNS} FROM ads_accounts o
                  WHERE o.ads_account_key = :key
                     OR o.account_id = (SELECT account_id FROM advertiser_accounts WHERE account_key = :key)"""),
        {"key": key},
    )
    found = row.mappings().first()
    return None if found is None else _ads_account(found)


def get_ads_account(connection: Connection, key: str) -> AdsAccount:
    """Return the ads account with this key, or the one that the account with this key belongs to.

    Raises:
        UnknownAccountError: there is none.
    """
    found = find_ads_account(connection, key)
    if found is None:
        raise UnknownAccountError(key)
    return found


def read_ads_account(engine: Engine, key: str) -> AdsAccount:
    """Return the ads account with a key, its own or of one of its accounts, in a transaction of its own.

    Raises:
        UnknownAccountError: no account has this key.
    """
    with engine.begin() as connection:
        return get_ads_account(connection, key)


def get_ads_account_by_id(connection: Connection, account_id: str) -> AdsAccount:
    """Return the ads account with this id of Amazon's."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM ads_accounts o WHERE o.account_id = :id"), {"id": account_id}
    )
    return _ads_account(row.mappings().one())


def _accounts_of(statement: str) -> str:
    """Return a statement that changes ads accounts and answers with the keys of their accounts, by country."""
    return f"""WITH changed AS ({statement} RETURNING account_id)
               SELECT a.account_key FROM advertiser_accounts a JOIN changed USING (account_id) ORDER BY a.account_key"""


def set_needs_person(connection: Connection, account_id: str, reason: str) -> list[str]:
    """Suspend an ads account until a person resumes it; return its accounts' keys, none if it already was."""
    rows = connection.execute(
        text(
            _accounts_of("""UPDATE ads_accounts SET needs_person = :reason, needs_person_for = 'account', needs_person_since = now()
                             WHERE account_id = :account_id AND needs_person_for IS DISTINCT FROM 'account'""")
        ),
        {"account_id": account_id, "reason": reason},
    )
    return list(rows.scalars())


def count_refusal(connection: Connection, account_id: str) -> int:
    """Count one more refusal of an ads account; return how many there are in a row."""
    row = connection.execute(
        text("""UPDATE ads_accounts SET refusals = least(refusals + 1, 1000)
                 WHERE account_id = :account_id RETURNING refusals"""),
        {"account_id": account_id},
    )
    return int(row.scalar_one())


def forget_refusals(connection: Connection, account_id: str) -> None:
    """Reset the count of refusals of an ads account."""
    connection.execute(
        text(
            "UPDATE ads_accounts SET refusals = 0 WHERE account_id = :account_id AND refusals > 0"
        ),
        {"account_id": account_id},
    )


def forget_plans(connection: Connection, account_id: str) -> None:
    """Plan the due windows of an ads account again."""
    connection.execute(
        text("UPDATE ads_accounts SET planned_at = NULL WHERE account_id = :id"), {"id": account_id}
    )


def replan_released(connection: Connection, account_id: str, request_id: int) -> None:
    """Plan an ads account again if windows that waited for a request fell due before it was last planned.

    Planning left them out, since they were in a report then. The caller keeps planning locked,
    which could go over this mark otherwise.
    """
    connection.execute(
        text("""UPDATE ads_accounts o SET planned_at = NULL
                 WHERE account_id = :account_id
                   AND EXISTS (SELECT FROM report_windows w
                                WHERE w.account_id = o.account_id AND w.last_request_id = :request_id AND w.request_id IS NULL
                                  AND w.next_refresh_at <= o.planned_at)"""),
        {"account_id": account_id, "request_id": request_id},
    )


def set_longest_period(
    connection: Connection, account_id: str, dataset: str, days: int, *, since: date
) -> None:
    """Store the most days of a report of an ads account, and when more were refused."""
    connection.execute(
        text("""UPDATE ads_accounts
                   SET longest_periods = longest_periods || jsonb_build_object(
                           CAST(:dataset AS text), jsonb_build_object('days', CAST(:days AS integer), 'since', CAST(:since AS date)))
                 WHERE account_id = :account_id"""),
        {"account_id": account_id, "dataset": dataset, "days": days, "since": since},
    )


def split_dataset(connection: Connection, account_id: str, dataset: str) -> None:
    """Record that a dataset of an ads account has to be requested by ad product."""
    connection.execute(
        text("""UPDATE ads_accounts SET split_datasets = array_append(split_datasets, CAST(:dataset AS text))
                 WHERE account_id = :account_id AND NOT (:dataset = ANY(split_datasets))"""),
        {"account_id": account_id, "dataset": dataset},
    )


def set_credentials_need_person(connection: Connection, reason: str) -> list[str]:
    """Suspend all ads accounts, since Amazon refuses our credentials; return the keys of newly suspended accounts."""
    rows = connection.execute(
        text(
            _accounts_of("""UPDATE ads_accounts SET needs_person = :reason, needs_person_for = 'credentials', needs_person_since = now()
                             WHERE needs_person IS NULL""")
        ),
        {"reason": reason},
    )
    return list(rows.scalars())


def clear_credentials_need_person(connection: Connection) -> list[str]:
    """Resume the ads accounts that only waited for valid credentials; return their accounts' keys."""
    rows = connection.execute(
        text(
            _accounts_of("""UPDATE ads_accounts SET needs_person = NULL, needs_person_for = NULL, needs_person_since = NULL, planned_at = NULL
                             WHERE needs_person_for = 'credentials'""")
        )
    )
    return list(rows.scalars())


# A due window that was there when the ads account was last planned is in its plan, or waits for the
# next one to fall due.
_WITH_DUE_WORK = text(f"""
    SELECT o.ads_account_key
      FROM ads_accounts o
     WHERE o.needs_person IS NULL AND (o.next_look_at IS NULL OR o.next_look_at <= :now)
       AND NOT EXISTS (SELECT FROM advertiser_accounts a
                        WHERE a.account_id = o.account_id AND {IS_ACTIVE} AND a.entities_synced_at IS NULL
                          AND a.first_seen_at >= CAST(:now AS timestamptz) - interval '15 minutes')
       AND EXISTS (
           SELECT FROM advertiser_accounts a
            CROSS JOIN LATERAL (SELECT CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date) AS date) today
             LEFT JOIN (SELECT account_id, country_code, count(*) AS datasets,
                               min(through_date) AS first_date, max(through_date) AS last_date
                          FROM dataset_windows WHERE dataset = ANY(:datasets) GROUP BY account_id, country_code) made
                    USING (account_id, country_code)
            WHERE a.account_id = o.account_id AND {IS_ACTIVE}
              AND (coalesce(made.datasets, 0) < cardinality(CAST(:datasets AS text[]))
                   OR made.first_date < today.date OR made.last_date > today.date + 1
                   OR EXISTS (SELECT FROM report_windows w
                               WHERE w.account_id = a.account_id AND w.country_code = a.country_code
                                 AND w.dataset = ANY(:datasets) AND w.request_id IS NULL
                                 AND w.next_refresh_at > coalesce(o.planned_at, '-infinity') AND w.next_refresh_at <= :now)))
     ORDER BY o.last_look_at NULLS FIRST, o.ads_account_key""")


def list_ads_accounts_with_due_work(
    connection: Connection, *, now: datetime, datasets: Sequence[str]
) -> list[str]:
    """Return the keys of ads accounts that have windows to create, or windows that fell due since they were last planned.

    An ads account waits for its own cadence, and until the entities of all of its countries were
    synced, but for that no longer than 15 minutes. The one refreshed longest ago comes first.

    Args:
        connection: where to look.
        now: the instant at which something is due.
        datasets: the names of those that are kept; windows of others are left alone.
    """
    values = {"now": now, "datasets": list(datasets)}
    return list(connection.execute(_WITH_DUE_WORK, values).scalars())


_OPEN_ROUNDS = text(f"""
    SELECT o.ads_account_key, o.last_look_at
      FROM ads_accounts o
     WHERE o.needs_person IS NULL AND o.next_look_at > :now
       AND EXISTS (SELECT FROM advertiser_accounts a JOIN report_windows w USING (account_id, country_code)
                    WHERE a.account_id = o.account_id AND {IS_ACTIVE} AND w.dataset = ANY(:datasets) AND w.request_id IS NULL
                      AND w.next_refresh_at > coalesce(o.planned_at, '-infinity') AND w.next_refresh_at <= o.last_look_at)
     ORDER BY o.last_look_at, o.ads_account_key""")


def list_open_rounds(
    connection: Connection, *, now: datetime, datasets: Sequence[str]
) -> list[tuple[str, datetime]]:
    """Return the keys of ads accounts whose next round is later, and whose last one still lacks reports, with the instant that it began.

    It lacks those of windows that were due by then and are in no plan: the report of one group of
    ad products is loaded and that of another is to come, or a report is asked for in parts.
    """
    found = connection.execute(_OPEN_ROUNDS, {"now": now, "datasets": list(datasets)})
    return [(row.ads_account_key, row.last_look_at) for row in found]


def _ads_account(row: RowMapping) -> AdsAccount:
    stored = row["longest_periods"].items()
    periods = {
        name: (learned["days"], date.fromisoformat(learned["since"])) for name, learned in stored
    }
    return AdsAccount(**{**row, "longest_periods": periods})
