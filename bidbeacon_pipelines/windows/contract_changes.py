"""Changes the contracts of ads accounts, and marks their windows to be created again.

A contract is the reports, fields, histories and periods that Amazon serves to an ads account.
"""

from datetime import datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.actions import RegistryOverridden
from bidbeacon_pipelines.contract.queries import (
    delete_learned_periods,
    delete_override,
    set_override,
)
from bidbeacon_pipelines.contract.rules import FIELD
from bidbeacon_pipelines.windows.queries import mark_windows_outdated
from bidbeacon_sessions import SessionRecorder


def change_contract(
    connection: Connection,
    session: SessionRecorder,
    region: str,
    dataset: str,
    subject: str,
    value: str | None,
    *,
    ads_account: AdsAccount | None = None,
    by: str,
    at: datetime,
) -> bool:
    """Set or delete (`value` is None) an override of the registry; return whether it changed.

    `by` is a user, or `learned` if the value is derived from Amazon's answers. A learned value
    never changes a user's override. `subject` is as in `RegistryOverride`. The override is valid in
    the region, or for `ads_account` only. The next refresh of each affected ads account creates the
    account's windows again, unless the override only renames a field.
    """
    account_id = None if ads_account is None else ads_account.account_id
    key = (connection, region, dataset, subject)
    if value is None:
        is_changed = delete_override(*key, account_id=account_id, by=by)
    else:
        is_changed = set_override(*key, value, account_id=account_id, set_by=by, set_at=at)
    if not is_changed:
        return False
    if not subject.startswith(FIELD):
        mark_windows_outdated(connection, region=region, account_id=account_id, dataset=dataset)
    session.add_in(
        connection,
        RegistryOverridden(
            region=region,
            dataset=dataset,
            account="" if ads_account is None else ads_account.ads_account_key,
            subject=subject,
            value=value or "the registry's value",
            by=by,
        ),
    )
    return True


def delete_learned_limits(connection: Connection, before: datetime, most: int) -> int:
    """Delete up to `most` limits on report periods learned before `before`; return how many."""
    learned = delete_learned_periods(connection, before, most)
    for row in learned:
        facts = {"region": row["region"], "account_id": row["account_id"]}
        mark_windows_outdated(connection, **facts, dataset=row["dataset"])
    return len(learned)
