"""SQL on days that Amazon refuses as too old: they become `not_served`, or due again."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions.writes import json_text

REQUESTED_AGAIN_AFTER: Final = timedelta(days=28)
"""The pause before a `not_served` day is requested again, if its own report was refused."""


@dataclass(frozen=True)
class RequestedDays:
    """The days of one report of an ads account that a request covers, in all countries."""

    account_id: str
    dataset: str
    report: str
    start_date: date
    end_date: date
    request_id: int


_OF_REPORT = "w.account_id = :account_id AND w.dataset = :dataset AND w.report = :report"
_OF_REQUEST = f"""{_OF_REPORT} AND w.window_date BETWEEN :start_date AND :end_date
       AND w.last_request_id = :request_id AND w.request_id IS NULL AND w.last_loaded_at IS NULL"""
_NOW = "CAST(:now AS timestamptz)"

# A day that was loaded without rows and is not served does not prove what Amazon serves.
_HAS_COME = "w.last_loaded_at IS NOT NULL AND w.not_served_since IS NULL"
_OLDEST_LOADED = f"""(
    SELECT min(w.window_date) FROM report_windows w WHERE {_OF_REPORT} AND {_HAS_COME})"""

# If an older day was loaded, a day that ended as not served was not refused because of its age.
_IS_YOUNGER_REFUSED = text(f"""
    SELECT coalesce(bool_and(w.last_loaded_at IS NULL)
                    AND bool_or(w.request_id IS NOT NULL OR w.cause ->> 'code' = 'report-too-old'
                                OR w.status = 'not_served'
                                   AND w.window_date < {_OLDEST_LOADED}), false)
      FROM report_windows w
     WHERE {_OF_REPORT} AND w.window_date = CAST(:end_date AS date) + 1""")


def is_younger_day_refused(connection: Connection, requested: RequestedDays) -> bool:
    """Return whether the day after the requested days is refused as too old, or in a request.

    A day with the status `not_served` counts as refused, unless an older day is loaded. Return
    False if the next day is loaded in any country.
    """
    return bool(connection.execute(_IS_YOUNGER_REFUSED, asdict(requested)).scalar_one())


_MARK_REFUSED_ALONE = text(f"""
    UPDATE report_windows w SET refused_alone_at = coalesce(w.refused_alone_at, {_NOW})
     WHERE {_OF_REQUEST} AND w.not_served_since IS NULL""")
# Other windows of these days are recorded again in Dagster, since the days may now be complete.
_END = f"""
    WITH ended AS (
        UPDATE report_windows w
           SET status = 'not_served', not_served_since = coalesce(w.not_served_since, {_NOW}),
               cause = CAST(:ended_for AS jsonb),
               next_refresh_at = CASE WHEN w.refused_alone_at IS NOT NULL
                                      THEN CAST(:again_at AS timestamptz) END
         WHERE {{condition}}
     RETURNING w.account_id, w.country_code, w.dataset, w.window_date),
    recorded_again AS (
        UPDATE report_windows w SET recorded_load_count = 0 FROM ended e
         WHERE w.account_id = e.account_id AND w.country_code = e.country_code
           AND w.dataset = e.dataset AND w.window_date = e.window_date AND w.load_count > 0)
    SELECT a.account_key, e.window_date FROM ended e
      JOIN advertiser_accounts a USING (account_id, country_code)"""
# If a younger day was loaded, Amazon refuses the day because of its age.
_END_REFUSED = text(
    _END.format(
        condition=f"""{_OF_REQUEST} AND (w.not_served_since IS NOT NULL OR (
               CAST(w.refused_alone_at AT TIME ZONE 'UTC' AS date)
               < CAST({_NOW} AT TIME ZONE 'UTC' AS date)
               AND CAST(:start_date AS date) = :end_date AND :start_date < (
                   SELECT max(w.window_date) FROM report_windows w
                    WHERE {_OF_REPORT} AND {_HAS_COME})))"""
    )
)
_END_OLDER = text(
    _END.format(
        condition=f"""{_OF_REPORT} AND w.request_id IS NULL AND w.wanted_by IS NULL
           AND w.last_loaded_at IS NULL AND w.expires_at > {_NOW}
           AND w.status IN ('missing', 'failed', 'unconfirmed') AND w.window_date < (
               SELECT max(w.window_date) FROM report_windows w
                WHERE {_OF_REPORT} AND w.status = 'not_served' AND w.refused_alone_at IS NOT NULL
                  AND w.window_date < {_OLDEST_LOADED})"""
    )
)


def end_refused_windows(
    connection: Connection, requested: RequestedDays, ended_for: Cause, now: datetime
) -> dict[str, list[date]]:
    """Store that days refused as too old are not served; return these days by account key.

    A day is not served if a report of this day alone was refused on two calendar days (UTC) while a
    younger day is loaded. All older days then become `not_served` too, unless one of them was ever
    loaded. A day that was `not_served` before and is refused again stays `not_served`.
    `ended_for` is stored as the cause.
    """
    values = asdict(requested) | {
        "now": now,
        "again_at": now + REQUESTED_AGAIN_AFTER,
        "ended_for": json_text(ended_for),
    }
    if requested.start_date == requested.end_date:
        connection.execute(_MARK_REFUSED_ALONE, values)
    refused = connection.execute(_END_REFUSED, values).all()
    older = connection.execute(_END_OLDER, values | {"again_at": None}).all()
    return _by_account([*refused, *older])


# A day loaded without rows may be not served after its load. Such a day proves nothing.
_CAME = text(f"""
    WITH cleared AS (
        UPDATE report_windows w SET refused_alone_at = NULL
          FROM unnest(CAST(:countries AS text[]), CAST(:days AS date[]), CAST(:ended AS boolean[]))
               AS r(country_code, window_date, had_ended)
         WHERE {_OF_REPORT} AND w.country_code = r.country_code AND w.window_date = r.window_date
           AND w.loaded_by_request = :request_id
     RETURNING w.window_date, r.had_ended, w.status)
    SELECT coalesce(bool_or(had_ended), false) AS had_ended, min(window_date) AS oldest
      FROM cleared WHERE status = 'loaded'""")
_REOPEN = text(f"""
    UPDATE report_windows w
       SET status = 'missing', next_refresh_at = {_NOW}, cause = NULL, cause_since = NULL,
           refused_alone_at = NULL, not_served_since = NULL
      FROM advertiser_accounts a
     WHERE a.account_id = w.account_id AND a.country_code = w.country_code
       AND {_OF_REPORT} AND w.status = 'not_served' AND w.last_loaded_at IS NULL
       AND w.expires_at > {_NOW}
       AND (:had_ended OR w.window_date > :oldest)
 RETURNING a.account_key, w.window_date""")


def reopen_windows(
    connection: Connection, requested: RequestedDays, refused: Sequence[ReportWindow], now: datetime
) -> dict[str, list[date]]:
    """Make `not_served` windows due after the load of a day that Amazon refused earlier.

    Return the days of the windows that are now due, by account key. Windows that were ever loaded
    stay unchanged. If the loaded day was `not_served` before, all other windows become due.
    Otherwise only windows of days younger than the loaded day become due: Amazon can't have refused
    these days because of their age. `refused` are the windows of the loaded request that Amazon
    refused earlier, in their state before the load.
    """
    values = asdict(requested) | {
        "now": now,
        "countries": [window.country_code for window in refused],
        "days": [window.window_date for window in refused],
        "ended": [window.not_served_since is not None for window in refused],
    }
    values |= connection.execute(_CAME, values).mappings().one()
    if values["oldest"] is None:
        return {}
    return _by_account(connection.execute(_REOPEN, values).all())


def _by_account(rows: Iterable[Row[Any]]) -> dict[str, list[date]]:
    days: dict[str, list[date]] = {}
    for account_key, day in sorted(map(tuple, rows)):
        days.setdefault(account_key, []).append(day)
    return days
