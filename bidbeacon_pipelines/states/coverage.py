"""The state of each account's windows, one letter per day, for the coverage page."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, STOP_WORD, list_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES, SPONSORED_BRANDS, products_of
from bidbeacon_pipelines.datasets.registry import DATASETS, get_dataset
from bidbeacon_pipelines.entities.left_out_queries import LEFT_OUT_CAMPAIGNS
from bidbeacon_pipelines.states.window_states import WindowState, state_values
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.presentation import instant

STATE_LETTERS: Final[Mapping[WindowState, str]] = {
    WindowState.FRESH: "f",
    WindowState.MISSING: "m",
    WindowState.DUE: "d",
    WindowState.REQUESTED: "r",
    WindowState.LOADING: "o",
    WindowState.NOT_SERVED: "s",
    WindowState.PAUSED: "p",
    WindowState.DISABLED: "b",
    WindowState.LATE_AT_AMAZON: "a",
    WindowState.LATE: "l",
    WindowState.SUSPICIOUS: "h",
    WindowState.UNCONFIRMED: "u",
    WindowState.NEEDS_ATTENTION: "n",
    WindowState.FAILED: "x",
    WindowState.EXPIRED: "e",
}
NO_WINDOW: Final = "-"
PARTLY_NOT_SERVED: Final = "g"
"""The letter of a fresh day for which Amazon does not serve some ad products."""
_WORST_LAST: Final = "".join(STATE_LETTERS[state] for state in WindowState)

# One string per account instead of a row per day: 100 accounts times 731 days are 73,100 days. A
# day with several reports has the worst of their states.
_LETTERS = text(f"""
    WITH days AS (
        SELECT account_key, window_date,
               max(array_position(CAST(:states AS text[]), state)) AS worst
          FROM window_states(:at, :late_after)
         WHERE dataset = :dataset AND window_date BETWEEN :start AND :end
         GROUP BY account_key, window_date)
    SELECT a.account_key, {ACCOUNT_LABEL} AS label, a.time_zone, {STOP_WORD} AS stopped,
           (SELECT string_agg(
                       coalesce(substr(:letters, d.worst, 1), '{NO_WINDOW}'), '' ORDER BY day)
              FROM generate_series(
                       CAST(:start AS date), CAST(:end AS date), interval '1 day') AS day
              LEFT JOIN days d
                     ON d.account_key = a.account_key AND d.window_date = CAST(day AS date))
               AS cells,
           (SELECT coalesce(jsonb_agg(
                       jsonb_build_object(
                           'campaign', c.name, 'from', c.first_date, 'to', c.last_date)
                       ORDER BY c.first_date NULLS FIRST, c.name, c.campaign_id), '[]')
              FROM ({LEFT_OUT_CAMPAIGNS}) c
             WHERE :has_brands AND (c.first_date <= :end) IS NOT FALSE
               AND (c.last_date >= :start) IS NOT FALSE) AS left_out
      FROM advertiser_accounts a JOIN ads_accounts o USING (account_id) ORDER BY a.account_key""")

# If Amazon refused a day as too old, it serves none of the ad products of the day's report.
_NOT_SERVED = text("""
    SELECT a.account_key, w.window_date, w.report, w.not_served
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.dataset = :dataset AND w.window_date BETWEEN :start AND :end
       AND (w.not_served <> '{}' OR w.status = 'not_served')""")


class WindowCoverage:
    """Reads the coverage page's data; a window is late if it has been due for `late_after`."""

    def __init__(
        self,
        store: SessionStore,
        *,
        late_after: timedelta = timedelta(hours=12),
        clock: Clock,
    ) -> None:
        self._store = store
        self._late_after = late_after
        self._clock = clock

    def read_coverage(self, dataset: str | None, days: int, to: date | None) -> dict[str, Any]:
        """Return the state of each account's windows, one letter per day.

        Without `dataset`, the first dataset is used. `to` is the last day, by default the newest
        date in any time zone. `not_served` in the result has runs of consecutive days, each with
        the ad products that Amazon does not serve for these days.

        Raises:
            UnknownDatasetError: there is no dataset of this name.
        """
        chosen = next(iter(DATASETS.values())) if dataset is None else get_dataset(dataset)
        now = self._clock()
        end = to or local_date(now, "Pacific/Kiritimati")
        start = end - timedelta(days=days - 1)
        values = {"dataset": chosen.name, "start": start, "end": end}
        values["has_brands"] = SPONSORED_BRANDS in chosen.ad_products
        with self._store.snapshot() as connection:
            rows = _list_letters(connection, values | state_values(now, self._late_after))
            not_served = _list_not_served(connection, values)
        return {
            "dataset": chosen.name,
            "datasets": [{"name": one.name, "title": one.title} for one in DATASETS.values()],
            "from": start.isoformat(),
            "to": end.isoformat(),
            "at": instant(now),
            "states": {letter: str(state) for state, letter in STATE_LETTERS.items()}
            | {PARTLY_NOT_SERVED: "partly not served"},
            "accounts": [
                _row_json(row, start, not_served.get(row["account_key"], {})) for row in rows
            ],
        }

    def list_accounts(self) -> list[dict[str, Any]]:
        """Return each account's `key`, `label`, `time_zone` and `stopped` (the reason, or None)."""
        with self._store.snapshot() as connection:
            return [_account_json(account) for account in list_accounts(connection)]


