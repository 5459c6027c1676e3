"""SQL on what people want now: windows to load, and syncs of entities."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, EXPORTS_MAY_START, IS_ACTIVE
from bidbeacon_pipelines.accounts.tables import Account

# A session drives what it has recorded as asked for, for as long as its lease lives.
_DRIVER = """SELECT t.session_id FROM session_references t JOIN session_leases l USING (session_id)
              WHERE t.account_key = a.account_key AND l.expires_at > clock_timestamp()"""
_OF_WINDOW = "t.dataset = w.dataset AND t.window_key = CAST(w.window_date AS text) AND t.effect = 'asked-for'"
_OF_ENTITIES = "t.dataset IS NULL AND t.effect = 'sync-asked-for'"
_WANTED = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS account_label, w.dataset, array_agg(DISTINCT w.window_date ORDER BY w.window_date) AS windows,
           w.wanted_by, w.wanted_at, d.session_id, true AS may_start
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code) JOIN ads_accounts o USING (account_id)
      LEFT JOIN LATERAL ({_DRIVER} AND {_OF_WINDOW} LIMIT 1) d ON true
     WHERE w.wanted_by IS NOT NULL AND (CAST(:key AS text) IS NULL OR a.account_key = :key)
     GROUP BY a.account_key, o.alias, o.name, o.ads_account_key, a.country_code, w.dataset, w.wanted_by, w.wanted_at, d.session_id
     UNION ALL
    SELECT a.account_key, {ACCOUNT_LABEL}, NULL, '{{}}', a.entities_wanted_by, a.entities_wanted_at, d.session_id,
           {IS_ACTIVE} AND o.needs_attention IS NULL AND {EXPORTS_MAY_START}
      FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
      LEFT JOIN LATERAL ({_DRIVER} AND {_OF_ENTITIES} LIMIT 1) d ON true
     WHERE a.entities_wanted_by IS NOT NULL AND (CAST(:key AS text) IS NULL OR a.account_key = :key)
     ORDER BY wanted_at, windows DESC, account_key, dataset""")


def list_wanted(connection: Connection, account: Account | None = None) -> list[RowMapping]:
    """Return what people want, of all accounts or of one, the oldest first.

    Columns: account_key, account_label, dataset (None for entities), windows (its days, ascending),
        wanted_by, wanted_at, session_id (the living session that drives it, or None) and may_start
        (whether Amazon may be asked for it now).
    """
    values = {"key": None if account is None else account.account_key}
    return list(connection.execute(_WANTED, values).mappings())


_STOP = text(f"""
    UPDATE report_windows w SET wanted_by = NULL, wanted_at = NULL
      FROM advertiser_accounts a
     WHERE a.account_id = :account_id AND a.country_code = :country_code
       AND w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = :dataset
       AND w.window_date = ANY(:days) AND w.wanted_by IS NOT NULL
       AND NOT EXISTS ({_DRIVER} AND {_OF_WINDOW} AND t.session_id <> :session_id)""")


def stop_wanting(
    connection: Connection, account: Account, dataset: str, days: Sequence[date], session_id: UUID
) -> None:
    """Mark the windows that a session drove as not wanted any more, except those that another living session drives."""
    values = {"dataset": dataset, "days": list(days), "session_id": session_id}
    connection.execute(_STOP, account.identity | values)
