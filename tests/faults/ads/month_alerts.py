"""The alerts of a month: whether each finding that lasts is told, and how many alerts that makes."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.alert_rules import (
    BACK_AFTER,
    AlertEvent,
    KnownFinding,
    find_event,
)
from bidbeacon_pipelines.problems.alert_store import list_known, record_alerts
from bidbeacon_pipelines.problems.alerts import check_findings
from tests.support.world import World

RECEIVER = 1
TOLD_WITHIN = BACK_AFTER + timedelta(hours=1)
"""Looks are an hour apart here; what is back waits longest."""


class MonthOfAlerts:
    """Looks for findings once an hour, as the stream does once a minute, and compares what is told with the tables.

    Attributes:
        missed: what should have been told at a check and was not.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._told: list[tuple[date, str, AlertEvent]] = []
        self.missed: list[str] = []

    def check(self) -> None:
        """Check now; note each finding that has been there for hours untold, and each failure in the tables that is in no finding."""
        now = self._world.context.now()
        with self._world.engine.begin() as connection:
            check_findings(connection, self._world.context.settings, now)
            known = list_known(connection)
            events = {
                key: event
                for key, one in known.items()
                if (event := find_event(one, RECEIVER, now)) is not None
            }
            record_alerts(connection, RECEIVER, events, now)
        self._told += [(now.date(), key, event) for key, event in events.items()]
        open_now = [one for key, one in known.items() if one.gone_at is None and key not in events]
        late = [one.finding.key for one in open_now if _is_missed(one, now)]
        self.missed += [f"{now:%d %B %H:%M}: {what}" for what in late + self._uncounted(known)]

    def _uncounted(self, known: Mapping[str, KnownFinding]) -> list[str]:
        """Return what the tables say is wrong and no open finding counts."""
        effects = [
            each for one in known.values() if one.gone_at is None for each in one.finding.effects
        ]
        [wrong] = self._world.query(_WRONG, now=self._world.context.now())
        counted = {
            what: sum(each.count or 0 for each in effects if what in each.text) for what in wrong
        }
        return [
            f"{what}: {wrong[what]}, told {counted[what]}"
            for what in wrong
            if counted[what] < wrong[what]
        ]

    def counts(self) -> Mapping[str, int]:
        """Return how many findings were told, and how many alerts of each event there were."""
        events = Counter(str(event) for _, _, event in self._told)
        return {"findings": len({key for _, key, _ in self._told}), **events}

    def most_in_a_day(self) -> tuple[int, int]:
        """Return how many alerts about one finding, and about all, there were on one day at most."""
        of_one = Counter((day, key) for day, key, _ in self._told)
        of_all = Counter(day for day, _, _ in self._told)
        return max(of_one.values(), default=0), max(of_all.values(), default=0)


def _is_missed(known: KnownFinding, now: datetime) -> bool:
    finding, told = known.finding, known.last_alerts.get(RECEIVER)
    is_told = told is not None and told.at >= known.began_at
    has_lasted = now - known.began_at >= max(TOLD_WITHIN, finding.alert_after)
    return not is_told and has_lasted and finding.severity in (Severity.WARNING, Severity.ERROR)


# A window that failed for what has stopped its ads account is told with that. One that Amazon no
# longer serves keeps its data, whatever became of its last refresh.
_WRONG = """
    SELECT (SELECT count(*) FROM ads_accounts WHERE needs_attention IS NOT NULL) AS "ads account",
           count(*) FILTER (WHERE status = 'failed' AND needs_attention IS NULL AND expires_at > :now) AS " failed",
           count(*) FILTER (WHERE (status = 'unconfirmed' OR status = 'loaded' AND suspicious_digest IS NOT NULL AND next_refresh_at IS NOT NULL) AND needs_attention IS NULL AND expires_at > :now) AS "second report",
           count(*) FILTER (WHERE status = 'loaded' AND suspicious_digest IS NOT NULL AND next_refresh_at IS NULL AND needs_attention IS NULL AND expires_at > :now) AS "waiting for a decision"
      FROM report_windows JOIN ads_accounts USING (account_id)"""
