"""SQL on the daily summaries of accounts. Dates are the account's own calendar days."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.derived import ATTRIBUTION_DAYS_SQL
from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, HOURLY_CAMPAIGNS, get_dataset

DAILY, HOURLY = DAILY_CAMPAIGNS.name, HOURLY_CAMPAIGNS.name
"""The datasets that are summed up: of the day and of its hours. Campaigns have the fewest rows."""

_VALUES = {"daily": DAILY, "hourly": HOURLY}
_COLUMNS = (
    *("account_id", "country_code", "summary_date", "ad_product", "currency_code"),
    *("impressions", "clicks", "orders", "sales", "spend", "acos", "roas"),
    *("hourly_impressions", "hourly_clicks", "hourly_orders", "hourly_sales", "hourly_spend"),
    *(
        "spend_difference",
        "sales_difference",
        "daily_loads",
        "hourly_loads",
        "daily_as_of",
        "hourly_as_of",
    ),
)

# A day's windows as they are loaded, beside the loads that its summary was made from.
_LOADS = """
    SELECT w.account_id, w.country_code, w.window_date AS summary_date,
           CAST(coalesce(sum(w.load_count) FILTER (WHERE w.dataset = :daily), 0) AS integer) AS daily_loads,
           min(w.data_as_of) FILTER (WHERE w.dataset = :daily) AS daily_as_of,
           CAST(coalesce(sum(w.load_count) FILTER (WHERE w.dataset = :hourly), 0) AS integer) AS hourly_loads,
           min(w.data_as_of) FILTER (WHERE w.dataset = :hourly) AS hourly_as_of,
           max(w.replayed_at) AS replayed_at
      FROM report_windows w
     WHERE w.dataset IN (:daily, :hourly) AND w.load_count > 0"""
_OF_ACCOUNT = "AND w.account_id = :account_id AND w.country_code = :country_code"
_BY_DAY = "GROUP BY w.account_id, w.country_code, w.window_date"
_IS_CURRENT = """EXISTS (
    SELECT FROM account_daily_summaries s
     WHERE s.account_id = l.account_id AND s.country_code = l.country_code AND s.summary_date = l.summary_date
       AND s.daily_loads = l.daily_loads AND s.hourly_loads = l.hourly_loads
       AND (l.replayed_at IS NULL OR s.summarized_at > l.replayed_at))"""

# First by two scans which accounts can have changed: all that were loaded, or got rows from
# quarantine, since an hour before they were summed up last, as a load that began before may have
# been committed after. Only of these the days are compared.
_CHANGED_ACCOUNTS = text(f"""
    WITH loaded AS (
        SELECT account_id, country_code, max(greatest(last_loaded_at, replayed_at)) AS loaded_at FROM report_windows
         WHERE dataset IN (:daily, :hourly) AND load_count > 0 GROUP BY account_id, country_code),
    summed_up AS (
        SELECT account_id, country_code, max(summarized_at) AS summarized_at FROM account_daily_summaries
         GROUP BY account_id, country_code)
    SELECT a.account_key
      FROM loaded LEFT JOIN summed_up USING (account_id, country_code) JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE (summarized_at IS NULL OR loaded_at > summarized_at - interval '1 hour')
       AND EXISTS (SELECT FROM ({_LOADS} AND w.account_id = a.account_id AND w.country_code = a.country_code {_BY_DAY}) l
                    WHERE NOT {_IS_CURRENT})
     ORDER BY a.account_key""")
_CHANGED_DAYS = text(f"""
    SELECT l.summary_date, l.daily_loads, l.daily_as_of, l.hourly_loads, l.hourly_as_of
      FROM ({_LOADS} {_OF_ACCOUNT} {_BY_DAY}) l WHERE NOT {_IS_CURRENT} ORDER BY l.summary_date""")


def list_accounts_to_sum_up(connection: Connection) -> list[str]:
    """Return the keys of accounts with windows that were loaded, or got rows from quarantine, since their day was summed up."""
    return list(connection.execute(_CHANGED_ACCOUNTS, _VALUES).scalars())


def count_summaries(connection: Connection) -> int:
    """Return how many rows the summaries of all accounts have."""
    return int(
        connection.execute(text("SELECT count(*) FROM account_daily_summaries")).scalar_one()
    )


def list_days_to_sum_up(connection: Connection, account: Account) -> list[RowMapping]:
    """Return the days of an account with windows that were loaded, or got rows from quarantine, since they were summed up, by date.

    Each has summary_date, daily_loads, daily_as_of, hourly_loads, hourly_as_of: the loads to sum
    up.
    """
    return list(connection.execute(_CHANGED_DAYS, account.identity | _VALUES).mappings())


def _totals(grain: str, dataset: str) -> str:
    return f"""
    SELECT '{grain}' AS grain, window_date AS summary_date, ad_product, currency_code, sum(impressions) AS impressions,
           sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend
      FROM {get_dataset(dataset).table}
     WHERE account = :account AND window_date = ANY(:days)
     GROUP BY window_date, ad_product, currency_code"""


_TOTALS = text(
    f"{_totals('daily', DAILY)} UNION ALL {_totals('hourly', HOURLY)} ORDER BY 1, 2, 3, 4"
)


def list_totals(connection: Connection, account: Account, days: Sequence[date]) -> list[RowMapping]:
    """Return the sums of the rows of days: grain (`daily`, `hourly`), summary_date, ad_product, currency_code and the metrics, None where there was none."""
    values = {"account": account.id, "days": list(days)}
    return list(connection.execute(_TOTALS, values).mappings())


def replace_days(
    connection: Connection, account: Account, days: Sequence[date], rows: Sequence[dict[str, Any]]
) -> None:
    """Replace the summaries of days with these rows, in all currencies; `rows` have the columns of the table beside the account."""
    connection.execute(
        text("""DELETE FROM account_daily_summaries
                 WHERE account_id = :account_id AND country_code = :country_code AND summary_date = ANY(:days)"""),
        account.identity | {"days": list(days)},
    )
    if rows:
        listed, bound = ", ".join(_COLUMNS), ", ".join(f":{column}" for column in _COLUMNS)
        connection.execute(
            text(f"INSERT INTO account_daily_summaries ({listed}) VALUES ({bound})"),
            [account.identity | row for row in rows],
        )


# The days of an account in its own currency by ad product: those that are summed up as they are
# loaded, and the others from their rows, since the next summary may be ten minutes away.
_OWN_DAYS = f"""
    unsummed AS (
        SELECT w.window_date FROM report_windows w
         WHERE w.account_id = :account_id AND w.country_code = :country_code AND w.dataset = :daily AND w.load_count > 0
           AND w.window_date >= :first AND w.window_date < :end
         GROUP BY w.account_id, w.country_code, w.window_date
        HAVING NOT EXISTS (SELECT FROM account_daily_summaries s
                            WHERE s.account_id = w.account_id AND s.country_code = w.country_code AND s.summary_date = w.window_date
                              AND s.daily_loads = sum(w.load_count)
                              AND (max(w.replayed_at) IS NULL OR s.summarized_at > max(w.replayed_at)))),
    reported AS (
        SELECT window_date AS summary_date, ad_product, sum(spend) AS spend, sum(sales) AS sales, sum(orders) AS orders
          FROM {get_dataset(DAILY).table}
         WHERE account = :account AND currency_code = :currency AND window_date IN (SELECT window_date FROM unsummed)
         GROUP BY window_date, ad_product),
    own_days AS (
        SELECT summary_date, ad_product, spend, sales, orders FROM account_daily_summaries
         WHERE account_id = :account_id AND country_code = :country_code AND currency_code = :currency
           AND summary_date >= :first AND summary_date < :end AND daily_loads > 0
           AND summary_date NOT IN (SELECT window_date FROM unsummed)
        UNION ALL
        SELECT summary_date, ad_product, spend, sales, orders FROM reported
        UNION ALL
        SELECT u.window_date, '{SPONSORED_PRODUCTS}', 0.000000, 0.000000, 0 FROM unsummed u
         WHERE NOT EXISTS (SELECT FROM reported r WHERE r.summary_date = u.window_date AND r.ad_product = '{SPONSORED_PRODUCTS}'))"""


_PERIODS = text(f"""
    WITH {_OWN_DAYS},
    days AS (
        SELECT t.summary_date, t.summary_date >= CAST(:middle AS date) AS is_recent, t.ad_product, t.spend, t.sales, t.orders,
               {ATTRIBUTION_DAYS_SQL} AS attribution_days
          FROM own_days t JOIN advertiser_accounts a ON a.account_id = :account_id AND a.country_code = :country_code)
    SELECT ad_product, is_recent, max(attribution_days) AS attribution_days, count(DISTINCT summary_date) AS days,
           sum(spend) AS spend, sum(sales) AS sales, sum(orders) AS orders
      FROM days GROUP BY GROUPING SETS ((is_recent, ad_product), (is_recent)) ORDER BY ad_product NULLS LAST, is_recent""")


def sum_up_periods(
    connection: Connection, account: Account, *, first: date, middle: date, end: date
) -> list[RowMapping]:
    """Return the sums of two periods of an account in its own currency as it is loaded now, by ad product (null: all of them), with the number of loaded days.

    Columns: ad_product, is_recent (whether it is the period from `middle` to before `end`, or that
        from `first` to before `middle`), attribution_days (null where that is unknown), days,
        spend, sales, orders.
    """
    values = _own(account, first, end) | {"middle": middle}
    return list(connection.execute(_PERIODS, values).mappings())


_SUM_OF_DAYS = text(f"""
    WITH {_OWN_DAYS}
    SELECT summary_date, sum(spend) AS spend, sum(sales) AS sales FROM own_days GROUP BY summary_date ORDER BY summary_date""")


def sum_up_days(
    connection: Connection, account: Account, *, first: date, end: date
) -> list[RowMapping]:
    """Return the sums of each loaded day from `first` to before `end` in the account's own currency: summary_date, spend, sales."""
    return list(connection.execute(_SUM_OF_DAYS, _own(account, first, end)).mappings())


def _own(account: Account, first: date, end: date) -> dict[str, Any]:
    """Return the values of `_OWN_DAYS`."""
    values = {"account": account.id, "currency": account.currency_code, "daily": DAILY}
    return account.identity | values | {"first": first, "end": end}
