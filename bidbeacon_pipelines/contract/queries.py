"""SQL on overrides of the registry, and the contract of an ads account."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.contract.rules import LEARNED, Contract, make_contract
from bidbeacon_pipelines.entities.queries import find_ad_products

_FOR_ACCOUNT = text("""
    SELECT v.dataset, v.account_id, v.subject, v.value
      FROM registry_overrides v
      JOIN ads_accounts o ON o.region = v.region
     WHERE o.account_id = :account_id AND (v.account_id IS NULL OR v.account_id = o.account_id)""")


def read_contract(connection: Connection, account_id: str) -> Contract:
    """Return an ads account's contract: its overrides, those of its region, its ad products."""
    overrides = connection.execute(_FOR_ACCOUNT, {"account_id": account_id}).mappings().all()
    return make_contract(overrides, find_ad_products(connection, account_id))


_LIST = text("""
    SELECT v.id, v.region, v.dataset, v.account_id, o.ads_account_key, v.subject, v.value, v.set_by,
           v.set_at
      FROM registry_overrides v
      LEFT JOIN ads_accounts o USING (account_id)
     ORDER BY v.region, v.dataset, o.ads_account_key NULLS FIRST, v.subject""")


def list_overrides(connection: Connection) -> list[RowMapping]:
    """Return all overrides with their ads accounts' keys (None for a whole region)."""
    return list(connection.execute(_LIST).mappings())


# A learned override doesn't replace one that a user has set.
_SET = text("""
    INSERT INTO registry_overrides AS o
           (region, dataset, account_id, subject, value, set_by, set_at)
    VALUES (:region, :dataset, :account_id, :subject, :value, :set_by, :set_at)
    ON CONFLICT (region, dataset, account_id, subject)
    DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at
     WHERE o.set_by = :learned OR :set_by <> :learned""")


def set_override(
    connection: Connection,
    region: str,
    dataset: str,
    subject: str,
    value: str,
    *,
    account_id: str | None = None,
    set_by: str,
    set_at: datetime,
) -> bool:
    """Store or replace an override; return False if a learned value would replace a user's."""
    values: dict[str, Any] = {"region": region, "dataset": dataset, "account_id": account_id}
    values |= {"subject": subject, "value": value, "set_by": set_by, "set_at": set_at}
    return connection.execute(_SET, values | {"learned": LEARNED}).rowcount > 0


_DELETE = text("""
    DELETE FROM registry_overrides o
     WHERE region = :region AND dataset = :dataset AND subject = :subject
       AND account_id IS NOT DISTINCT FROM :account_id
       AND (o.set_by = :learned OR :set_by <> :learned)""")


def delete_override(
    connection: Connection,
    region: str,
    dataset: str,
    subject: str,
    *,
    account_id: str | None = None,
    by: str,
) -> bool:
    """Delete an override; return whether one was deleted.

    An override that a user has set is deleted only if `by` is a user, not `learned`.
    """
    values = {"region": region, "dataset": dataset, "subject": subject, "account_id": account_id}
    values |= {"set_by": by, "learned": LEARNED}
    return connection.execute(_DELETE, values).rowcount > 0


_DELETE_LEARNED = text("""
    DELETE FROM registry_overrides
     WHERE id IN (
           SELECT id FROM registry_overrides
            WHERE set_by = :learned AND subject LIKE 'period:%' AND set_at < :before
            LIMIT :most)
    RETURNING region, account_id, dataset""")


def delete_learned_periods(connection: Connection, before: datetime, most: int) -> list[RowMapping]:
    """Delete up to `most` period limits that were learned before an instant.

    Return the region, account_id and dataset of each.
    """
    values = {"learned": LEARNED, "before": before, "most": most}
    return list(connection.execute(_DELETE_LEARNED, values).mappings())
