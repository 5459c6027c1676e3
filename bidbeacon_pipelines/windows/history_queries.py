"""SQL on how far back Amazon is proven to serve an ad product, and on older empty days.

Amazon may return empty reports for days that it no longer serves. An ad product's proven history is
the greatest age of a day with rows. Within it, a day without rows is a measured zero. An older day
without rows is not served, unless the account had no campaign of the ad product on that day.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, TextClause, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.contract.proven_queries import store_histories
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, DAILY_CAMPAIGNS, HOURLY_CAMPAIGNS
from bidbeacon_pipelines.windows.queries import record_again
from bidbeacon_pipelines.windows.rules import UNDOUBTED_DAYS, UNDOUBTED_DAYS_OF_HOURS
from bidbeacon_sessions.writes import json_text

# The age at the first load. A zero that was measured while the day was young stays a measured zero
# when a later report confirms it.
_FIRST_AGE = """(
    CAST(coalesce(w.first_data_as_of, w.data_as_of) AT TIME ZONE a.time_zone AS date)
    - w.window_date)"""
_HOURLY = ", ".join(f"'{one.name}'" for one in ALL_DATASETS if one.is_hourly)
_UNDOUBTED_AGE = f"""
    CASE WHEN w.dataset IN ({_HOURLY}) THEN {UNDOUBTED_DAYS_OF_HOURS} ELSE {UNDOUBTED_DAYS} END"""
# One day less, since Amazon's calendar may be a day ahead of or behind the account's.
_SERVED_AGE = f"greatest(h.age_days - 1, {_UNDOUBTED_AGE})"
_OF_WINDOW = "h.client_id = o.client_id AND h.region = o.region AND h.dataset = w.dataset"
_WINDOWS = """report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
          JOIN ads_accounts o USING (account_id)"""
_LOADED = """w.account_id = :account_id AND w.dataset = :dataset AND w.report = :report
       AND w.window_date BETWEEN :start AND :end AND w.loaded_by_request = :request_id"""
_CAMPAIGNS = """campaigns c
                    WHERE c.account_id = w.account_id AND c.country_code = w.country_code
                      AND coalesce(c.ad_product, 'SPONSORED_PRODUCTS') = n.ad_product
                      AND c.is_reported"""

_OLDER = text(f"""
    SELECT DISTINCT ON (p.key) o.client_id, o.region, w.dataset, p.key AS ad_product,
           (CAST(w.data_as_of AT TIME ZONE a.time_zone AS date) - w.window_date) AS age_days,
           a.account_key, w.window_date
      FROM {_WINDOWS} CROSS JOIN LATERAL jsonb_each(w.product_totals) p
      LEFT JOIN proven_histories h ON {_OF_WINDOW} AND h.ad_product = p.key
     WHERE {_LOADED} AND CAST(p.value ->> 'rows' AS bigint) > 0
       AND (CAST(w.data_as_of AT TIME ZONE a.time_zone AS date) - w.window_date)
           > coalesce(h.age_days, -1)
     ORDER BY p.key,
           (CAST(w.data_as_of AT TIME ZONE a.time_zone AS date) - w.window_date) DESC""")


def _judge_where(condition: str) -> TextClause:
    """Return SQL that stores, for loaded windows, which ad products Amazon does not serve.

    `condition` is an SQL condition on the window `w`, its account `a` and its ads account `o`.
    """
    # An ad product without totals comes from a refused window that was never loaded. It stays not
    # served until a report has it. A locked window is skipped: its load judges it, or the next sync
    # of entities. An ad product whose rows are all in quarantine is judged after their replay.
    # `last_refresh_at` is when the last refresh is due; windows this old need no earlier one. The
    # start of the first campaign is compared first: it is in an index, and most days without rows
    # are before it. Campaigns that are not in reports are ignored, since they never have rows.
    # Without OFFSET 0, Postgres would read the campaigns once for each use of a column.
    return text(f"""
    WITH judged AS (
        SELECT w.account_id, w.country_code, w.dataset, w.report, w.window_date,
               v.not_served, v.is_whole,
               CAST(w.window_date + CASE WHEN w.dataset IN ({_HOURLY})
                                         THEN {max(HOURLY_CAMPAIGNS.refresh_offsets)}
                                         ELSE {max(DAILY_CAMPAIGNS.refresh_offsets)}
                                    END AS timestamp)
                   AT TIME ZONE a.time_zone AS last_refresh_at
          FROM {_WINDOWS}
         CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(p.ad_product ORDER BY p.ad_product)
                                 FILTER (WHERE p.is_not_served), '{{}}') AS not_served,
                      coalesce(bool_or(p.is_not_served) AND NOT bool_or(p.is_measured), false)
                          AS is_whole
                 FROM (SELECT n.ad_product,
                              t.rows > 0
                              OR t.rows = 0 AND {_FIRST_AGE} <= {_SERVED_AGE} AS is_measured,
                              t.rows IS NULL
                              OR t.rows = 0 AND {_FIRST_AGE} > {_SERVED_AGE}
                                 AND a.entities_synced_at IS NOT NULL
                                 AND w.window_date >= coalesce(
                                     (SELECT min(coalesce(c.start_date, '-infinity'))
                                        FROM {_CAMPAIGNS}), 'infinity')
                                 AND EXISTS (
                                     SELECT FROM {_CAMPAIGNS}
                                       AND coalesce(c.start_date, '-infinity') <= w.window_date
                                       AND coalesce(c.end_date, 'infinity') >= w.window_date)
                                 AS is_not_served
                         FROM (SELECT jsonb_object_keys(w.product_totals)
                                UNION SELECT unnest(w.not_served)) AS n(ad_product)
                        CROSS JOIN LATERAL (
                              SELECT CAST(w.product_totals -> n.ad_product ->> 'rows' AS bigint)
                              ) t(rows)
                         LEFT JOIN proven_histories h
                                ON {_OF_WINDOW} AND h.ad_product = n.ad_product
                       OFFSET 0) p) v
         WHERE {condition} AND w.last_loaded_at IS NOT NULL AND w.request_id IS NULL
           AND ({_FIRST_AGE} > {_UNDOUBTED_AGE} OR w.not_served <> '{{}}'
                OR w.not_served_since IS NOT NULL)
           AND (w.not_served <> v.not_served OR (w.not_served_since IS NOT NULL) <> v.is_whole
                OR (w.status = 'not_served') <> v.is_whole)
           FOR UPDATE OF w SKIP LOCKED)
    UPDATE report_windows w
       SET not_served = j.not_served,
           not_served_since = CASE WHEN j.is_whole THEN coalesce(w.not_served_since, now()) END,
           status = CASE WHEN j.is_whole THEN 'not_served'
                         WHEN w.status = 'not_served' THEN 'loaded' ELSE w.status END,
           next_refresh_at = CASE WHEN j.is_whole THEN NULL
                                  WHEN w.status <> 'not_served' THEN w.next_refresh_at
                                  WHEN w.data_as_of < j.last_refresh_at THEN j.last_refresh_at END,
           cause = CASE WHEN j.is_whole THEN CAST(:cause AS jsonb)
                        WHEN w.status <> 'not_served' THEN w.cause END,
           cause_since = CASE WHEN j.is_whole THEN coalesce(w.not_served_since, now())
                              WHEN w.status <> 'not_served' THEN w.cause_since END,
           recorded_load_count = CASE WHEN j.is_whole THEN w.load_count
                                      WHEN w.status = 'not_served' THEN 0
                                      ELSE w.recorded_load_count END
      FROM judged j
     WHERE w.account_id = j.account_id AND w.country_code = j.country_code AND w.dataset = j.dataset
       AND w.report = j.report AND w.window_date = j.window_date
 RETURNING w.account_id, w.country_code, w.dataset, w.window_date, j.is_whole""")


_JUDGE_LOADED = _judge_where(_LOADED)
# Windows older than the proven age are left out: they would not change, and may be many.
_JUDGE_PROVEN_SINCE = _judge_where(f"""o.client_id = :client_id AND o.region = :region
           AND w.dataset = :dataset AND w.not_served <> '{{}}'
           AND w.not_served && CAST(:ad_products AS text[]) AND {_FIRST_AGE} <= :age_days""")
_JUDGE_ACCOUNT = _judge_where("""w.account_id = :account_id AND w.country_code = :country_code
           AND (CAST(:dataset AS text) IS NULL OR w.dataset = :dataset)""")

_NOT_SERVED = text(f"""
    SELECT a.account_key, w.window_date, w.not_served AS ad_products,
           w.status = 'not_served' AS is_whole
      FROM {_WINDOWS}
     WHERE {_LOADED} AND w.not_served <> '{{}}' ORDER BY a.account_key, w.window_date""")

_SERVED = text(f"""
    SELECT p.ad_product, {_SERVED_AGE} AS age_days
      FROM (SELECT CAST(:dataset AS text) AS dataset) w
     CROSS JOIN unnest(CAST(:ad_products AS text[])) AS p(ad_product)
      JOIN ads_accounts o ON o.account_id = :account_id
      LEFT JOIN proven_histories h ON {_OF_WINDOW} AND h.ad_product = p.ad_product""")


def list_served_ages(
    connection: Connection, account_id: str, dataset: str, ad_products: Sequence[str]
) -> dict[str, int]:
    """Return, by ad product, the age in days of the oldest day that Amazon is known to serve."""
    values = {"account_id": account_id, "dataset": dataset, "ad_products": list(ad_products)}
    return {row.ad_product: row.age_days for row in connection.execute(_SERVED, values)}


def judge_loaded_windows(
    connection: Connection, accounts: Collection[Account], **report: Any
) -> list[RowMapping]:
    """Decide which windows of a loaded report Amazon does not serve fully, and return them.

    A day with rows proves that Amazon serves all younger days. So this first stores the age of the
    report's oldest day with rows, by ad product. If this age is a new maximum, windows in which the
    ad product was not served are judged again, in all accounts of the client and region. The caller
    must have released the windows from the request. `report` has `account_id`, `dataset`, `report`,
    `request_id`, `start` and `end`.

    Columns: account_key, window_date, ad_products (those not served), and is_whole (whether the
    whole window is not served).
    """
    proven = connection.execute(_OLDER, report).mappings().all()
    if proven:
        store_histories(connection, proven)
        products = [row["ad_product"] for row in proven]
        oldest = max(proven, key=lambda row: row["age_days"])
        _judge(connection, _JUDGE_PROVEN_SINCE, dict(oldest) | {"ad_products": products})
    judged = _judge(connection, _JUDGE_LOADED, report)
    _record_days_again(connection, accounts, judged)
    return list(connection.execute(_NOT_SERVED, report).mappings())


def judge_account(connection: Connection, account: Account, dataset: str | None = None) -> None:
    """Decide again which windows of an account, or of one of its datasets, are not served.

    The result may change after a sync of the account's campaigns, or when ad products move to
    other reports.
    """
    judged = _judge(connection, _JUDGE_ACCOUNT, account.identity | {"dataset": dataset})
    _record_days_again(connection, [account], judged)


_Days = Mapping[tuple[str, str], Sequence[date]]


def _judge(connection: Connection, statement: TextClause, values: Mapping[str, Any]) -> _Days:
    """Run a `_judge_where` statement; return the days now not served, by country and dataset."""
    why = {"cause": json_text(cause("history-not-proven"))}
    days = defaultdict[tuple[str, str], list[date]](list)
    for row in connection.execute(statement, dict(values) | why):
        if row.is_whole:
            days[row.country_code, row.dataset].append(row.window_date)
    return days


def _record_days_again(
    connection: Connection, accounts: Collection[Account], not_served: _Days
) -> None:
    for account in accounts:
        for (country, dataset), days in not_served.items():
            if country == account.country_code:
                record_again(connection, account, dataset, days)
