"""The views of accounts' days: totals, states, and changes between loads."""

from itertools import chain

from bidbeacon_pipelines.datasets.dataset_tables import columns_of
from bidbeacon_pipelines.datasets.derived import RATIOS
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES, SPONSORED_BRANDS, SPONSORED_PRODUCTS
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, HOURLY_CAMPAIGNS
from bidbeacon_pipelines.entities.left_out_queries import LEFT_OUT_CAMPAIGNS, ran_on
from bidbeacon_pipelines.states.window_states import WINDOW_STATES_FUNCTION, WindowState
from bidbeacon_pipelines.views.view import (
    ACCOUNT_COLUMNS,
    AGE,
    AS_OF,
    ATTRIBUTION_COLUMN,
    IS_COMPLETE,
    IS_FINAL,
    OF_ACCOUNT,
    ReportView,
    ViewColumn,
    of_served_reports,
    own_column,
    ratio_column,
    with_age,
)

METRICS = ("impressions", "clicks", "orders", "sales", "spend")
_COLUMNS = ", ".join(METRICS)
_DAILY, _HOURLY = f"'{DAILY_CAMPAIGNS.name}'", f"'{HOURLY_CAMPAIGNS.name}'"

# A day that was loaded without rows has a zero of Sponsored Products, to distinguish it from one
# that was not loaded, or not served.
ACCOUNT_DAYS = f"""
    SELECT window_date, ad_product, currency_code,
           {", ".join(f"sum({one}) AS {one}" for one in METRICS)}
      FROM (SELECT window_date, ad_product, currency_code, {_COLUMNS}
              FROM {DAILY_CAMPAIGNS.name}
             WHERE account = a.id
             UNION ALL
            SELECT w.window_date, '{SPONSORED_PRODUCTS}', a.currency_code,
                   0, 0, 0, 0.000000, 0.000000
              FROM report_windows w
             WHERE w.account_id = a.account_id AND w.country_code = a.country_code
               AND w.dataset = {_DAILY}
               AND w.product_totals ? '{SPONSORED_PRODUCTS}'
               AND w.not_served_since IS NULL AND '{SPONSORED_PRODUCTS}' <> ALL(w.not_served)) r
     GROUP BY window_date, ad_product, currency_code"""
"""A lateral subquery: the sums of each day of account `a`, by ad product and currency."""

_HOURS = f"""
  LEFT JOIN LATERAL (
       SELECT {", ".join(f"sum({one}) AS {one}" for one in METRICS)} FROM {HOURLY_CAMPAIGNS.name} h
        WHERE h.account = a.id AND h.window_date = t.window_date AND h.ad_product = t.ad_product
          AND h.currency_code = t.currency_code) h ON true"""


def _sum(metric: str, of: str, description: str) -> ViewColumn:
    name = metric if of == "t" else f"hourly_{metric}"
    return ViewColumn(name, f"{of}.{metric}", description, "numeric")


