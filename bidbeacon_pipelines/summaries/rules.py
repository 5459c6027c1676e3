"""The sums of an account's days by ad product: daily figures with their ratios, beside the sums of the day's hours.

Amounts are `Decimal` in columns of objects, so that nothing passes through a float; what is unknown
is None. pandas takes half a second to import, so only what sums up imports this module.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS

METRICS = ("impressions", "clicks", "orders", "sales", "spend")
_DAY = ["summary_date", "ad_product", "currency_code"]
_GRAINS = {"daily": "", "hourly": "hourly_"}


def summarize_days(
    windows: Sequence[dict[str, Any]], totals: Sequence[dict[str, Any]], currency_code: str
) -> list[dict[str, Any]]:
    """Sum up days.

    Args:
        windows: one for each day that is loaded: summary_date, daily_loads, daily_as_of,
            hourly_loads, hourly_as_of; a grain that is not loaded
            has 0 loads.
        totals: the sums of each day's rows by grain (`daily`, `hourly`), ad product and currency:
            summary_date, grain, ad_product,
            currency_code, and the metrics, None where no row had one.
        currency_code: the account's own.

    Returns:
        One for each day, ad product and currency with rows, in order: summary_date, ad_product,
        currency_code, the metrics of the day, acos, roas, the metrics of its hours (`hourly_…`),
        spend_difference and sales_difference (hours less day), and what `windows` has for the day.
        Sponsored Products have one for every day: zero where the day was loaded without rows of
        theirs.
    """
    loads = pd.DataFrame(windows, dtype=object)
    if loads.empty:
        return []
    days = _days_to_sum_up(loads, totals, currency_code)
    for grain in _GRAINS:
        days = days.merge(_totals_of(totals, grain), on=_DAY, how="left")
    days = days.astype(object).where(days.notna(), None)
    for grain in _GRAINS:
        days = _with_zeros(days, grain, currency_code)
    days = _with_ratios(days).sort_values(_DAY)
    return [{str(name): value for name, value in row.items()} for row in days.to_dict("records")]


def _days_to_sum_up(
    loads: pd.DataFrame, totals: Sequence[dict[str, Any]], currency_code: str
) -> pd.DataFrame:
    """Return each day of Sponsored Products in the account's own currency, and of every ad product and currency that its rows have."""
    own = [(day, SPONSORED_PRODUCTS, currency_code) for day in loads["summary_date"]]
    reported = [tuple(total[name] for name in _DAY) for total in totals]
    return pd.DataFrame(list(dict.fromkeys([*own, *reported])), columns=_DAY, dtype=object).merge(
        loads, on="summary_date"
    )


def _totals_of(totals: Sequence[dict[str, Any]], grain: str) -> pd.DataFrame:
    """Return the metrics of a grain under their names of a row; `_reported` says that there were rows."""
    rows = [total for total in totals if total["grain"] == grain]
    frame = pd.DataFrame(rows, columns=[*_DAY, *METRICS], dtype=object)
    names = {metric: f"{_GRAINS[grain]}{metric}" for metric in METRICS}
    return frame.rename(columns=names).assign(**{f"{grain}_reported": True})


def _with_zeros(days: pd.DataFrame, grain: str, currency_code: str) -> pd.DataFrame:
    """Let a day that was loaded without rows of Sponsored Products be zero in the account's own currency."""
    own = (days["ad_product"] == SPONSORED_PRODUCTS) & (days["currency_code"] == currency_code)
    empty = [
        bool(loads) and reported is None and is_own
        for loads, reported, is_own in zip(
            days[f"{grain}_loads"], days[f"{grain}_reported"], own, strict=True
        )
    ]
    zeros = {metric: Decimal(0) if metric in {"sales", "spend"} else 0 for metric in METRICS}
    columns = {
        name: pd.Series(
            [
                zeros[metric] if is_empty else value
                for value, is_empty in zip(days[name], empty, strict=True)
            ],
            index=days.index,
            dtype=object,
        )
        for metric in METRICS
        for name in [f"{_GRAINS[grain]}{metric}"]
    }
    return days.assign(**columns).drop(columns=f"{grain}_reported")


def _with_ratios(days: pd.DataFrame) -> pd.DataFrame:
    return days.assign(
        acos=_each(days, "spend", "sales", _divide),
        roas=_each(days, "sales", "spend", _divide),
        spend_difference=_each(days, "hourly_spend", "spend", _subtract),
        sales_difference=_each(days, "hourly_sales", "sales", _subtract),
    )


def _each(
    days: pd.DataFrame, left: str, right: str, operation: Callable[[Any, Any], Any]
) -> "pd.Series[Any]":
    pairs = zip(days[left], days[right], strict=True)
    return pd.Series([operation(a, b) for a, b in pairs], index=days.index, dtype=object)


def _divide(amount: Decimal | None, by: Decimal | None) -> Decimal | None:
    return amount / by if amount is not None and by else None


def _subtract(amount: Decimal | None, less: Decimal | None) -> Decimal | None:
    return amount - less if amount is not None and less is not None else None
