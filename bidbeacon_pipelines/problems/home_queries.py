"""SQL on windows by dataset, state and cause, over all of history: of all accounts for the first page, or of one for its own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.windows.coverage_queries import (
    DUE_SINCE,
    IS_DUE,
    IS_OVERDUE,
    IS_SUSPICIOUS,
    REQUEST_IS_LATE,
)

# Most windows are loaded and not due: they are counted by the index of the primary key alone.
_WINDOWS = (
    "SELECT w.dataset, count(*) AS windows FROM report_windows w WHERE {of} GROUP BY w.dataset"
)
_OF_ALL, _OF_ONE = "true", "w.account_id = :account_id AND w.country_code = :country_code"

# What differs in numbers only is one cause: ids, counts and days of a reason are left out, and
# which fields of invalid rows are how often what.
_CAUSE = "regexp_replace(regexp_replace(left(w.failure_reason, 1000), ' \\(\\d+ × [^()]*\\)', ''), '\\S*\\d\\S*', '#', 'g')"
_UNSETTLED_WINDOW = f"""
        SELECT w.dataset, w.status, a.account_key, w.window_date, w.failure_reason,
               NOT ({IS_ACTIVE}) AS is_stopped, {IS_DUE} AS is_due, {IS_OVERDUE} AS is_overdue, {IS_SUSPICIOUS} AS is_suspicious,
               {REQUEST_IS_LATE.format(late_if_sent_before="d.late_if_sent_before")} AS request_is_late,
               CASE WHEN w.status IN ('failed', 'unconfirmed') OR w.suspicious_digest IS NOT NULL
                    THEN {_CAUSE} END AS cause,
               CASE WHEN w.status IN ('failed', 'unconfirmed') OR w.suspicious_digest IS NOT NULL THEN w.last_requested_at
                    WHEN w.status = 'requested' THEN r.sent_at ELSE {DUE_SINCE} END AS since
          FROM report_windows w
          JOIN advertiser_accounts a USING (account_id, country_code)
          JOIN ads_accounts o USING (account_id)
          JOIN unnest(CAST(:datasets AS text[]), CAST(:late AS timestamptz[])) AS d(dataset, late_if_sent_before) USING (dataset)
          LEFT JOIN report_requests r ON r.id = w.request_id
         WHERE {{of}} AND """
# Few windows are anything else than loaded and fresh. Each kind is read by a partial index of its
# own; one condition of all three would read the table.
_IS_BAD = "(w.status IN ('missing', 'failed', 'unconfirmed', 'expired') OR w.suspicious_digest IS NOT NULL)"
_IS_ASKED = "(w.request_id IS NOT NULL OR w.wanted_by IS NOT NULL)"
_KINDS = (
    _IS_ASKED,
    f"{_IS_BAD} AND NOT {_IS_ASKED}",
    f"w.next_refresh_at <= :now AND w.request_id IS NULL AND w.wanted_by IS NULL AND NOT {_IS_BAD}",
)
_UNSETTLED_WINDOWS = (
    f"WITH unsettled AS ({' UNION ALL '.join(_UNSETTLED_WINDOW + kind for kind in _KINDS)})"
)
_UNSETTLED = f"""
    {_UNSETTLED_WINDOWS}
    SELECT dataset, is_stopped, status, is_due, is_overdue, is_suspicious, request_is_late, CAST(sum(windows) AS bigint) AS windows,
           count(*) AS accounts, min(since) AS since, (array_agg(account_key ORDER BY windows DESC, account_key))[1:3] AS account_keys, max(window_date) AS window_date, min(reason) AS reason
      FROM (SELECT dataset, is_stopped, status, is_due, is_overdue, is_suspicious, request_is_late, cause, account_key, count(*) AS windows,
                   min(since) AS since, max(window_date) AS window_date, min(failure_reason) AS reason
              FROM unsettled GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9) by_account
     GROUP BY dataset, is_stopped, status, is_due, is_overdue, is_suspicious, request_is_late, cause ORDER BY dataset, windows DESC"""


def count_windows(connection: Connection, account: Account | None = None) -> dict[str, int]:
    """Return how many windows each dataset has, of all accounts or of one."""
    statement = text(_WINDOWS.format(of=_OF_ALL if account is None else _OF_ONE))
    rows = connection.execute(statement, {} if account is None else account.identity)
    return {row.dataset: row.windows for row in rows}


# Windows are created and deleted only by transactions that also write a row of `dataset_windows`,
# and each version of a row has the id of the transaction that wrote it.
_WINDOWS_VERSION = text(
    "SELECT CAST(coalesce(sum(CAST(CAST(xmin AS text) AS bigint)), 0) AS bigint) FROM dataset_windows"
)


def read_windows_version(connection: Connection) -> int:
    """Return a number that differs whenever windows were created or deleted in between; it reads one row for each account and dataset."""
    version: int = connection.execute(_WINDOWS_VERSION).scalar_one()
    return version


def list_unsettled(
    connection: Connection,
    *,
    now: datetime,
    overdue_before: datetime,
    late_if_sent_before: Mapping[str, datetime],
    account: Account | None = None,
) -> list[RowMapping]:
    """Return the windows that are not simply loaded and fresh, by dataset, state and cause.

    Args:
        connection: where to look.
        now: the instant that states are true as of.
        overdue_before: windows that fell due before it are late.
        late_if_sent_before: by dataset, since when a report in flight takes too long.
        account: only windows of this one.

    Columns: dataset, is_stopped, the signs of a window but for `lacks_product`, windows, accounts, since,
        account_keys of at most three accounts, the reason of one window, window_date of the newest.
    """
    values: dict[str, Any] = {"now": now, "overdue_before": overdue_before}
    values |= {"datasets": list(late_if_sent_before), "late": list(late_if_sent_before.values())}
    values |= {} if account is None else account.identity
    statement = text(_UNSETTLED.replace("{of}", _OF_ALL if account is None else _OF_ONE))
    return list(connection.execute(statement, values).mappings())


_UNSETTLED_BY_WINDOW = f"""
    {_UNSETTLED_WINDOWS}
    SELECT account_key, dataset, window_date, status, is_due, is_overdue, is_suspicious, request_is_late, failure_reason AS reason
      FROM unsettled WHERE NOT is_stopped""".replace("{of}", _OF_ALL)


def list_unsettled_windows(
    connection: Connection,
    *,
    now: datetime,
    overdue_before: datetime,
    late_if_sent_before: Mapping[str, datetime],
) -> list[RowMapping]:
    """Return each window of active accounts that is not simply loaded and fresh; arguments as of `list_unsettled`.

    Columns: account_key, dataset, window_date, the signs of a window but for `lacks_product`,
        reason.
    """
    values: dict[str, Any] = {"now": now, "overdue_before": overdue_before}
    values |= {"datasets": list(late_if_sent_before), "late": list(late_if_sent_before.values())}
    return list(connection.execute(text(_UNSETTLED_BY_WINDOW), values).mappings())


_STOPPED = text(f"""
    SELECT needs_attention_for, needs_attention AS reason, count(*) AS ads_accounts, min(needs_attention_since) AS since,
           (array_agg(ads_account_key ORDER BY ads_account_key))[1:3] AS ads_account_keys,
           (SELECT account_key FROM advertiser_accounts a WHERE a.account_id = min(o.account_id) ORDER BY paused, account_key LIMIT 1) AS account_key
      FROM ads_accounts o
     WHERE needs_attention IS NOT NULL AND EXISTS (SELECT FROM advertiser_accounts a WHERE a.account_id = o.account_id AND {IS_ACTIVE})
     GROUP BY 1, 2 ORDER BY ads_accounts DESC""")


def list_stopped(connection: Connection) -> list[RowMapping]:
    """Return why ads accounts with active countries need attention: needs_attention_for, reason, ads_accounts, since, ads_account_keys of at most three, and account_key of one country."""
    return list(connection.execute(_STOPPED).mappings())


# A region is listed again where a later sync does not say that it could not be.
_UNLISTED_REGIONS = text("""
    SELECT payload ->> 'region' AS region, payload ->> 'client_id' AS client_id, payload ->> 'reason' AS reason, session_id,
           (SELECT min(earlier.at) FROM session_actions earlier
             WHERE earlier.type = n.type AND earlier.payload ->> 'region' = n.payload ->> 'region'
               AND NOT EXISTS (SELECT FROM session_actions s
                                WHERE s.type = 'accounts-synced' AND s.at > earlier.at AND s.at < n.at
                                  AND NOT EXISTS (SELECT FROM session_actions o WHERE o.session_id = s.session_id
                                                     AND o.type = n.type AND o.payload ->> 'region' = n.payload ->> 'region'))) AS since
      FROM session_actions n
     WHERE type = 'region-not-listed'
       AND session_id = (SELECT session_id FROM session_actions WHERE type = 'accounts-synced' ORDER BY at DESC LIMIT 1)
     ORDER BY region""")


def list_unlisted_regions(connection: Connection) -> list[RowMapping]:
    """Return the regions whose accounts the last sync could not list: region, client_id, reason, session_id, and since when that has been so."""
    return list(connection.execute(_UNLISTED_REGIONS).mappings())


def were_accounts_synced(connection: Connection) -> bool:
    """Return whether accounts were ever listed, as far back as sessions are kept."""
    statement = text("SELECT EXISTS (SELECT FROM session_actions WHERE type = 'accounts-synced')")
    return bool(connection.execute(statement).scalar_one())


_PUT_OFF = text("""
    SELECT r.dataset, count(*) AS reports, min(r.created_at) AS since
      FROM report_requests r JOIN ads_accounts o USING (account_id)
     WHERE r.status = 'planned' AND o.needs_attention IS NULL GROUP BY r.dataset ORDER BY reports DESC, r.dataset""")


def list_put_off(connection: Connection) -> list[RowMapping]:
    """Return the reports that are planned and wait for their turn: dataset, reports, since."""
    return list(connection.execute(_PUT_OFF).mappings())


_SILENT = text("""
    SELECT payload ->> 'account' AS account_key, payload ->> 'dataset' AS dataset, min(at) AS since,
           CAST(sum(jsonb_array_length(payload -> 'windows')) AS bigint) AS windows
      FROM session_actions WHERE type = 'silence-accepted' AND at >= :since
     GROUP BY 1, 2 ORDER BY windows DESC, account_key, dataset""")


def list_silent(connection: Connection, *, since: datetime) -> list[RowMapping]:
    """Return windows that were loaded without rows since an instant, though their country has deliverable campaigns.

    Columns: account_key, dataset, windows, since.
    """
    return list(connection.execute(_SILENT, {"since": since}).mappings())
