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
from bidbeacon_pipelines.problems.alert_rules import (
    Event,
    Known,
    QuietHours,
    find_event,
    show_instant,
    with_findings,
    write_digest,
)
from bidbeacon_pipelines.problems.alert_store import (
    claim_receiver,
    drop_receivers,
    list_known,
    note_failed,
    note_told,
    save_known,
    take_watch,
)
from bidbeacon_pipelines.problems.findings import Acknowledgement, Finding
from bidbeacon_pipelines.problems.receivers import NotSentError, Receiver, list_receivers
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.redaction import redact_text

LOOK_EVERY: Final = timedelta(minutes=1)
BLIND_AFTER: Final = timedelta(minutes=5)
"""How long looks may fail before an alert is sent, since no other alert comes meanwhile."""
_ANOTHER_LOOKED: Final = timedelta(seconds=45)

logger = logging.getLogger(__name__)


class FindingIsOverError(LookupError):
    """There is no such finding any more."""

    def __init__(self) -> None:
        super().__init__("This finding is over.")


def look(connection: Connection, settings: Settings, now: datetime) -> bool:
    """Look for findings, and store since when each is there.

    Returns:
        False if another process is doing so, or has within the last minute: then nothing is done.
    """
    if not take_watch(connection, now, every=_ANOTHER_LOOKED):
        return False
    known = list_known(connection)
    seen = with_findings(known, survey(connection, settings, now).findings, now)
    save_known(connection, [one for one in seen if one != known.get(one.finding.key)])
    return True


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
    raise FindingIsOverError


def acknowledge(
    connection: Connection, settings: Settings, now: datetime, key: str, *, by: str, note: str = ""
) -> Finding:
    """Acknowledge a finding until it changes: gets worse, grows to twice its size, or ends.

    Raises:
        FindingIsOverError: there is none with this key.
    """
    known = find_finding(connection, settings, now, key)
    finding = known.finding
    given = Acknowledgement(by, now, note, finding.severity, finding.count)
    return _acknowledged(connection, known, given)


def unacknowledge(connection: Connection, settings: Settings, now: datetime, key: str) -> Finding:
    """Take an acknowledgement back.

    Raises:
        FindingIsOverError: there is no finding with this key.
    """
    return _acknowledged(connection, find_finding(connection, settings, now, key), None)


def _acknowledged(connection: Connection, known: Known, given: Acknowledgement | None) -> Finding:
    finding = replace(known.finding, acknowledged=given)
    save_known(connection, [replace(known, finding=finding, acknowledged=given)])
    return finding


def tell(engine: Engine, settings: Settings, receiver: Receiver, now: datetime) -> None:
    """Send a receiver one digest of what it has not been told yet, if there is something.

    The attempt is committed before it is made, and what was told after it: a process that dies in
    between leaves a digest that is sent again later.
    """
    number = receiver.number
    with engine.begin() as connection:
        if not _list_news(connection, number, now) or not claim_receiver(connection, number, now):
            return
        news = _list_news(connection, number, now)  # without what was told while we waited
    try:
        if news:
            zone, address = ZoneInfo(settings.alert_time_zone), settings.stream_public_url
            one = write_digest(news, address=address, zone=zone)
            receiver.send(one.title, one.body, event=one.event, is_minor=one.is_minor)
    except NotSentError as error:
        with engine.begin() as connection:
            note_failed(connection, number, now, f"{receiver.label}: {error}")
    else:
        with engine.begin() as connection:
            note_told(connection, number, {one.finding.key: event for one, event in news}, now)


def _list_news(connection: Connection, receiver: int, now: datetime) -> list[tuple[Known, Event]]:
    known = list_known(connection).values()
    return [(one, event) for one in known if (event := find_event(one, receiver, now))]


def _is_quiet(settings: Settings, now: datetime) -> bool:
    hours = settings.alert_quiet_hours
    return hours is not None and QuietHours.parse(
        hours, ZoneInfo(settings.alert_time_zone)
    ).contain(now)


class OutageAlert:
    """Sends an alert while looks fail, for example because the database does not answer, and another when they work again.

    Its state is in memory only, since nothing can be stored meanwhile: each watching process sends
    it, and sends it again after a restart.
    """

    def __init__(self, settings: Settings, receivers: Sequence[Receiver]) -> None:
        self._settings = settings
        self._receivers = receivers
        self._since: datetime | None = None
        self._title = ""
        self._notified: list[Receiver] = []

    def note_failure(self, error: Exception, now: datetime) -> None:
        """Send the alert to each receiver once, after looks have failed for `BLIND_AFTER`."""
        self._since = self._since or now
        if now - self._since < BLIND_AFTER or _is_quiet(self._settings, now):
            return
        is_away = isinstance(error, OperationalError | InterfaceError)
        self._title = self._title or (
            "The database does not answer" if is_away else "The check for problems fails"
        )
        why = redact_text(str(error).partition("\n")[0])
        body = f"{why}\nNo other alert comes until it is over. So it has been since {self._shown(self._since)}."
        unnotified = [receiver for receiver in self._receivers if receiver not in self._notified]
        self._notified += [
            receiver for receiver in unnotified if _takes(receiver, self._title, body, Event.BEGAN)
        ]

    def note_success(self, now: datetime) -> None:
        """Send the end of the outage to each receiver that got the alert; a receiver that fails is tried again after the next look."""
        if self._since is not None and self._notified and not _is_quiet(self._settings, now):
            body = f"It began {self._shown(self._since)}, and is over since {self._shown(now)}."
            title = f"Over: {self._title}"
            self._notified = [
                receiver
                for receiver in self._notified
                if not _takes(receiver, title, body, Event.ENDED)
            ]
        if not self._notified:
            self._since, self._title = None, ""

    def _shown(self, instant: datetime) -> str:
        return show_instant(instant, ZoneInfo(self._settings.alert_time_zone))


def _takes(receiver: Receiver, title: str, body: str, event: Event) -> bool:
    try:
        receiver.send(title, body, event=event)
    except NotSentError as error:
        logger.warning("%s did not receive “%s”: %s", receiver.label, title, error)
        return False
    return True


class AlertWatch:
    """Looks for findings once a minute in a thread, and sends alerts; without receivers it only remembers findings.

    Several processes may watch one database: only one of them makes each look and sends each
    digest.

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
        self._clock = clock or DatabaseClock(engine, settings)
        self._host_clock = host_clock
        self._receivers = list_receivers(settings)
        self._outage = OutageAlert(settings, self._receivers)
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
            drop_receivers(connection, len(self._receivers))
        if not _is_quiet(self._settings, now):
            for receiver in self._receivers:
                tell(self._engine, self._settings, receiver, now)

    def watch_once(self) -> None:
        """Look and tell; log a failure, and send an alert if it persists."""
        try:
            self.look_once()
        except Exception as error:  # noqa: BLE001 - the next look may succeed, and the thread must go on
            logger.warning("The check for problems failed: %s", redact_text(str(error)))
            self._outage.note_failure(error, self._host_clock())
        else:
            self._outage.note_success(self._host_clock())

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.watch_once()
            self._stopped.wait(LOOK_EVERY.total_seconds())
