"""How far the first load of the history has come, and how long the rest takes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import IS_REFRESHED
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.states.window_states import WindowState, state_values, windows_in

FEWEST_LOADS: Final = 10
"""With fewer loads in the last hour, the time that is left can't be told."""
_LEAST_SHARE: Final = 0.02
"""The smallest share of never-loaded windows that counts as a first load of the history."""
_RATE_OVER: Final = timedelta(hours=1)
_SHORTEST, _LONGEST = 0.8, 1.25
_UNITS: Final = (("day", 1_440), ("hour", 60), ("minute", 1))
_ROUNDED_FROM: Final = 20
"""More minutes are rounded to five."""

# All conditions are those of partial indexes. Windows that are not due yet are left out, as are
# those that Amazon does not serve.
_NEVER_LOADED = "last_loaded_at IS NULL AND request_id IS NULL AND expires_at > :at"
_OF_ACCOUNT = """(CAST(:account_id AS text) IS NULL
                  OR (account_id, country_code) = (:account_id, :country_code))"""
_MISSING = windows_in([WindowState.MISSING], columns="account_id, country_code")
_FILL = text(f"""
    WITH refreshed AS MATERIALIZED (
        SELECT a.account_id, a.country_code
          FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
         WHERE {IS_REFRESHED} AND {_OF_ACCOUNT}),
    counted AS (
        SELECT 'made' AS kind, sum(windows) AS windows
          FROM dataset_windows JOIN refreshed USING (account_id, country_code)
        UNION ALL
        SELECT 'never', sum(windows)
          FROM (SELECT account_id, country_code, count(*) AS windows FROM report_windows
                 WHERE {_NEVER_LOADED} GROUP BY 1, 2) w
          JOIN refreshed USING (account_id, country_code)
        UNION ALL
        SELECT 'requested', count(*)
          FROM report_windows JOIN refreshed USING (account_id, country_code)
         WHERE request_id IS NOT NULL AND last_loaded_at IS NULL
        UNION ALL
        SELECT 'expired', sum(windows)
          FROM (SELECT account_id, country_code, count(*) AS windows FROM report_windows
                 WHERE last_loaded_at IS NULL AND request_id IS NULL AND expires_at <= :at
                 GROUP BY 1, 2) w
          JOIN refreshed USING (account_id, country_code)
        UNION ALL
        SELECT 'not served', count(*)
          FROM report_windows JOIN refreshed USING (account_id, country_code)
         WHERE status = 'not_served' AND request_id IS NULL AND last_loaded_at IS NULL
           AND expires_at > :at
        UNION ALL
        SELECT 'missing', count(*)
          FROM ({_MISSING}) m JOIN refreshed USING (account_id, country_code))
    SELECT kind, CAST(coalesce(windows, 0) AS bigint) AS windows FROM counted""")
_LOADS = text(f"""
    SELECT count(*) AS loads, coalesce(sum(first_days), 0) AS days, min(loaded_at) AS since
      FROM report_loads
     WHERE loaded_at >= :since AND first_days > 0 AND {_OF_ACCOUNT}""")


@dataclass(frozen=True)
class Fill:
    """The first load of the history of some accounts.

    Attributes:
        loaded: The number of windows that were loaded at least once.
        total: The number of windows that were loaded, or are due for the first time.
        minutes_left: The shortest and the longest time until all are loaded; None if it is not
            known.
    """

    loaded: int
    total: int
    minutes_left: tuple[int, int] | None

    @property
    def is_over(self) -> bool:
        """Whether nearly all windows were loaded."""
        return self.total - self.loaded <= self.total * _LEAST_SHARE

    @property
    def sentence(self) -> str:
        """How far the load is, and how long the rest takes."""
        left = "" if self.minutes_left is None else f"; {time_left(*self.minutes_left)} left"
        return f"Loading history: {self.loaded:,} of {self.total:,} days, newest first{left}"


def read_fill(connection: Connection, at: datetime, account: Account | None = None) -> Fill:
    """Return the first load of the history of an account, or of all that are refreshed."""
    of = account.identity if account else {"account_id": None, "country_code": None}
    rows = connection.execute(_FILL, state_values(at, timedelta(0)) | of)
    windows = {row.kind: row.windows for row in rows}
    not_due = windows["missing"] + windows["not served"]
    to_load = max(0, windows["never"] + windows["requested"] - not_due)
    total = max(to_load, windows["made"] - windows["expired"] - not_due)
    loads = connection.execute(_LOADS, {"since": at - _RATE_OVER} | of).one()
    minutes = (at - loads.since).total_seconds() / 60 if loads.loads else 0.0
    left = minutes_left(to_load, loads.days, loads.loads, minutes)
    return Fill(total - to_load, total, left)


def minutes_left(to_load: int, days: int, loads: int, minutes: float) -> tuple[int, int] | None:
    """Return the shortest and the longest time to load some windows, in minutes.

    In the last `minutes`, so many `loads` loaded so many `days`. Return None if these are too few.
    """
    if loads < FEWEST_LOADS or minutes <= 0:
        return None
    expected = to_load * minutes / days
    return round(expected * _SHORTEST), max(1, round(expected * _LONGEST))


def time_left(shortest: int, longest: int) -> str:
    """Return a range of minutes as text: "about 40 to 60 minutes", "about 3 to 4 hours"."""
    unit, minutes = next((one for one in _UNITS if longest >= 3 * one[1]), _UNITS[-1])
    step = 5 if unit == "minute" and longest > _ROUNDED_FROM else 1
    low = max(1, shortest // (minutes * step) * step)
    high = max(low, -(-longest // (minutes * step)) * step)
    if low < high:
        return f"about {low} to {high} {unit}s"
    return f"about {high} {unit}" if high == 1 else f"about {high} {unit}s"
