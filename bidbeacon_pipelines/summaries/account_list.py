"""The data of the page of all accounts: state, fresh windows, recent spend, next refresh.

No statement reads all windows. Fresh windows are not counted: the windows that are not fresh,
which are few and indexed, are subtracted from the total in `dataset_windows`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, STOP_WORD
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.window_states import STOPPED, WindowState, state_values, windows_in
from bidbeacon_sessions.presentation import instant

DAYS: Final = 14
_BEHIND = [one for one in WindowState if one not in {WindowState.FRESH, *STOPPED}]

# Each load stores its spend in its window. A day with a missing report has no spend.
_LIST = text(f"""
    WITH behind AS (
        SELECT account_key, count(*) AS windows,
               count(*) FILTER (WHERE state = 'missing') AS missing
          FROM ({windows_in(_BEHIND, columns="account_key, state")}) w
         GROUP BY account_key),
    made AS (
        SELECT account_id, country_code, sum(windows) AS windows
          FROM dataset_windows
         GROUP BY account_id, country_code)
    SELECT a.account_key, {ACCOUNT_LABEL} AS label, a.currency_code, {STOP_WORD} AS stopped,
           made.windows - coalesce(behind.missing, 0) AS windows,
           made.windows - coalesce(behind.windows, 0) AS fresh,
           today.date - 1 AS yesterday,
           greatest(due.next_refresh_at, o.next_run_at) AS next_at,
           ARRAY(SELECT CASE WHEN bool_and(w.data_as_of IS NOT NULL)
                             THEN CAST(sum(w.spend) AS text) END
                   FROM generate_series(:days, 1, -1) n
                   LEFT JOIN report_windows w
                     ON w.account_id = a.account_id AND w.country_code = a.country_code
                    AND w.dataset = '{DAILY_CAMPAIGNS.name}' AND w.window_date = today.date - n
                  GROUP BY n
                  ORDER BY n DESC) AS spend
      FROM advertiser_accounts a
      JOIN ads_accounts o USING (account_id)
      LEFT JOIN behind USING (account_key)
      LEFT JOIN made USING (account_id, country_code)
     CROSS JOIN LATERAL (
           SELECT CAST(CAST(:at AS timestamptz) AT TIME ZONE a.time_zone AS date) AS date) today
     CROSS JOIN LATERAL (
           SELECT min(w.next_refresh_at) AS next_refresh_at
             FROM report_windows w
            WHERE w.account_id = a.account_id AND w.country_code = a.country_code
              AND w.next_refresh_at IS NOT NULL AND w.request_id IS NULL) due
     ORDER BY a.account_key""")


def list_accounts_json(
    connection: Connection, settings: Settings, *, now: datetime
) -> dict[str, Any]:
    """Return the data of the list of accounts at an instant; see `docs/reference/http.md`."""
    values = state_values(now, settings.late_after) | {"days": DAYS}
    rows = connection.execute(_LIST, values).mappings()
    return {"at": instant(now), "accounts": [_account_json(row) for row in rows]}


def _account_json(row: Mapping[Any, Any]) -> dict[str, Any]:
    stopped = row["stopped"]
    first = row["yesterday"] - timedelta(days=DAYS - 1)
    spend: Sequence[str | None] = row["spend"]
    return {
        "key": row["account_key"],
        "label": row["label"],
        "stopped": stopped,
        "windows": int(row["windows"] or 0),
        "fresh": int(row["fresh"] or 0) if stopped is None else None,
        "currency": row["currency_code"],
        "from": first.isoformat(),
        "to": row["yesterday"].isoformat(),
        "spend": spend,
        "next_at": instant(row["next_at"]) if stopped is None else None,
    }
