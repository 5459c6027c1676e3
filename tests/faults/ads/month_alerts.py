"""The alerts of a month: whether each cause that lasts is told, and how many messages that makes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bidbeacon_pipelines.problems.alert_rules import BACK_AFTER
from bidbeacon_pipelines.problems.alerts import look
from tests.faults.ads.simulated_office import Office

TOLD_WITHIN = BACK_AFTER + timedelta(hours=1)
"""Looks are an hour apart here; a cause that is back waits longest."""


class MonthOfAlerts:
    """Looks for problems once an hour, as the stream does once a minute, and compares what is told with the tables.

    Attributes:
        missed: what should have been told at a look and was not.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._seen_since: dict[str, datetime] = {}
        self.missed: list[str] = []

    def look(self) -> None:
        """Look now; note each cause that has been there for hours untold, and each failure in the tables that is in no cause."""
        now = self._office.clock.now()
        with self._office.engine.begin() as connection:
            assert look(connection, self._office.settings, now, receivers=1)
        open_now = self._office.rows(_OPEN)
        self._seen_since = {row["key"]: self._seen_since.get(row["key"], now) for row in open_now}
        self.missed += [
            f"{now:%d %B %H:%M}: {row['key']}"
            for row in open_now
            if row["told_count"] is None and now - self._seen_since[row["key"]] >= TOLD_WITHIN
        ]
        self.missed += [f"{now:%d %B %H:%M}: {what}" for what in self._uncounted(open_now)]

    def _uncounted(self, open_now: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return what the tables say is wrong and no open cause counts."""
        counted = Counter[str]()
        for row in open_now:
            counted[row["kind"]] += row["count"] or 0
        [wrong] = self._office.rows(_WRONG)
        kinds = ("needs attention", "failed", "unconfirmed", "suspicious")
        return [
            f"{kind}: {wrong[kind]}, told {counted[kind]}"
            for kind in kinds
            if counted[kind] < wrong[kind]
        ]

    def counts(self) -> Mapping[str, int]:
        """Return how many causes were told, and how many messages of each event there were."""
        events = self._office.rows(
            "SELECT event, count(*) AS messages FROM alert_messages GROUP BY event ORDER BY event"
        )
        told = self._office.value("SELECT count(told_at) FROM alerts")
        return {"causes": told, **{row["event"]: row["messages"] for row in events}}

    def most_in_a_day(self) -> tuple[int, int]:
        """Return how many messages about one cause, and about all, there were on one day at most."""
        [most] = self._office.rows(_MOST_IN_A_DAY)
        return most["of_a_cause"] or 0, most["of_all"] or 0


_OPEN = """
    SELECT key, told_count, problem ->> 'kind' AS kind, CAST(problem ->> 'count' AS bigint) AS count FROM alerts WHERE gone_at IS NULL"""
# A window that failed for what has stopped its ads account is told with that.
_WRONG = """
    SELECT (SELECT count(*) FROM ads_accounts WHERE needs_attention IS NOT NULL) AS "needs attention",
           count(*) FILTER (WHERE status = 'failed' AND needs_attention IS NULL) AS failed,
           count(*) FILTER (WHERE status = 'unconfirmed') AS unconfirmed,
           count(*) FILTER (WHERE status = 'loaded' AND suspicious_digest IS NOT NULL) AS suspicious
      FROM report_windows JOIN ads_accounts USING (account_id)"""
_MOST_IN_A_DAY = """
    SELECT max(messages)::integer AS of_a_cause, max(of_day)::integer AS of_all
      FROM (SELECT count(*) AS messages, sum(count(*)) OVER (PARTITION BY date_trunc('day', written_at)) AS of_day
              FROM alert_messages GROUP BY alert_key, date_trunc('day', written_at)) by_cause_and_day"""
