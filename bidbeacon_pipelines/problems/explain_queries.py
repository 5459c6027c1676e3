"""SQL that reads the facts from which windows are explained; all queries use indexes."""

from datetime import date, datetime, timedelta

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES
from bidbeacon_pipelines.states.window_states import state_values

# A request's lock lasts as long as the lease of its session, as in `requests.queries`. A due window
# of one country waits for the other countries, unless planning ran since it fell due. Ad products
# that Amazon has refused are not in `unproven`.
_WINDOWS = text(f"""
    SELECT w.*, r.id AS served_by, l.session_id AS worker, younger.*,
           (SELECT CASE WHEN o.planned_at >= w.next_refresh_at THEN min(d.next_refresh_at) END
              FROM report_windows d
              JOIN advertiser_accounts a USING (account_id, country_code)
              JOIN ads_accounts o USING (account_id)
             WHERE d.account_id = w.account_id AND d.dataset = w.dataset AND d.report = w.report
               AND d.request_id IS NULL AND d.next_refresh_at <= :at AND {IS_ACTIVE}
               AND (SELECT count(*)
                      FROM advertiser_accounts a
                     WHERE a.account_id = o.account_id AND {IS_ACTIVE}) > 1
             GROUP BY o.planned_at) AS first_due_at,
           (SELECT min(n.next_refresh_at)
              FROM report_windows n
             WHERE n.account_id = w.account_id AND n.country_code = w.country_code
               AND n.dataset = w.dataset AND n.report = w.report
               AND n.status = 'not_served') AS next_not_served_at,
           ARRAY(SELECT jsonb_build_object(
                            'ad_product', p.ad_product, 'proven_days', h.age_days,
                            'age_days', CAST(coalesce(u.first_data_as_of, u.data_as_of)
                                             AT TIME ZONE a.time_zone AS date) - u.window_date)
                   FROM report_windows u
                   JOIN advertiser_accounts a USING (account_id, country_code)
                   JOIN ads_accounts o USING (account_id)
                  CROSS JOIN unnest(u.not_served) AS p(ad_product)
                   LEFT JOIN proven_histories h
                          ON h.client_id = o.client_id AND h.region = o.region
                         AND h.dataset = u.dataset AND h.ad_product = p.ad_product
                  WHERE u.account_id = w.account_id AND u.country_code = w.country_code
                    AND u.dataset = w.dataset AND u.report = w.report
                    AND u.window_date = w.window_date
                    AND jsonb_exists(u.product_totals, p.ad_product)
                  ORDER BY array_position(CAST(:products AS text[]), p.ad_product)) AS unproven
      FROM window_states(:at, :late_after) w
      LEFT JOIN report_requests r ON r.id = coalesce(w.request_id, (
           SELECT p.id
             FROM report_requests p
            WHERE p.account_id = w.account_id AND p.dataset = w.dataset AND p.report = w.report
              AND p.status = 'planned' AND p.attempts = 0
              AND w.window_date BETWEEN p.start_date AND p.end_date
            ORDER BY p.by_hand DESC, p.id
            LIMIT 1))
      LEFT JOIN session_leases l ON l.session_id = r.locked_by AND l.expires_at > clock_timestamp()
      LEFT JOIN LATERAL (
           SELECT y.window_date AS younger_date, y.next_refresh_at AS younger_refresh_at
             FROM report_windows y
            WHERE y.account_id = w.account_id AND y.country_code = w.country_code
              AND y.dataset = w.dataset AND y.report = w.report AND y.window_date > w.window_date
              AND y.refused_alone_at IS NOT NULL AND y.status <> 'not_served'
            ORDER BY y.window_date
            LIMIT 1) younger ON true
     WHERE w.account_key = :key AND w.dataset = :dataset AND w.window_date = :day
     ORDER BY w.report""")


def list_day_windows(
    connection: Connection, key: str, dataset: str, day: date, at: datetime, late_after: timedelta
) -> list[RowMapping]:
    """Return the windows of a day, one per report, with the facts that explain them.

    Columns: those of `window_states`, and
        served_by (id of the window's request, else of a planned request that covers its day),
        worker (id of the running session that works on that request, or None),
        younger_date (the nearest younger day that Amazon refused in a report of that day alone),
        younger_refresh_at (when that younger day is requested again),
        first_due_at (when the first window that waits for other countries became due),
        next_not_served_at (when the next `not_served` day of the report is requested again),
        unproven (ad products not served because Amazon never sent rows of this age; each has
        ad_product, age_days of the window, and proven_days, the greatest age with rows, or None).
    """
    values = {"key": key, "dataset": dataset, "day": day, "products": list(SHORT_NAMES)}
    return list(connection.execute(_WINDOWS, values | state_values(at, late_after)).mappings())
