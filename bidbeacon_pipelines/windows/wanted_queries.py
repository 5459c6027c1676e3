"""SQL on loads that users request, and on the sessions that claim their windows.

A session claims a window to load it. The claim is valid until the session's lease ends.
"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.entities.wanted_queries import list_wanted_syncs
from bidbeacon_pipelines.windows.queries import OF_DATASET
from bidbeacon_sessions.leases import is_unclaimed

_WANTED = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS account_label, w.dataset,
           array_agg(DISTINCT w.window_date ORDER BY w.window_date) AS windows,
           w.wanted_by, w.wanted_at, l.session_id, true AS may_start
      FROM report_windows w
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
      LEFT JOIN session_leases l
             ON l.expires_at > clock_timestamp() AND l.session_id = w.claimed_by
     WHERE w.wanted_by IS NOT NULL AND (CAST(:key AS text) IS NULL OR a.account_key = :key)
     GROUP BY a.account_key, o.alias, o.name, o.ads_account_key, a.country_code, w.dataset,
              w.wanted_by, w.wanted_at, l.session_id
     ORDER BY wanted_at, windows DESC, account_key, dataset""")


def list_wanted(connection: Connection, account: Account | None = None) -> list[RowMapping]:
    """Return the loads and syncs that users requested, of all accounts or one, oldest first.

    Columns: as in `list_wanted_syncs`. A load also has a dataset and windows (its days, ascending).
    """
    values = {"key": None if account is None else account.account_key}
    loads = connection.execute(_WANTED, values).mappings()
    both = [*loads, *list_wanted_syncs(connection, account)]
    return sorted(both, key=lambda one: one["wanted_at"])


def want_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    days: Sequence[date],
    by: str,
    *,
    now: datetime,
) -> None:
    """Mark unexpired windows as wanted by a user: they are requested first, due or not.

    Windows that are already wanted stay unchanged.
    """
    connection.execute(
        text(f"""UPDATE report_windows SET wanted_by = :by, wanted_at = now(), claimed_by = NULL
                  WHERE {OF_DATASET} AND window_date = ANY(:days) AND expires_at > :now
                    AND wanted_by IS NULL"""),
        account.identity | {"dataset": dataset, "days": list(days), "by": by, "now": now},
    )


def claim_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    days: Sequence[date],
    session_id: UUID,
    *,
    by: str,
) -> None:
    """Claim the wanted windows of these days, except those that a running session has claimed.

    Windows whose load a session has given up (see `give_up_claims`) become wanted again.
    """
    connection.execute(
        text(f"""
            UPDATE report_windows w
               SET wanted_by = coalesce(wanted_by, :by), wanted_at = coalesce(wanted_at, now()),
                   claimed_by = :session_id
             WHERE {OF_DATASET} AND window_date = ANY(:days)
               AND CASE WHEN wanted_by IS NULL THEN claimed_by IS NOT NULL
                        ELSE {is_unclaimed("w.claimed_by")} END"""),
        account.identity
        | {"dataset": dataset, "days": list(days), "session_id": session_id, "by": by},
    )


def give_up_claims(
    connection: Connection, account: Account, dataset: str, session_id: UUID
) -> None:
    """Mark the windows that a session has claimed as no longer wanted.

    They become wanted again when another session claims them.
    """
    connection.execute(
        text(f"""UPDATE report_windows SET wanted_by = NULL, wanted_at = NULL
                  WHERE {OF_DATASET} AND wanted_by IS NOT NULL AND claimed_by = :session_id"""),
        account.identity | {"dataset": dataset, "session_id": session_id},
    )
