"""SQL that reads what explanations of windows need, each statement by an index."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES
from bidbeacon_pipelines.requests.queries import get_request
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.states.window_states import state_values
from bidbeacon_sessions.tables import MARK

_STATES = text("""
    SELECT *
      FROM window_states(:at, :late_after)
     WHERE account_key = :key AND dataset = :dataset AND window_date = :day
     ORDER BY report""")


def list_states(
    connection: Connection, key: str, dataset: str, day: date, at: datetime, late_after: timedelta
) -> list[RowMapping]:
    """Return the windows of a day, one per report, with the columns of `window_states`."""
    values = {"key": key, "dataset": dataset, "day": day} | state_values(at, late_after)
    return list(connection.execute(_STATES, values).mappings())


# A request's lock lasts as long as the lease of its session, as in `requests.queries`.
_REQUEST = text("""
    SELECT r.id, l.session_id
      FROM report_requests r
      LEFT JOIN session_leases l ON l.session_id = r.locked_by AND l.expires_at > clock_timestamp()
     WHERE r.id = :request_id
        OR CAST(:request_id AS bigint) IS NULL
           AND r.account_id = :account_id AND r.dataset = :dataset AND r.report = :report
           AND r.status = 'planned' AND r.attempts = 0
           AND :window_date BETWEEN r.start_date AND r.end_date
     ORDER BY r.by_hand DESC, r.id
     LIMIT 1""")


def find_request(
    connection: Connection, window: RowMapping
) -> tuple[ReportRequest | None, UUID | None]:
    """Return the request that serves a window, if any, and the living session working on it.

    It is the one that the window waits for, else one that was planned and never sent.
    """
    found = connection.execute(_REQUEST, dict(window)).first()
    return (None, None) if found is None else (get_request(connection, found[0]), found[1])


# A due window of one country waits for the other countries, unless planning ran since it fell due.
_FIRST_DUE = text(f"""
    SELECT CASE WHEN o.planned_at >= :since THEN min(w.next_refresh_at) END
      FROM report_windows w
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE w.account_id = :account_id AND w.dataset = :dataset AND w.report = :report
       AND w.request_id IS NULL AND w.next_refresh_at <= :at AND {IS_ACTIVE}
       AND (SELECT count(*)
              FROM advertiser_accounts a
             WHERE a.account_id = o.account_id AND {IS_ACTIVE}) > 1
     GROUP BY o.planned_at""")


def find_first_due(connection: Connection, window: RowMapping, at: datetime) -> datetime | None:
    """Return when the first window waiting for other countries fell due; None if none waits."""
    values = dict(window) | {"at": at, "since": window["next_refresh_at"]}
    found: datetime | None = connection.execute(_FIRST_DUE, values).scalar()
    return found


_NEXT_REQUEST = text("""
    SELECT min(w.next_refresh_at)
      FROM report_windows w
     WHERE w.account_id = :account_id AND w.country_code = :country_code
       AND w.dataset = :dataset AND w.report = :report AND w.status = 'not_served'""")


def find_next_request(connection: Connection, window: RowMapping) -> datetime | None:
    """Return when the next day of a window's report that is not served is requested again."""
    found: datetime | None = connection.execute(_NEXT_REQUEST, dict(window)).scalar()
    return found


_UNPROVEN = text("""
    SELECT p.ad_product, h.age_days AS proven_days,
           CAST(coalesce(w.first_data_as_of, w.data_as_of) AT TIME ZONE a.time_zone AS date)
               - w.window_date AS age_days
      FROM report_windows w
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     CROSS JOIN unnest(w.not_served) AS p(ad_product)
      LEFT JOIN proven_histories h ON h.client_id = o.client_id AND h.region = o.region
                                  AND h.dataset = w.dataset AND h.ad_product = p.ad_product
     WHERE w.account_id = :account_id AND w.country_code = :country_code AND w.dataset = :dataset
       AND w.report = :report AND w.window_date = :window_date
       AND jsonb_exists(w.product_totals, p.ad_product)
     ORDER BY array_position(CAST(:products AS text[]), p.ad_product)""")


def list_unproven(connection: Connection, window: RowMapping) -> list[RowMapping]:
    """Return the ad products of a window that are not served for lack of proof.

    Ad products that Amazon has refused are left out.

    Columns: ad_product, proven_days (the greatest age at which rows of it came, or None), age_days
        (the age of the window in its first report).
    """
    values = dict(window) | {"products": list(SHORT_NAMES)}
    return list(connection.execute(_UNPROVEN, values).mappings())


_YOUNGER_REFUSED = text("""
    SELECT y.window_date, y.next_refresh_at
      FROM report_windows y
     WHERE y.account_id = :account_id AND y.country_code = :country_code
       AND y.dataset = :dataset AND y.report = :report AND y.window_date > :window_date
       AND y.refused_alone_at IS NOT NULL AND y.status <> 'not_served'
     ORDER BY y.window_date
     LIMIT 1""")


def find_younger_refused(connection: Connection, window: RowMapping) -> RowMapping | None:
    """Return the next younger day that Amazon refused alone as too old, with its due time."""
    return connection.execute(_YOUNGER_REFUSED, dict(window)).mappings().first()


_REFERENCES = text(f"""
    SELECT * FROM (
        SELECT t.id AS reference_id, t.effect, a.session_id, a.ord, a.type, a.tone, a.at, a.payload,
               h.job_name, h.status AS session_status, {MARK} AS session_mark
          FROM session_references t
          JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
          JOIN session_headers h ON h.id = t.session_id
         WHERE t.account_key = :key
           AND (t.dataset = :dataset AND t.window_key = :window
                OR t.dataset IS NULL AND t.effect IN ('needs-attention', 'resumed'))
         ORDER BY t.id DESC
         LIMIT 200) newest
     ORDER BY reference_id""")


def list_references(connection: Connection, key: str, dataset: str, day: date) -> list[RowMapping]:
    """Return the newest 200 actions that explain a window, oldest first.

    They refer to the window, or stopped or resumed its account.

    Columns: effect, job_name, session_status, session_mark (see `bidbeacon_sessions.tables.MARK`),
        and those of `bidbeacon_sessions.queries.list_actions`.
    """
    values = {"key": key, "dataset": dataset, "window": day.isoformat()}
    return list(connection.execute(_REFERENCES, values).mappings())