def _list_letters(connection: Connection, values: Mapping[str, Any]) -> Sequence[RowMapping]:
    states = {"states": list(map(str, WindowState)), "letters": _WORST_LAST}
    return connection.execute(_LETTERS, states | dict(values)).mappings().all()


def _list_not_served(
    connection: Connection, values: Mapping[str, Any]
) -> Mapping[str, Mapping[date, Sequence[str]]]:
    """Return the short names of the ad products that are not served, by account key and day."""
    found: dict[str, dict[date, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in connection.execute(_NOT_SERVED, values).mappings():
        products = row["not_served"] or products_of(row["report"])
        found[row["account_key"]][row["window_date"]].update(products)
    return {
        key: {
            day: [short for product, short in SHORT_NAMES.items() if product in products]
            for day, products in by_day.items()
        }
        for key, by_day in found.items()
    }


def _runs(not_served: Mapping[date, Sequence[str]]) -> Iterator[tuple[Sequence[str], list[date]]]:
    """Yield each run of consecutive days with the same unserved ad products, oldest first."""
    days = enumerate(sorted(not_served.items()))
    in_a_row = groupby(days, key=lambda one: (one[1][1], one[1][0] - timedelta(days=one[0])))
    for (products, _), run in in_a_row:
        yield products, [day for _, (day, _) in run]


def _account_json(account: Account) -> dict[str, Any]:
    return {
        "key": account.account_key,
        "label": account.label,
        "time_zone": account.time_zone,
        "stopped": account.stopped,
    }


def _row_json(
    row: RowMapping, start: date, not_served: Mapping[date, Sequence[str]]
) -> dict[str, Any]:
    return {
        "key": row["account_key"],
        "label": row["label"],
        "time_zone": row["time_zone"],
        "stopped": row["stopped"],
        "cells": "".join(_mark(row["cells"], start, not_served)) if not_served else row["cells"],
        "not_served": [
            {"from": days[0].isoformat(), "to": days[-1].isoformat(), "ad_products": products}
            for products, days in _runs(not_served)
        ],
        "left_out": row["left_out"],
    }


def _mark(cells: str, start: date, not_served: Mapping[date, Sequence[str]]) -> Iterator[str]:
    """Yield each day's letter; fresh days in `not_served` get the letter `PARTLY_NOT_SERVED`."""
    fresh = STATE_LETTERS[WindowState.FRESH]
    for place, letter in enumerate(cells):
        is_partly = letter == fresh and start + timedelta(days=place) in not_served
        yield PARTLY_NOT_SERVED if is_partly else letter
