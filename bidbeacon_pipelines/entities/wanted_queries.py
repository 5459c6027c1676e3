"""SQL for the syncs of entities that users request, and for the claims of these syncs.

A claim is valid while the lease of its session lasts. A Dagster sensor starts the runs that make
these syncs.
"""

from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, EXPORTS_MAY_START, IS_REFRESHED
from bidbeacon_pipelines.accounts.rules import check_active
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_sessions.leases import is_unclaimed

_WANTED = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS account_label, NULL AS dataset,
           CAST('{{}}' AS date[]) AS windows, a.entities_wanted_by AS wanted_by,
           a.entities_wanted_at AS wanted_at, l.session_id,
           {IS_REFRESHED} AND {EXPORTS_MAY_START} AS may_start
      FROM advertiser_accounts a
      JOIN ads_accounts o USING (account_id)
      LEFT JOIN session_leases l
             ON l.expires_at > clock_timestamp() AND l.session_id = a.entities_claimed_by
     WHERE a.entities_wanted_by IS NOT NULL AND (CAST(:key AS text) IS NULL OR a.account_key = :key)
     ORDER BY a.entities_wanted_at, a.account_key""")


def list_wanted_syncs(connection: Connection, account: Account | None = None) -> list[RowMapping]:
    """Return the syncs that users requested, oldest first, for all accounts if none is given.

    Columns: account_key, account_label, dataset (None), windows (empty), wanted_by, wanted_at,
    session_id (the running session that has claimed the sync, or None) and may_start (whether the
    account is not stopped and its exports are not throttled).
    """
    values = {"key": None if account is None else account.account_key}
    return list(connection.execute(_WANTED, values).mappings())


def want_sync(connection: Connection, account: Account, *, by: str) -> None:
    """Request a sync of an account's entities for a user, unless a request exists already.

    Raises:
        AccountStoppedError: the account is stopped.
    """
    check_active(account)
    connection.execute(
        text("""
            UPDATE advertiser_accounts
               SET entities_wanted_by = coalesce(entities_wanted_by, :by),
                   entities_wanted_at = coalesce(entities_wanted_at, now())
             WHERE account_id = :account_id AND country_code = :country_code"""),
        account.identity | {"by": by},
    )


def claim_entities(connection: Connection, account: Account, session_id: UUID) -> str | None:
    """Claim the requested sync of an account's entities for a session; return the requester.

    Return None if no sync is requested, or if another running session has claimed it.
    """
    claimed = connection.execute(
        text(f"""
            UPDATE advertiser_accounts a SET entities_claimed_by = :session_id
             WHERE account_id = :account_id AND country_code = :country_code
               AND entities_wanted_by IS NOT NULL AND {is_unclaimed("a.entities_claimed_by")}
            RETURNING entities_wanted_by"""),
        account.identity | {"session_id": session_id},
    )
    return claimed.scalar()


def end_claim_of_entities(
    connection: Connection, account: Account, session_id: UUID, *, stays_wanted: bool
) -> None:
    """End a session's claim of a sync; end the user's request too, unless `stays_wanted`."""
    connection.execute(
        text("""
            UPDATE advertiser_accounts
               SET entities_claimed_by = NULL,
                   entities_wanted_by = CASE WHEN :stays_wanted THEN entities_wanted_by END,
                   entities_wanted_at = CASE WHEN :stays_wanted THEN entities_wanted_at END
             WHERE account_id = :account_id AND country_code = :country_code
               AND entities_claimed_by = :session_id"""),
        account.identity | {"session_id": session_id, "stays_wanted": stays_wanted},
    )
