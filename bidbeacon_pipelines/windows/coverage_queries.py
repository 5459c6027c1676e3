"""SQL that reads the windows of all accounts at once: a letter a day, since 100 accounts times 731 days are 73,100 windows."""

from collections.abc import Mapping
from datetime import date, datetime
from itertools import product
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL
from bidbeacon_pipelines.windows.tables import WINDOW_STATUSES

NO_WINDOW = " "
_FIRST_LETTER = 161
"""From here on no character is a control or a blank."""
_FLAGS = ("is_due", "is_overdue", "is_suspicious", "request_is_late")

# Windows of a new account fall due when it is first seen, those of one with a cadence of its own at
# its next round.
DUE_SINCE = "greatest(w.next_refresh_at, a.first_seen_at, o.next_look_at)"
IS_DUE = "(w.wanted_by IS NOT NULL OR coalesce(w.next_refresh_at <= :now, false))"
IS_OVERDUE = f"""(coalesce({DUE_SINCE} <= :overdue_before, false) AND w.next_refresh_at IS NOT NULL
                  AND NOT a.paused AND o.needs_attention IS NULL AND a.amazon_status <> 'DISABLED')"""
IS_SUSPICIOUS = "(w.suspicious_digest IS NOT NULL)"
REQUEST_IS_LATE = "coalesce(r.status = 'in_flight' AND r.sent_at < {late_if_sent_before}, false)"

_LETTERS = text(f"""
    WITH letters AS (
        SELECT w.account_id, w.country_code, w.report, w.window_date,
               chr({_FIRST_LETTER} + 16 * (array_position(CAST(:statuses AS text[]), w.status) - 1)
                 + 8 * CAST({IS_DUE} AS integer) + 4 * CAST({IS_OVERDUE} AS integer) + 2 * CAST({IS_SUSPICIOUS} AS integer)
                 + CAST({REQUEST_IS_LATE.format(late_if_sent_before=":late_if_sent_before")} AS integer)) AS letter
          FROM report_windows w
          JOIN advertiser_accounts a USING (account_id, country_code)
          JOIN ads_accounts o USING (account_id)
          LEFT JOIN report_requests r ON r.id = w.request_id
         WHERE w.dataset = :dataset AND w.window_date BETWEEN :start AND :end)
    SELECT a.account_key, {ACCOUNT_LABEL} AS label, a.time_zone, a.paused, a.amazon_status, o.needs_attention,
           ARRAY(SELECT string_agg(coalesce(l.letter, ' '), '' ORDER BY d.day)
                   FROM (SELECT DISTINCT w.report FROM report_windows w
                          WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = :dataset) r
                  CROSS JOIN generate_series(CAST(:start AS date), CAST(:end AS date), interval '1 day') AS d(day)
                   LEFT JOIN letters l ON l.account_id = a.account_id AND l.country_code = a.country_code AND l.report = r.report
                                      AND l.window_date = CAST(d.day AS date)
                  GROUP BY r.report ORDER BY r.report) AS letters
      FROM advertiser_accounts a JOIN ads_accounts o USING (account_id) ORDER BY a.account_key""")


def list_window_letters(
    connection: Connection,
    dataset: str,
    *,
    start: date,
    end: date,
    now: datetime,
    overdue_before: datetime,
    late_if_sent_before: datetime,
) -> list[RowMapping]:
    """Return every account with one letter per day from `start` to `end` for each report: a key of `SIGNS`, or a blank without a window.

    Columns: account_key, label, time_zone, paused, amazon_status, needs_attention, letters.
    """
    values = {
        "dataset": dataset,
        "start": start,
        "end": end,
        "now": now,
        "overdue_before": overdue_before,
        "late_if_sent_before": late_if_sent_before,
        "statuses": list(WINDOW_STATUSES),
    }
    return list(connection.execute(_LETTERS, values).mappings())


def _signs() -> Mapping[str, Mapping[str, Any]]:
    """Return the signs of each letter, as the statement encodes them."""
    every = product(WINDOW_STATUSES, *[(False, True)] * len(_FLAGS))
    return MappingProxyType(
        {
            chr(_FIRST_LETTER + place): {"status": status, **dict(zip(_FLAGS, flags, strict=True))}
            for place, (status, *flags) in enumerate(every)
        }
    )


SIGNS = _signs()
"""What each letter says of a window: the fields of `windows.coverage_rules.WindowSigns`."""
