"""Alerts: look for problems, decide which messages to send, and send them.

The decision is committed before anything is sent.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.problems.alert_queries import (
    QueuedMessage,
    claim_messages,
    drop_messages,
    list_alerts,
    note_failed,
    note_sent,
    queue_message,
    save_alerts,
    take_watch,
)
from bidbeacon_pipelines.problems.alert_rules import (
    BACK_AFTER,
    Alert,
    Event,
    Message,
    QuietHours,
    bundle,
    show_instant,
    update_alerts,
    write_message,
)
from bidbeacon_pipelines.problems.problems import survey
from bidbeacon_pipelines.problems.receivers import NotSentError, Receiver, list_receivers
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.redaction import redact_text

LOOK_EVERY: Final = timedelta(minutes=1)
BLIND_AFTER: Final = timedelta(minutes=5)
"""How long checks may fail before an alert is sent, since no other alert comes meanwhile."""
_ANOTHER_LOOKED: Final = timedelta(seconds=45)

logger = logging.getLogger(__name__)


def look(connection: Connection, settings: Settings, now: datetime, *, receivers: int) -> bool:
    """Look for problems; store their state and the messages about them, all or nothing.

    Args:
        connection: a transaction.
        settings: address of the page, quiet hours, and what counts as late or silent.
        now: the instant that everything is true as of.
        receivers: how many receivers each message is for.

    Returns:
        False if another process is doing so, or has within the last minute: then nothing is done.
    """
    if not take_watch(connection, now, every=_ANOTHER_LOOKED):
        return False
    updates = _update(connection, settings, now)
    save_alerts(connection, [alert for alert, _ in updates])
    zone = ZoneInfo(settings.alert_time_zone)
    for alert, event in updates:
        if event is not None:
            message = write_message(alert, event, address=settings.stream_public_url, zone=zone)
            queue_message(connection, alert.problem.key, message, now, receivers=receivers)
    drop_messages(connection, receivers=receivers)
    return True


def list_open(connection: Connection, settings: Settings, now: datetime) -> list[Alert]:
    """Return what is wrong now, the newest cause first, whether anybody watches or not; store nothing.

    A cause that the watch has stored and that is gone stays open until the watch counts it as over.
    """
    updated = [alert for alert, _ in _update(connection, settings, now)]
    found = [alert for alert in updated if alert.closed_at is None]
    return sorted(found, key=lambda alert: alert.began_at, reverse=True)


def _update(
    connection: Connection, settings: Settings, now: datetime
) -> list[tuple[Alert, Event | None]]:
    """Look for problems, and return the new state of each cause with the event to send a message about."""
    problems = survey(connection, settings, now).problems
    known = {
        alert.problem.key: alert for alert in list_alerts(connection, told_after=now - BACK_AFTER)
    }
    return update_alerts(problems, known, now, is_quiet=_is_quiet(settings, now))


def _is_quiet(settings: Settings, now: datetime) -> bool:
    hours = settings.alert_quiet_hours
    return hours is not None and QuietHours.parse(
        hours, ZoneInfo(settings.alert_time_zone)
    ).contain(now)


def send_waiting(
    engine: Engine, settings: Settings, receivers: Sequence[Receiver], now: datetime
) -> None:
    """Send the queued messages.

    If a receiver does not accept one, its other messages are retried with it later. Each attempt is
    committed before it is made, so no message is lost; if the sender dies before it has stored the
    success, the message is sent twice.
    """
    with engine.begin() as connection:
        messages = claim_messages(connection, now)
    for receiver in receivers:
        waiting = [message for message in messages if message.receiver == receiver.number]
        _send(engine, receiver, waiting, settings.stream_public_url, now)


def _send(
    engine: Engine, receiver: Receiver, waiting: list[QueuedMessage], address: str, now: datetime
) -> None:
    singly = [
        Message(Event(message.event), message.is_minor, message.title, message.body)
        for message in waiting
    ]
    together = bundle(singly, address=address)
    ids = (
        [[message.id] for message in waiting]
        if len(together) == len(waiting)
        else [[message.id for message in waiting]]
    )
    for place, message in enumerate(together):
        try:
            receiver.send(
                message.title, message.body, event=message.event, is_minor=message.is_minor
            )
        except NotSentError as error:
            with engine.begin() as connection:
                note_failed(
                    connection,
                    [message_id for some in ids[place:] for message_id in some],
                    now,
                    f"{receiver.label}: {error}",
                )
            return
        with engine.begin() as connection:
            note_sent(connection, ids[place], now)


class OutageAlert:
    """Sends an alert while looking for problems fails, for example because the database does not answer, and another when it works again.

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
        """Send the alert to each receiver once, after checks have failed for `BLIND_AFTER`."""
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
        """Send the end of the outage to each receiver that got the alert; a receiver that fails is tried again after the next check."""
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
    """Checks for problems once a minute in a thread, and sends alerts.

    Several processes may watch one database: only one of them makes each check and sends each
    message.

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
        """Watch until the process ends or `stop` is called; do nothing without receivers."""
        if self._receivers:
            threading.Thread(target=self._run, name="alerts", daemon=True).start()

    def stop(self) -> None:
        """Stop after the current check."""
        self._stopped.set()

    def look_once(self) -> None:
        """Check for problems, and send queued messages."""
        now = self._clock()
        with self._engine.begin() as connection:
            look(connection, self._settings, now, receivers=len(self._receivers))
        send_waiting(self._engine, self._settings, self._receivers, now)

    def watch_once(self) -> None:
        """Check and send; log a failure, and send an alert if it persists."""
        try:
            self.look_once()
        except Exception as error:  # noqa: BLE001 - the next check may succeed, and the thread must go on
            logger.warning("The check for problems failed: %s", redact_text(str(error)))
            self._outage.note_failure(error, self._host_clock())
        else:
            self._outage.note_success(self._host_clock())

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.watch_once()
            self._stopped.wait(LOOK_EVERY.total_seconds())
