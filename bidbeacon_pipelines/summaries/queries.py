"""SQL that sums up loaded rows of an account by day or period; dates are account-local."""

from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.derived import ATTRIBUTION_DAYS_SQL
from bidbeacon_pipelines.views import ACCOUNT_DAYS

_OWN_DAYS = f"""
    SELECT t.window_date, t.ad_product, t.spend, t.sales, t.orders,
           {ATTRIBUTION_DAYS_SQL} AS attribution_days
      FROM advertiser_accounts a
     CROSS JOIN LATERAL ({ACCOUNT_DAYS}) t
     WHERE a.id = :account AND t.currency_code = a.currency_code
       AND t.window_date >= :first AND t.window_date < :end"""

_PERIODS = text(f"""
    WITH days AS ({_OWN_DAYS}),
    halves AS (SELECT *, window_date >= CAST(:middle AS date) AS is_recent FROM days)
    SELECT ad_product, is_recent, max(attribution_days) AS attribution_days,
           count(DISTINCT window_date) AS days, sum(spend) AS spend, sum(sales) AS sales,
           sum(orders) AS orders, round(sum(spend) / nullif(sum(sales), 0), 4) AS acos
      FROM halves
     GROUP BY GROUPING SETS ((is_recent, ad_product), (is_recent))
     ORDER BY ad_product NULLS LAST, is_recent""")


def sum_up_periods(
    connection: Connection, account: Account, *, first: date, middle: date, end: date
) -> list[RowMapping]:
    """Return an account's sums by ad product for two periods, in the account's own currency.

    Columns: ad_product (null: all products), is_recent (true for the period from `middle` to before
        `end`, false for that from `first` to before `middle`), attribution_days (null if unknown),
        days (the number of loaded days), spend, sales, orders, acos.
    """
    values = _period(account, first, end) | {"middle": middle}
    return list(connection.execute(_PERIODS, values).mappings())


_SUM_OF_DAYS = text(f"""
    WITH days AS ({_OWN_DAYS})
    SELECT window_date AS date, sum(spend) AS spend, sum(sales) AS sales
      FROM days
     GROUP BY window_date
     ORDER BY window_date""")


def sum_up_days(
    connection: Connection, account: Account, *, first: date, end: date
) -> list[RowMapping]:
    """Return date, spend and sales of each loaded day from `first` to before `end`.

    Amounts are in the account's own currency.
    """
    return list(connection.execute(_SUM_OF_DAYS, _period(account, first, end)).mappings())


def _period(account: Account, first: date, end: date) -> dict[str, Any]:
    return {"account": account.id, "first": first, "end": end}
