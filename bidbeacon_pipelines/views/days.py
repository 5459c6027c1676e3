"""The views of accounts' days: what they add up to, which are loaded, and how they changed from load to load."""

from itertools import chain

from bidbeacon_pipelines.datasets.dataset_tables import columns_of
from bidbeacon_pipelines.datasets.derived import RATIOS
from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, HOURLY_CAMPAIGNS
from bidbeacon_pipelines.views.view import (
    ACCOUNT_COLUMNS,
    AGE,
    AS_OF,
    ATTRIBUTION_COLUMN,
    IS_FINAL,
    OF_ACCOUNT,
    ReportView,
    ViewColumn,
    own_column,
    ratio_column,
    with_age,
)
from bidbeacon_pipelines.windows.states import WINDOW_STATES_FUNCTION, WindowState

METRICS = ("impressions", "clicks", "orders", "sales", "spend")
_COLUMNS = ", ".join(METRICS)
_DAILY, _HOURLY = f"'{DAILY_CAMPAIGNS.name}'", f"'{HOURLY_CAMPAIGNS.name}'"

# A day that was loaded without rows has a zero of Sponsored Products, so that it can be told from
# one that was not loaded, or not served.
ACCOUNT_DAYS = f"""
    SELECT window_date, ad_product, currency_code, {", ".join(f"sum({one}) AS {one}" for one in METRICS)}
      FROM (SELECT window_date, ad_product, currency_code, {_COLUMNS} FROM {DAILY_CAMPAIGNS.table} WHERE account = a.id
             UNION ALL
            SELECT w.window_date, '{SPONSORED_PRODUCTS}', a.currency_code, 0, 0, 0, 0.000000, 0.000000 FROM report_windows w
             WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = {_DAILY}
               AND w.product_totals ? '{SPONSORED_PRODUCTS}'
               AND w.not_served_since IS NULL AND '{SPONSORED_PRODUCTS}' <> ALL(w.not_served)) r
     GROUP BY window_date, ad_product, currency_code"""
"""The sums of each day of account `a`, by ad product and currency: a lateral subquery."""

_HOURS = f"""
  LEFT JOIN LATERAL (
       SELECT {", ".join(f"sum({one}) AS {one}" for one in METRICS)} FROM {HOURLY_CAMPAIGNS.table} h
        WHERE h.account = a.id AND h.window_date = t.window_date AND h.ad_product = t.ad_product
          AND h.currency_code = t.currency_code) h ON true"""


def _sum(metric: str, of: str, description: str) -> ViewColumn:
    name = metric if of == "t" else f"hourly_{metric}"
    return ViewColumn(name, f"{of}.{metric}", description, "numeric")


def _make_account_days() -> ReportView:
    """Return the view of what accounts' days add up to, with the hours beside the days."""
    daily = (_sum(one, "t", f"{one} of the day.") for one in METRICS)
    none = "null where they were not loaded, or are no longer kept"
    hourly = (_sum(one, "h", f"{one} as the hours of the day add up; {none}.") for one in METRICS)
    ratios = (ratio_column(one) for one in RATIOS if one.column in {"acos", "roas"})
    hourly_as_of = ViewColumn(
        "hourly_as_of", "hw.as_of", "When the hourly report was requested.", AS_OF.type
    )
    own = {column.name: own_column(column) for column in columns_of(DAILY_CAMPAIGNS)}
    return ReportView(
        name="account_daily_summaries",
        description=(
            "What each loaded day of an account adds up to, beside what its hours add up to. One row is a day, ad product and currency "
            "of an account; Sponsored Products have one for each loaded day, other ad products for days with any activity."
        ),
        columns=(
            *(*ACCOUNT_COLUMNS, own["window_date"], own["ad_product"]),
            *(ATTRIBUTION_COLUMN, own["currency_code"]),
            *(*daily, *ratios, *hourly, *AGE, hourly_as_of),
        ),
        source=(
            f"advertiser_accounts a\n CROSS JOIN LATERAL ({ACCOUNT_DAYS}) t"
            f"{_HOURS}{with_age(_DAILY)}{with_age(_HOURLY, alias='hw')}"
        ),
    )


