"""SQL on windows that somebody wants now, and on which session has claimed them.

A claim lasts as long as its session's lease.
"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.windows.queries import OF_DATASET
from bidbeacon_sessions.leases import is_unclaimed

_WANTED = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS account_label, w.dataset,
           array_agg(DISTINCT w.window_date ORDER BY w.window_date) AS windows,
           w.wanted_by, w.wanted_at, l.session_id
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
      LEFT JOIN session_leases l ON l.session_id = w.claimed_by AND l.expires_at > clock_timestamp()
     WHERE w.wanted_by IS NOT NULL AND (CAST(:key AS text) IS NULL OR a.account_key = :key)
     GROUP BY a.account_key, o.alias, o.name, o.ads_account_key, a.country_code, w.dataset,
              w.wanted_by, w.wanted_at, l.session_id
     ORDER BY w.wanted_at, windows DESC, a.account_key, w.dataset""")


def list_wanted_days(connection: Connection, account: Account | None = None) -> list[RowMapping]:
    """Return the days that people want now, of all accounts or of one, the oldest wish first.

    Columns: account_key, account_label, dataset, windows (its days, ascending), wanted_by,
        wanted_at and session_id (the living session that has claimed them, or None).
    """
    values = {"key": None if account is None else account.account_key}
    return list(connection.execute(_WANTED, values).mappings())


def want_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    days: Sequence[date],
    by: str,
    *,
    now: datetime,
) -> None:
    """Mark the windows of these days that Amazon serves as wanted by somebody now, so that they go first; who wanted one before stays."""
    connection.execute(
        text(f"""UPDATE report_windows SET wanted_by = :by, wanted_at = now()
                  WHERE {OF_DATASET} AND window_date = ANY(:days) AND expires_at > :now
                    AND wanted_by IS NULL"""),
        account.identity | {"dataset": dataset, "days": list(days), "by": by, "now": now},
    )


def claim_windows(
    connection: Connection, account: Account, dataset: str, days: Sequence[date], session_id: UUID
) -> None:
    """Claim the wanted windows of these days for a session, except those that another living session has claimed."""
    connection.execute(
        text(f"""UPDATE report_windows w SET claimed_by = :session_id
                  WHERE {OF_DATASET} AND window_date = ANY(:days) AND wanted_by IS NOT NULL
                    AND {is_unclaimed("w.claimed_by")}"""),
        account.identity | {"dataset": dataset, "days": list(days), "session_id": session_id},
    )


def stop_wanting(connection: Connection, account: Account, dataset: str, session_id: UUID) -> None:
    """Mark the windows that a session has claimed as not wanted any more."""
    connection.execute(
        text(f"""UPDATE report_windows SET wanted_by = NULL, wanted_at = NULL, claimed_by = NULL
                  WHERE {OF_DATASET} AND wanted_by IS NOT NULL AND claimed_by = :session_id"""),
        account.identity | {"dataset": dataset, "session_id": session_id},
    )
