"""Alerts: look for findings once a minute, remember them, and send each receiver one digest of what it is to be told."""

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
    Event,
    Known,
    LastAlert,
    is_quiet,
    list_news,
    with_findings,
    write_digest,
)
from bidbeacon_pipelines.problems.alert_store import (
    claim_receiver,
    list_known,
    note_failed,
    note_told,
    save_known,
)
from bidbeacon_pipelines.problems.findings import Effect, Finding, found
from bidbeacon_pipelines.problems.receivers import NotSentError, Receiver, list_receivers
from bidbeacon_pipelines.problems.row_findings import acknowledge_removals
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.masking import mask_text

LOOK_EVERY: Final = timedelta(minutes=1)
BLIND_AFTER: Final = timedelta(minutes=5)
"""How long reading findings may fail before an alert is sent, since no other alert comes meanwhile."""

logger = logging.getLogger(__name__)


class FindingIsOverError(ExpectedError):
    """There is no such finding any more; `keys` are of those that are there."""

    def __init__(self, message: str = "This finding is over.", *, keys: Sequence[str] = ()) -> None:
        self.keys = keys
        super().__init__(message)


def look(connection: Connection, settings: Settings, now: datetime) -> None:
    """Look for findings, and store since when each is there; one process after the other."""
    lock_until_commit(connection, "alerts")
    known = list_known(connection)
    seen = with_findings(known, survey(connection, settings, now).findings, now)
    save_known(connection, [one for one in seen if one != known.get(one.finding.key)])


def list_open(connection: Connection, findings: Sequence[Finding], now: datetime) -> list[Known]:
    """Return what is stored of findings that are there now, in their order; those that nobody has stored yet begin now."""
    known = with_findings(list_known(connection), findings, now)
    return [one for one in known if one.gone_at is None]


def find_finding(connection: Connection, settings: Settings, now: datetime, key: str) -> Known:
    """Return a finding that is there now.

    Raises:
        FindingIsOverError: there is none with this key.
    """
    findings = survey(connection, settings, now).findings
    for one in list_open(connection, [one for one in findings if one.key == key], now):
        return one
    raise FindingIsOverError(keys=[one.key for one in findings])


def acknowledge(
    connection: Connection, settings: Settings, now: datetime, key: str, *, by: str, note: str = ""
) -> Known:
    """Acknowledge a finding until it changes: gets worse, grows to twice its size, or ends.

    One whose action is `acknowledge` ends with it.

    Raises:
        FindingIsOverError: there is none with this key.
    """
    known = find_finding(connection, settings, now, key)
    given = Acknowledgement(by, now, note, known.finding.severity, known.finding.count)
    known = replace(known, acknowledged=given)
    if known.finding.action == "acknowledge":
        acknowledge_removals(connection, key, now, by=by, note=note)
    else:
        save_known(connection, [known])
    return known


def unacknowledge(connection: Connection, settings: Settings, now: datetime, key: str) -> Known:
    """Take an acknowledgement back.

    Raises:
        FindingIsOverError: there is no finding with this key.
    """
    known = replace(find_finding(connection, settings, now, key), acknowledged=None)
    save_known(connection, [known])
    return known


class AlertWatch:
    """Looks for findings once a minute in a thread, and sends alerts; without receivers it only remembers findings.

    Several processes may watch one database: only one of them sends each digest.

    Args:
        engine: the database; the caller disposes of it.
        settings: who gets alerts, and when.
        clock: returns the present instant; by default the database's.
        host_clock: used while the database does not answer.
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
        self._outages: dict[str, Known] = {}
        self._stopped = threading.Event()

    def start(self) -> None:
        """Watch until the process ends or `stop` is called."""
        threading.Thread(target=self._run, name="alerts", daemon=True).start()

    def stop(self) -> None:
        """Stop after the current look."""
        self._stopped.set()

    def look_once(self) -> None:
        """Look for findings, and tell each receiver what is new."""
        now = self._clock()
        with self._engine.begin() as connection:
            look(connection, self._settings, now)
        if not is_quiet(self._settings.alert_quiet_hours, self._zone, now):
            for receiver in self._receivers:
                self._tell(receiver, now)

    def watch_once(self) -> None:
        """Look and tell; log a failure, and send an alert if it persists."""
        outages = []
        try:
            self.look_once()
        except Exception as error:  # noqa: BLE001 - the next look may succeed, and the thread must go on
            logger.warning("The check for problems failed: %s", mask_text(str(error)))
            outages = [_outage(error)]
        self._tell_of_outages(outages, self._host_clock())

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.watch_once()
            self._stopped.wait(LOOK_EVERY.total_seconds())

    def _tell(self, receiver: Receiver, now: datetime) -> None:
        """Send a receiver one digest of what it has not been told yet, if there is something.

        The attempt is committed before it is made, and what was told after it: a process that dies
        in between leaves a digest that is sent again later.
        """
        number = receiver.number
        with self._engine.begin() as connection:
            if not claim_receiver(connection, number, now):
                return
            news = list_news(list_known(connection).values(), number, now)
        error = self._send(receiver, news) if news else None
        with self._engine.begin() as connection:
            if error is not None:
                note_failed(connection, number, f"{receiver.label}: {error}")
                return
            note_told(connection, number, {one.finding.key: event for one, event in news}, now)

    def _send(self, receiver: Receiver, news: Sequence[tuple[Known, Event]]) -> str | None:
        """Send a digest; return why it was not taken, or None."""
        address = self._settings.stream_public_url
        try:
            receiver.send(write_digest(news, address=address, zone=self._zone))
        except NotSentError as error:
            return str(error)
        return None

    def _tell_of_outages(self, findings: Sequence[Finding], now: datetime) -> None:
        """Send alerts that findings can't be read, or can be read again; the state is in memory.

        Nothing can be stored meanwhile: each watching process tells it, and again after a restart.
        """
        known = {one.finding.key: one for one in with_findings(self._outages, findings, now)}
        quiet = is_quiet(self._settings.alert_quiet_hours, self._zone, now)
        for receiver in [] if quiet else self._receivers:
            news = list_news(known.values(), receiver.number, now)
            if not news or self._send(receiver, news) is not None:
                continue
            for one, event in news:
                told = {**one.told, receiver.number: LastAlert(event, now)}
                known[one.finding.key] = replace(one, told=told)
        self._outages = {key: one for key, one in known.items() if not _is_settled(one)}


def _outage(error: Exception) -> Finding:
    is_away = isinstance(error, OperationalError | InterfaceError)
    why = Effect(mask_text(str(error).partition("\n")[0]), "/")
    code = "database-away" if is_away else "look-failed"
    return found({"code": code}, why, tell_after=BLIND_AFTER)


def _is_settled(known: Known) -> bool:
    """Return whether an outage is over, and everybody who was told knows."""
    is_known = all(last.event is Event.ENDED for last in known.told.values())
    return known.gone_at is not None and is_known
