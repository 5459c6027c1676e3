"""SQL on accounts that were resumed: their windows, which failed while they were stopped."""

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
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