ACCOUNT_DAYS_VIEW = _make_account_days()

# A view reads tables by its owner's rights, but a function in it by the reader's own, so the view
# has the function's query.
_COLUMNS_OF_STATES = "account_id, country_code, account_key, dataset, report, window_date, state, cause, since, next_at, as_of, is_final"
_QUERY = (
    WINDOW_STATES_FUNCTION.split("$$")[1]
    .replace("window_states.at", "now()")
    .replace("window_states.late_after", "interval '12 hours'")
)
DAYS_VIEW = ReportView(
    name="days",
    description=(
        "Which days of which dataset are loaded. One row is a day of one report of an account; a dataset whose ad products are requested "
        "separately has several. Read it beside a sum: a day without as_of is missing in it."
    ),
    columns=(
        *ACCOUNT_COLUMNS,
        ViewColumn("currency_code", "a.currency_code", "Currency of the account."),
        ViewColumn("dataset", "t.dataset", "Name of the dataset, which is also that of its view."),
        ViewColumn("report", "t.report", "The ad products of the report: SP+SB+SD."),
        ViewColumn("window_date", "t.window_date", "Day of the account's own calendar.", "date"),
        ViewColumn(
            "state",
            "t.state",
            f"{', '.join(WindowState)}. A day that is not fresh may still have data. It is late when due for longer than 12 hours.",
        ),
        ViewColumn("cause", "t.cause ->> 'code'", "Code of what is wrong; null where nothing is."),
        ViewColumn(
            "as_of",
            "t.as_of",
            "When the loaded report was requested: what happened later is not in it. Null where the day has no data.",
            AS_OF.type,
        ),
        ViewColumn("is_final", "t.is_final", IS_FINAL.description, "boolean"),
        ViewColumn("next_at", "t.next_at", "When the next step is due, if any.", AS_OF.type),
    ),
    source=f"({_QUERY}) t({_COLUMNS_OF_STATES}){OF_ACCOUNT}",
)

RESTATEMENTS_VIEW = ReportView(
    name="restatements",
    description=(
        "How the totals of a day changed from load to load. One row is one load that changed the totals of one ad product of a day of a "
        "dataset in one currency, or its first load. Days whose restatements are deleted have none."
    ),
    columns=(
        *ACCOUNT_COLUMNS,
        ViewColumn("dataset", "t.dataset", "Name of the dataset, which is also that of its view."),
        ViewColumn("window_date", "t.window_date", "Day of the account's own calendar.", "date"),
        ViewColumn("ad_product", "t.ad_product", "SPONSORED_PRODUCTS, SPONSORED_BRANDS, …"),
        ViewColumn("currency_code", "t.currency_code", "Currency of the amounts."),
        ViewColumn(
            "load_number",
            "t.load_number",
            "1 for the first load; loads that changed nothing have no number.",
            "bigint",
        ),
        ViewColumn(
            "as_of",
            "t.data_as_of",
            "When this report was requested: what happened later is not in it.",
            AS_OF.type,
        ),
        ViewColumn(
            "age_days",
            "t.age_days",
            "How many days old the day was then, on the account's calendar.",
            "integer",
        ),
        ViewColumn(
            "confirmed_as_of",
            "t.confirmed_as_of",
            "When the newest report that states these totals was requested.",
            AS_OF.type,
        ),
        *chain.from_iterable(
            (
                ViewColumn(
                    f"{metric}_before",
                    f"t.{metric}_before",
                    f"{metric} of the day before this load; null for the first.",
                    "numeric",
                ),
                ViewColumn(
                    metric, f"t.{metric}", f"{metric} of the day after this load.", "numeric"
                ),
            )
            for metric in METRICS
        ),
        ViewColumn(
            "rows_changed", "t.rows_changed", "Rows whose metrics this load changed.", "bigint"
        ),
        ViewColumn("rows_appeared", "t.rows_appeared", "Rows that this load added.", "bigint"),
        ViewColumn("rows_vanished", "t.rows_vanished", "Rows that this load removed.", "bigint"),
        IS_FINAL,
    ),
    source=f"window_restatements t{OF_ACCOUNT}{with_age('t.dataset')}",
)