def _make_account_days() -> ReportView:
    daily = (_sum(one, "t", f"{one.capitalize()} of the day.") for one in METRICS)
    none = "null if the hours were not loaded or are no longer kept"
    hourly = (_sum(one, "h", f"Sum of the {one} of the day's hours; {none}.") for one in METRICS)
    ratios = (ratio_column(one) for one in RATIOS if one.column in {"acos", "roas"})
    hourly_as_of = ViewColumn(
        "hourly_as_of", "hw.as_of", "When the hourly report was requested.", AS_OF.type
    )
    own = {column.name: own_column(column) for column in columns_of(DAILY_CAMPAIGNS)}
    return ReportView(
        name="account_daily_summaries",
        description=(
            "Totals of each loaded day of an account, beside the sums of the day's hours. One row "
            "is a day, ad product and currency of an account. Sponsored Products have a row for "
            "each loaded day; other ad products have rows only for days with activity."
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

# A view reads tables with its owner's rights, but a function in it with the reader's, so the view
# contains the function's query.
_QUERY = (
    WINDOW_STATES_FUNCTION.split("$$")[1]
    .replace("window_states.at", "now()")
    .replace("window_states.late_after", "interval '12 hours'")
)
_COLUMNS_OF_STATES = (
    "account_id, country_code, account_key, dataset, report, window_date, state, cause, since, "
    "next_at, as_of, is_final"
)
_STATES = f"({_QUERY}) t({_COLUMNS_OF_STATES}){OF_ACCOUNT}"


def _not_served(aggregate: str = "") -> str:
    """Return the SQL for the ad products that Amazon does not serve on a day.

    For a report that was never loaded because Amazon does not serve the day, these are all ad
    products of the report. If one row shows several reports, the SQL function `aggregate` combines
    the reports.
    """
    never = "t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL"
    products = ",\n         ".join(
        f"""CASE WHEN {aggregate}('{long}' = ANY(t.not_served)
              OR {never}
                 AND '{short}' = ANY(string_to_array(t.report, '+'))) THEN '{long}' END"""
        for long, short in SHORT_NAMES.items()
    )
    return f"array_remove(ARRAY[{products}], NULL)"


def _left_out(aggregate: str = "") -> ViewColumn:
    brands = f"'{SHORT_NAMES[SPONSORED_BRANDS]}'"
    names = f"""SELECT c.name FROM ({LEFT_OUT_CAMPAIGNS}) c
         WHERE {ran_on("t.window_date")} ORDER BY c.name, c.campaign_id"""
    return ViewColumn(
        "left_out",
        f"""CASE WHEN {aggregate}({brands} = ANY(string_to_array(t.report, '+')))
            THEN ARRAY({names}) ELSE '{{}}' END""",
        "Names of Sponsored Brands campaigns that may have run on this day and that Amazon leaves "
        "out of its reports, since they have no ad groups. The day counts as complete without "
        "them.",
        "text[]",
    )


_STATE_WORDS = (
    f"one of these, from best to worst: {', '.join(WindowState)}. A day that is not fresh may "
    "still have data. "
    "A day is late if it has been due for longer than 12 hours."
)
_DATASET = ViewColumn("dataset", "t.dataset", "Name of the dataset and of its view.")
_WINDOW_DATE = ViewColumn(
    "window_date", "t.window_date", "Day of the account's own calendar.", "date"
)
_CURRENCY = ViewColumn("currency_code", "a.currency_code", "Currency of the account.")

REPORT_DAYS_VIEW = ReportView(
    name="report_days",
    description=(
        "Which reports of a day are loaded. One row is a day of one report of an account. A "
        "dataset whose ad products are requested separately has several rows for each day. Join "
        "sums with `reports.days` instead, which has one row for each day of a dataset."
    ),
    columns=(
        *(*ACCOUNT_COLUMNS, _CURRENCY, _DATASET),
        ViewColumn("report", "t.report", "The ad products of the report, such as SP+SB+SD."),
        _WINDOW_DATE,
        ViewColumn("state", "t.state", f"State of the report, {_STATE_WORDS}"),
        ViewColumn("cause", "t.cause ->> 'code'", "Code of the cause of a problem, if any."),
        ViewColumn(
            "as_of",
            "t.as_of",
            "When the loaded report was requested: later events are not in the report. "
            "Null if no report is loaded.",
            AS_OF.type,
        ),
        ViewColumn(
            "is_final",
            "t.is_final",
            "Whether the report was loaded for the last time; until then the data is provisional.",
            "boolean",
        ),
        ViewColumn("next_at", "t.next_at", "When the next step is due, if any.", AS_OF.type),
        ViewColumn(
            "not_served",
            _not_served(),
            "Ad products of the report that Amazon does not serve for this day. They have no rows, "
            "which does not mean zero.",
            "text[]",
        ),
        _left_out(),
    ),
    source=_STATES,
)

_RANK = f"array_position(ARRAY{[str(state) for state in WindowState]}, t.state)"


def _of_worst(value: str) -> str:
    return f"(array_agg({value} ORDER BY {_RANK} DESC, t.report))[1]"


DAYS_VIEW = ReportView(
    name="days",
    description=(
        "Which days of each dataset are loaded. One row is a day of a dataset of an account, so a "
        "join by account, dataset and day does not multiply rows. Check this view for each sum: a "
        "sum lacks some or all data of days that are not complete."
    ),
    columns=(
        *(*ACCOUNT_COLUMNS, _CURRENCY, _DATASET, _WINDOW_DATE),
        ViewColumn(
            "state", _of_worst("t.state"), f"State of the day's worst report, {_STATE_WORDS}"
        ),
        ViewColumn(
            "cause",
            _of_worst("t.cause ->> 'code'"),
            "Code of the cause of that report's problem, if any.",
        ),
        ViewColumn(
            "as_of",
            "min(t.as_of)",
            "When the oldest of the loaded reports was requested. Null if no report is loaded.",
            AS_OF.type,
        ),
        ViewColumn(
            "is_final",
            of_served_reports("t.is_final", "t"),
            IS_FINAL.description,
            "boolean",
        ),
        ViewColumn(
            "is_complete",
            of_served_reports("t.as_of IS NOT NULL", "t"),
            IS_COMPLETE.description,
            "boolean",
        ),
        ViewColumn(
            "next_at",
            "min(t.next_at)",
            "When the next step of a report is due, if any.",
            AS_OF.type,
        ),
        ViewColumn(
            "not_served",
            _not_served("bool_or"),
            "Ad products that Amazon does not serve for this day. They have no rows, which does "
            "not mean zero.",
            "text[]",
        ),
        _left_out("bool_or"),
    ),
    source=f"{_STATES}\n GROUP BY a.account_id, a.country_code, t.dataset, t.window_date",
)

RESTATEMENTS_VIEW = ReportView(
    name="restatements",
    description=(
        "How the totals of a day changed from load to load. One row is the first load of a day of "
        "a dataset, or a later load that changed the day's totals, for one ad product and one "
        "currency. Days whose restatements were deleted have no rows."
    ),
    columns=(
        *ACCOUNT_COLUMNS,
        _DATASET,
        _WINDOW_DATE,
        ViewColumn("ad_product", "t.ad_product", "SPONSORED_PRODUCTS, SPONSORED_BRANDS, …"),
        ViewColumn("currency_code", "t.currency_code", "Currency of the amounts."),
        ViewColumn(
            "load_number",
            "t.load_number",
            "1 for the first load; loads that changed nothing are not counted.",
            "bigint",
        ),
        ViewColumn(
            "as_of",
            "t.data_as_of",
            "When the report of this load was requested: later events are not in the report.",
            AS_OF.type,
        ),
        ViewColumn(
            "age_days",
            "t.age_days",
            "Age of the day in days at `as_of`, on the account's calendar.",
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
                    f"The day's {metric} before this load; null for the first load.",
                    "numeric",
                ),
                ViewColumn(
                    metric, f"t.{metric}", f"The day's {metric} after this load.", "numeric"
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
        IS_COMPLETE,
    ),
    source=f"window_restatements t{OF_ACCOUNT}{with_age('t.dataset')}",
)
