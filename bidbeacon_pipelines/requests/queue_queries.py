"""SQL that reads the queue of requests, and how fast it moves."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, ADS_ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.requests.tables import OPEN_REQUEST

_OPEN = text(f"""
    SELECT r.id, r.account_id, r.dataset, r.status, r.cause ->> 'code' AS cause, r.late_at,
           l.session_id IS NOT NULL AS is_locked, r.by_hand, r.end_date,
           coalesce(r.next_step_at, r.created_at) AS step_at
      FROM report_requests r
      LEFT JOIN session_leases l
             ON l.session_id = r.locked_by AND l.expires_at > clock_timestamp()
     WHERE r.{OPEN_REQUEST}""")


def list_open_requests(connection: Connection) -> Sequence[Row[Any]]:
    """Return all open requests, in any order, with the facts that decide their state.

    Columns: id, account_id, dataset, status, cause (the code of the last failure), late_at,
    is_locked (whether a living session works on it), by_hand, end_date, step_at.
    """
    return connection.execute(_OPEN).all()


# Until a request is sent, no window is attached to it, so users are found by its days.
_DETAILS = text(f"""
    SELECT r.id, o.client_id, o.region, {ADS_ACCOUNT_LABEL} AS name, l.session_id AS worker,
           ARRAY(SELECT jsonb_build_object('key', a.account_key, 'label', {ACCOUNT_LABEL})
                   FROM advertiser_accounts a
                  WHERE a.account_id = r.account_id AND {IS_ACTIVE}
                  ORDER BY a.country_code) AS accounts,
           CASE WHEN r.by_hand
                THEN ARRAY(SELECT DISTINCT w.wanted_by
                             FROM report_windows w
                            WHERE w.account_id = r.account_id AND w.dataset = r.dataset
                              AND w.report = r.report AND w.wanted_by IS NOT NULL
                              AND w.window_date BETWEEN r.start_date AND r.end_date)
                ELSE '{{}}' END AS wanted_by
      FROM report_requests r
      JOIN ads_accounts o USING (account_id)
      LEFT JOIN session_leases l
             ON l.session_id = r.locked_by AND l.expires_at > clock_timestamp()
     WHERE r.id = ANY(:ids)""")


def list_request_details(connection: Connection, ids: Collection[int]) -> dict[int, RowMapping]:
    """Return, by request id, what the queue's page says of requests beside their own rows.

    Columns: id, client_id, region, name (of the ads account), worker (the id of the living session
    that works on it, or None), accounts (key and label of each country), wanted_by (the users who
    want days of it).
    """
    rows = connection.execute(_DETAILS, {"ids": list(ids)}).mappings()
    return {row["id"]: row for row in rows}


_CREATES = text("""
    SELECT region, count(*) FILTER (WHERE error IS NULL) AS creates
      FROM api_calls
     WHERE called_at >= :since AND call = 'create_report'
     GROUP BY region""")
_LOADS = text("""
    SELECT count(DISTINCT request_id) AS loads, coalesce(sum(rows_loaded), 0) AS rows
      FROM report_loads
     WHERE loaded_at >= :since""")


def read_speed(connection: Connection, now: datetime) -> tuple[dict[str, int], RowMapping]:
    """Return the reports created in the last hour, by region; and the loads and rows of it."""
    values = {"since": now - timedelta(hours=1)}
    creates = {row.region: int(row.creates) for row in connection.execute(_CREATES, values)}
    return creates, connection.execute(_LOADS, values).mappings().one()


_COMPLETE = text("""
    SELECT count(l.session_id) AS running, count(*) - count(l.session_id) AS waiting
      FROM report_requests r
      LEFT JOIN session_leases l
             ON l.session_id = r.locked_by AND l.expires_at > clock_timestamp()
     WHERE r.status = 'completed'""")


def count_complete(connection: Connection) -> tuple[int, int]:
    """Return the number of complete reports that are being loaded, and of those that wait."""
    row = connection.execute(_COMPLETE).one()
    return int(row.running), int(row.waiting)


_WAIT_FOR_CADENCE = text("""
    SELECT count(*) AS accounts, min(o.next_run_at) AS next_at
      FROM ads_accounts o
     WHERE o.next_run_at > :now AND o.needs_attention IS NULL
       AND (CAST(:account_id AS text) IS NULL OR o.account_id = :account_id)
       AND o.account_id IN (SELECT account_id FROM report_windows
                             WHERE last_loaded_at IS NULL AND request_id IS NULL
                               AND expires_at > :now AND next_refresh_at <= :now)
       AND NOT EXISTS (SELECT FROM report_requests r
                        WHERE r.account_id = o.account_id AND r.status = 'planned')""")


def find_cadence_waits(
    connection: Connection, now: datetime, account_id: str | None
) -> tuple[int, datetime | None]:
    """Return how many ads accounts have never-loaded due days that wait for their cadence.

    The second value is the earliest time at which one of them is planned.
    """
    row = connection.execute(_WAIT_FOR_CADENCE, {"now": now, "account_id": account_id}).one()
    return int(row.accounts), row.next_at
