"""SQL on accounts that were resumed: their windows, which failed while they were stopped, and what is planned for these."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.causes import STOPS

_RELEASE = text(f"""
    UPDATE report_windows w
       SET status = CASE WHEN w.data_as_of IS NULL THEN 'missing' ELSE 'loaded' END, cause = NULL
      FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
     WHERE w.account_id = (SELECT account_id FROM advertiser_accounts WHERE account_key = :key)
       AND a.account_id = w.account_id AND a.country_code = w.country_code AND {IS_ACTIVE} AND o.needs_attention IS NULL
       AND w.status = 'failed' AND w.request_id IS NULL AND w.cause ->> 'code' = ANY(:stops)""")


def release_stopped_windows(connection: Connection, account_key: str) -> None:
    """Take back that windows of an ads account failed because it was stopped: they are as they were before, and due."""
    connection.execute(_RELEASE, {"key": account_key, "stops": list(STOPS)})


@dataclass(frozen=True)
class ResumedAccount:
    """An account that was resumed, with the windows that have not been requested since, and the reports that are planned or being made for it."""

    account_key: str
    label: str
    resumed_at: datetime
    by: str
    windows: int
    reports: int


_RESUMED = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS label, n.at AS resumed_at, n.by,
           count(*) AS windows,
           (SELECT count(*) FROM report_requests r WHERE r.account_id = a.account_id AND r.finished_at IS NULL) AS reports
      FROM (SELECT DISTINCT ON (payload ->> 'account') payload ->> 'account' AS account_key, payload ->> 'by' AS by, at
              FROM session_actions WHERE type = 'account-resumed' AND at >= :since
             ORDER BY payload ->> 'account', at DESC) n
      JOIN advertiser_accounts a USING (account_key)
      JOIN ads_accounts o USING (account_id)
      JOIN report_windows w ON w.account_id = a.account_id AND w.country_code = a.country_code
     WHERE {IS_ACTIVE} AND o.needs_attention IS NULL
       AND (w.request_id IS NOT NULL OR w.next_refresh_at <= :now AND coalesce(w.last_loaded_at < n.at, true) AND w.status <> 'failed')
     GROUP BY a.account_key, label, n.at, n.by, a.account_id ORDER BY a.account_key""")


def list_resumed(connection: Connection, *, since: datetime, now: datetime) -> list[ResumedAccount]:
    """Return the accounts that were resumed since an instant and whose due windows have not all been loaded."""
    rows = connection.execute(_RESUMED, {"since": since, "now": now})
    return [ResumedAccount(**row) for row in rows.mappings()]
