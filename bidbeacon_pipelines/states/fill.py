"""How far the first load of the history has come, and how long the rest takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import IS_REFRESHED
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.requests.tables import OPEN_REQUEST
from bidbeacon_pipelines.states.window_states import WindowState, state_values, windows_in

FEWEST_REPORTS: Final = 10
"""With fewer loaded or remaining reports, the time that is left can't be estimated."""
_LEAST_SHARE: Final = 0.02
"""The smallest share of never-loaded windows that counts as a first load of the history."""
_RATE_OVER: Final = timedelta(hours=3)
_SHORTEST, _LONGEST = 0.8, 1.25
_UNITS: Final = (("day", 1_440), ("hour", 60), ("minute", 1))
_ROUNDED_FROM: Final = 20
"""More minutes are rounded to five."""

# All conditions are those of partial indexes. Windows that are not due yet are left out, as are
# those that Amazon does not serve.
_NEVER_LOADED = "last_loaded_at IS NULL AND request_id IS NULL AND expires_at > :at"
_OF_ACCOUNT = """(CAST(:account_id AS text) IS NULL
                  OR (account_id, country_code) = (:account_id, :country_code))"""
_OF_ADS_ACCOUNT = "(CAST(:account_id AS text) IS NULL OR account_id = :account_id)"
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
# Amazon limits reports by client id and region, so each of these progresses on its own.
_REPORTS = text(f"""
    SELECT count(*) FILTER (WHERE is_open) AS remaining,
           count(*) FILTER (WHERE NOT is_open) AS loaded, min(loaded_at) AS since
      FROM (SELECT account_id, true AS is_open, CAST(NULL AS timestamptz) AS loaded_at
              FROM report_requests r
             WHERE r.{OPEN_REQUEST} AND {_OF_ADS_ACCOUNT}
            UNION ALL
            SELECT account_id, false, min(loaded_at)
              FROM report_loads
             WHERE loaded_at >= :since AND first_days > 0 AND {_OF_ADS_ACCOUNT}
             GROUP BY request_id, account_id) reports
      JOIN ads_accounts o USING (account_id)
     WHERE o.needs_attention IS NULL
     GROUP BY o.client_id, o.region""")


@dataclass(frozen=True)
class ReportRate:
    """The reports of one client id and region, or of one ads account.

    Attributes:
        remaining: The number of reports that are planned, requested or being loaded.
        loaded: The number of reports that recently brought days for the first time.
        minutes: The time in which these were loaded.
    """

    remaining: int
    loaded: int
    minutes: float


@dataclass(frozen=True)
class Fill:
    """The first load of the history of some accounts.

    Attributes:
        loaded: The number of windows that were loaded at least once.
        total: The number of windows that were loaded, or are due for the first time.
        minutes_left: The shortest and the longest time until all are loaded; None if it can't be
            estimated.
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


def fill_json(fill: Fill, limits: Sequence[str]) -> dict[str, Any] | None:
    """Return a first load and what delays it, as JSON data; None if it is over."""
    if fill.is_over:
        return None
    counts = {"loaded": fill.loaded, "total": fill.total}
    return {**counts, "sentence": f"{fill.sentence}.", "limits": limits}


def read_fill(connection: Connection, at: datetime, account: Account | None = None) -> Fill:
    """Return the first load of the history of an account, or of all that are refreshed."""
    of = account.identity if account else {"account_id": None, "country_code": None}
    rows = connection.execute(_FILL, state_values(at, timedelta(0)) | of)
    windows = {row.kind: row.windows for row in rows}
    not_due = windows["missing"] + windows["not served"]
    to_load = max(0, windows["never"] + windows["requested"] - not_due)
    total = max(to_load, windows["made"] - windows["expired"] - not_due)
    reports = connection.execute(_REPORTS, {"since": at - _RATE_OVER} | of).all()
    rates = [ReportRate(one.remaining, one.loaded, _minutes(one.since, at)) for one in reports]
    return Fill(total - to_load, total, minutes_left(rates))


def _minutes(since: datetime | None, at: datetime) -> float:
    return 0.0 if since is None else (at - since).total_seconds() / 60


def minutes_left(rates: Iterable[ReportRate]) -> tuple[int, int] | None:
    """Return the shortest and the longest time until no report remains, in minutes.

    Return None if too few reports were loaded or remain. The time is counted in reports, since
    Amazon limits their number, and not the number of their days.
    """
    open_ = [rate for rate in rates if rate.remaining]
    if sum(rate.remaining for rate in open_) < FEWEST_REPORTS:
        return None
    if any(rate.loaded < FEWEST_REPORTS or rate.minutes <= 0 for rate in open_):
        return None
    expected = max(rate.remaining * rate.minutes / rate.loaded for rate in open_)
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
