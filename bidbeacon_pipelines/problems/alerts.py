"""Checks for findings once a minute, stores them, and sends each receiver one digest."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_pipelines.problems.alert_rules import (
    Acknowledgement,
    AlertEvent,
    KnownFinding,
    LastAlert,
    News,
    is_quiet,
    list_news,
    with_findings,
    write_digest,
)
from bidbeacon_pipelines.problems.alert_store import (
    claim_receiver,
    list_known,
    record_alerts,
    record_failure,
    save_known,
)
from bidbeacon_pipelines.problems.data_findings import acknowledge_removals
from bidbeacon_pipelines.problems.findings import Effect, Finding, found
from bidbeacon_pipelines.problems.receivers import NotSentError, Receiver, list_receivers
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.masking import mask_text

CHECK_EVERY: Final = timedelta(minutes=1)
OUTAGE_AFTER: Final = timedelta(minutes=5)
"""How long checks must fail before an alert reports it. Other alerts need working checks."""

logger = logging.getLogger(__name__)


class FindingIsOverError(ExpectedError):
    """The finding no longer exists; `keys` has the keys of the findings that exist."""

    def __init__(self, message: str = "This finding is over.", *, keys: Sequence[str] = ()) -> None:
        self.keys = keys
        super().__init__(message)


def check_findings(connection: Connection, settings: Settings, now: datetime) -> None:
    """Check for findings and store them; only one process does this at a time."""
    lock_until_commit(connection, "alerts")
    known = list_known(connection)
    seen = with_findings(known, survey(connection, settings, now).findings, now)
    save_known(connection, [one for one in seen if one != known.get(one.finding.key)])


def list_open(
    connection: Connection, findings: Sequence[Finding], now: datetime
) -> list[KnownFinding]:
    """Return findings with their stored history, in the same order; new ones begin at `now`."""
    known = with_findings(list_known(connection), findings, now)
    return [one for one in known if one.gone_at is None]


def get_finding(
    connection: Connection, settings: Settings, now: datetime, key: str
) -> KnownFinding:
    """Return the present finding with this key.

    Raises:
        FindingIsOverError: No finding with this key exists.
    """
    findings = survey(connection, settings, now).findings
    for one in list_open(connection, [one for one in findings if one.key == key], now):
        return one
    raise FindingIsOverError(keys=[one.key for one in findings])


def acknowledge(
    connection: Connection, settings: Settings, now: datetime, key: str, *, by: str, note: str = ""
) -> KnownFinding:
    """Acknowledge a finding until it gets worse, grows to twice its size, or ends.

    A finding whose action is `acknowledge` ends immediately.

    Raises:
        FindingIsOverError: No finding with this key exists.
    """
    known = get_finding(connection, settings, now, key)
    given = Acknowledgement(by, now, note, known.finding.severity, known.finding.count)
    known = replace(known, acknowledged=given)
    if known.finding.action == "acknowledge":
        acknowledge_removals(connection, key, now, by=by, note=note)
    else:
        save_known(connection, [known])
    return known


def unacknowledge(
    connection: Connection, settings: Settings, now: datetime, key: str
) -> KnownFinding:
    """Remove the acknowledgement of a finding.

    Raises:
        FindingIsOverError: No finding with this key exists.
    """
    known = replace(get_finding(connection, settings, now, key), acknowledged=None)
    save_known(connection, [known])
    return known


class AlertWatch:
    """Checks for findings once a minute in a thread, stores them, and sends alerts.

    Several processes may watch the same database; each digest is sent by only one of them.

    Args:
        engine: The engine of the database; the caller disposes of it.
        settings: The settings; their list of receivers may be empty.
        clock: Returns the present instant; by default, the time of the database.
        host_clock: Returns the present instant for alerts about failed checks.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        clock: Callable[[], datetime] | None = None,
        host_clock: Clock = utc_now,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._zone = ZoneInfo(settings.alert_time_zone)
        self._clock = clock or DatabaseClock(engine, settings)
        self._host_clock = host_clock
        self._receivers = list_receivers(settings)
        self._outages: dict[str, KnownFinding] = {}
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread, which runs until the process ends or `stop` is called."""
        threading.Thread(target=self._run, name="alerts", daemon=True).start()

    def stop(self) -> None:
        """Stop the thread after its current check."""
        self._stopped.set()

    def check_once(self) -> None:
        """Check for findings, and send each receiver its digest."""
        now = self._clock()
        with self._engine.begin() as connection:
            check_findings(connection, self._settings, now)
        if not is_quiet(self._settings.alert_quiet_hours, self._zone, now):
            for receiver in self._receivers:
                self._notify(receiver, now)

    def watch_once(self) -> None:
        """Check for findings and send alerts; if checks fail for long, send an alert about that."""
        outages = []
        try:
            self.check_once()
        except Exception as error:  # noqa: BLE001 - the next check may succeed: the thread must go on
            logger.warning("The check for problems failed: %s", mask_text(str(error)))
            outages = [_outage(error)]
        self._notify_of_outages(outages, self._host_clock())

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.watch_once()
            self._stopped.wait(CHECK_EVERY.total_seconds())

    def _notify(self, receiver: Receiver, now: datetime) -> None:
        """Send a receiver one digest of the events that were not sent to it yet, if there are any.

        If the process dies between sending and storing the events, the digest is sent again.
        """
        number = receiver.number
        with self._engine.begin() as connection:
            if not claim_receiver(connection, number, now):
                return
            news = list_news(list_known(connection).values(), number, now)
        error = self._send(receiver, news) if news else None
        with self._engine.begin() as connection:
            if error is not None:
                record_failure(connection, number, f"{receiver.label}: {error}")
                return
            record_alerts(connection, number, {one.finding.key: event for one, event in news}, now)

    def _send(self, receiver: Receiver, news: News) -> str | None:
        address = self._settings.stream_public_url
        try:
            receiver.send(write_digest(news, address=address, zone=self._zone))
        except NotSentError as error:
            return str(error)
        return None

    def _notify_of_outages(self, findings: Sequence[Finding], now: datetime) -> None:
        """Send an alert when checks for findings fail for long, and when they succeed again.

        These alerts are recorded only in memory, because the database may be unreachable. So each
        process that watches sends them, and sends them again after a restart.
        """
        known = {one.finding.key: one for one in with_findings(self._outages, findings, now)}
        quiet = is_quiet(self._settings.alert_quiet_hours, self._zone, now)
        for receiver in [] if quiet else self._receivers:
            news = list_news(known.values(), receiver.number, now)
            if not news or self._send(receiver, news) is not None:
                continue
            for one, event in news:
                alerts = {**one.last_alerts, receiver.number: LastAlert(event, now)}
                known[one.finding.key] = replace(one, last_alerts=alerts)
        self._outages = {key: one for key, one in known.items() if not _is_settled(one)}


def _outage(error: Exception) -> Finding:
    is_away = isinstance(error, OperationalError | InterfaceError)
    why = Effect(mask_text(str(error).partition("\n")[0]), "/")
    code = "database-away" if is_away else "check-failed"
    return found({"code": code}, why, alert_after=OUTAGE_AFTER)


def _is_settled(known: KnownFinding) -> bool:
    """Return whether an outage has ended and each alerted receiver was notified of the end."""
    is_reported = all(last.event is AlertEvent.ENDED for last in known.last_alerts.values())
    return known.gone_at is not None and is_reported
