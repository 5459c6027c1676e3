"""What Amazon serves an ads account, and changing it: the registry, its overrides, and the ad products that there are campaigns of."""

from datetime import datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.override_queries import (
    delete_learned_limits,
    delete_override,
    list_overrides_for,
    set_override,
)
from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.actions import RegistryOverridden
from bidbeacon_pipelines.datasets.contract import FIELD, Contract, make_contract
from bidbeacon_pipelines.entities.queries import find_ad_products
from bidbeacon_pipelines.windows.queries import forget_windows_through
from bidbeacon_sessions import SessionRecorder


def read_contract(connection: Connection, account_id: str) -> Contract:
    """Return what Amazon serves an ads account."""
    overrides = list_overrides_for(connection, account_id)
    products = find_ad_products(connection, account_id)
    return make_contract(overrides, products)


def change_contract(
    connection: Connection,
    session: SessionRecorder,
    region: str,
    dataset: str,
    what: str,
    value: str | None,
    *,
    ads_account: AdsAccount | None = None,
    by: str,
    at: datetime,
) -> bool:
    """Override the registry, or with None as `value` no longer; return whether anything was changed.

    A person's override is changed by persons only. The next refresh of each ads account concerned makes its windows again.

    Args:
        connection: the transaction.
        session: where it is recorded.
        region: where it holds.
        dataset: the dataset's name.
        what: what is overridden, as in `RegistryOverride`.
        value: by what.
        ads_account: where it holds for one only.
        by: who changes it, or `learned`.
        at: the instant.
    """
    account_id = None if ads_account is None else ads_account.account_id
    key = (connection, region, dataset, what)
    if value is None:
        is_changed = delete_override(*key, account_id=account_id, by=by)
    else:
        is_changed = set_override(*key, value, account_id=account_id, set_by=by, set_at=at)
    if not is_changed:
        return False
    if not what.startswith(FIELD):
        forget_windows_through(connection, region=region, account_id=account_id, dataset=dataset)
    session.add_in(
        connection,
        RegistryOverridden(
            region=region,
            dataset=dataset,
            account="" if ads_account is None else ads_account.ads_account_key,
            what=what,
            value=value or "what the registry says",
            by=by,
        ),
    )
    return True


def forget_learned(connection: Connection, before: datetime, most: int) -> int:
    """Delete limits that were learned before an instant, and have the windows concerned made again; return how many."""
    learned = delete_learned_limits(connection, before, most)
    for row in learned:
        facts = {"region": row["region"], "account_id": row["account_id"]}
        forget_windows_through(connection, **facts, dataset=row["dataset"])
    return len(learned)
