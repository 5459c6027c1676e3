"""SQL on alerts: the state of each cause, and the queued messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from bidbeacon_pipelines.problems.alert_rules import Alert, Message
from bidbeacon_pipelines.problems.problem_rules import Problem

GIVE_UP_AFTER = timedelta(days=3)
"""A message that could not be sent for so long is not sent any more."""
_SENDING_TAKES = timedelta(minutes=5)
"""An attempt that nothing is known of for so long has died."""
_LONGEST_PAUSE = timedelta(minutes=15)
_PROBLEM = TypeAdapter(Problem)


@dataclass(frozen=True)
class QueuedMessage:
    """A message that is to be sent to one receiver, whose number counts from 1."""

    id: int
    receiver: int
    is_minor: bool
    event: str
    title: str
    body: str
    attempts: int


@dataclass(frozen=True)
class Delivery:
    """The state of alerting: when problems were last checked, how many messages wait and since when, and why the last attempt failed."""

    watched_at: datetime | None
    waiting: int
    waiting_since: datetime | None
    error: str | None


_MAKE_WATCH = text(
    "INSERT INTO alert_watch (looked_at) VALUES ('-infinity') ON CONFLICT DO NOTHING"
)
_TAKE_WATCH = text(
    "SELECT CAST(nullif(looked_at, '-infinity') AS timestamptz) AS looked_at FROM alert_watch FOR UPDATE SKIP LOCKED"
)
_NOTE_LOOK = text("UPDATE alert_watch SET looked_at = :now")


def take_watch(connection: Connection, now: datetime, *, every: timedelta) -> bool:
    """Lock the watch until the transaction ends; return False if another process has it, or has checked within `every`."""
    connection.execute(_MAKE_WATCH)
    row = connection.execute(_TAKE_WATCH).first()
    if row is None or (row.looked_at is not None and timedelta(0) <= now - row.looked_at < every):
        return False
    connection.execute(_NOTE_LOOK, {"now": now})
    return True


_COLUMNS = "problem, began_at, told_at, told_count, gone_at, closed_at"
_KNOWN = text(
    f"SELECT {_COLUMNS} FROM alerts WHERE closed_at IS NULL OR told_at > :told_after ORDER BY began_at DESC, key"
)


def list_alerts(connection: Connection, *, told_after: datetime | None = None) -> list[Alert]:
    """Return open causes, newest first, and closed ones with a message sent after an instant."""
    rows = connection.execute(_KNOWN, {"told_after": told_after}).mappings()
    return [Alert(**{**row, "problem": _PROBLEM.validate_python(row["problem"])}) for row in rows]


_SAVE = text(f"""
    INSERT INTO alerts (key, {_COLUMNS}) VALUES (:key, :problem, :began_at, :told_at, :told_count, :gone_at, :closed_at)
    ON CONFLICT (key) DO UPDATE SET problem = excluded.problem, began_at = excluded.began_at, told_at = excluded.told_at,
       told_count = excluded.told_count, gone_at = excluded.gone_at, closed_at = excluded.closed_at""").bindparams(
    bindparam("problem", type_=JSONB)
)


def save_alerts(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Store the state of causes."""
    rows = [
        alert.__dict__
        | {"key": alert.problem.key, "problem": _PROBLEM.dump_python(alert.problem, mode="json")}
        for alert in alerts
    ]
    if rows:
        connection.execute(_SAVE, rows)


_QUEUE = text("""
    INSERT INTO alert_messages (alert_key, event, is_minor, title, body, receiver, written_at, next_attempt_at)
    SELECT :alert_key, :event, :is_minor, :title, :body, n, :now, :now FROM generate_series(1, CAST(:receivers AS integer)) n""")


def queue_message(
    connection: Connection, alert_key: str, message: Message, now: datetime, *, receivers: int
) -> None:
    """Store a message for each receiver, to be sent at once."""
    connection.execute(
        _QUEUE, message.__dict__ | {"alert_key": alert_key, "now": now, "receivers": receivers}
    )


_CLAIM = text("""
    UPDATE alert_messages SET attempts = attempts + 1, next_attempt_at = :now + :sending_takes * 2 ^ least(attempts, 4)
     WHERE id IN (SELECT id FROM alert_messages
                   WHERE sent_at IS NULL AND next_attempt_at <= :now AND written_at > :given_up ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED)
    RETURNING id, receiver, is_minor, event, title, body, attempts""")


def claim_messages(connection: Connection, now: datetime) -> list[QueuedMessage]:
    """Return the messages to send now, oldest first, and count the attempt; other processes skip them for five minutes, then ten, and so on."""
    values = {"now": now, "given_up": now - GIVE_UP_AFTER, "sending_takes": _SENDING_TAKES}
    found = [QueuedMessage(**row) for row in connection.execute(_CLAIM, values).mappings()]
    return sorted(found, key=lambda message: message.id)


def note_sent(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Store that messages were sent."""
    connection.execute(
        text("UPDATE alert_messages SET sent_at = :now, error = NULL WHERE id = ANY(:ids)"),
        {"ids": list(ids), "now": now},
    )


_FAILED = text("""
    UPDATE alert_messages SET error = :error,
           next_attempt_at = :now + least(:longest, interval '1 minute' * 2 ^ least(attempts - 1, 10))
     WHERE id = ANY(:ids)""")


def note_failed(connection: Connection, ids: Sequence[int], now: datetime, error: str) -> None:
    """Store why messages could not be sent: they are tried again after a minute, two, four, and at last every quarter of an hour."""
    connection.execute(
        _FAILED, {"ids": list(ids), "now": now, "error": error, "longest": _LONGEST_PAUSE}
    )


_DELIVERY = text("""
    SELECT (SELECT nullif(looked_at, '-infinity') FROM alert_watch) AS watched_at,
           count(*) AS waiting, min(written_at) AS waiting_since,
           (array_agg(error ORDER BY attempts DESC, id) FILTER (WHERE error IS NOT NULL))[1] AS error
      FROM alert_messages WHERE sent_at IS NULL AND written_at > :given_up""")


def read_delivery(connection: Connection, now: datetime) -> Delivery:
    """Return the state of alerting."""
    return Delivery(
        **connection.execute(_DELIVERY, {"given_up": now - GIVE_UP_AFTER}).mappings().one()
    )


_LAST = text("""
    SELECT DISTINCT ON (alert_key, receiver) alert_key, receiver, event, written_at, attempts, error, sent_at
      FROM alert_messages WHERE alert_key = ANY(:keys) ORDER BY alert_key, receiver, written_at DESC, id DESC""")


def list_last_messages(
    connection: Connection, keys: Sequence[str]
) -> Mapping[str, list[RowMapping]]:
    """Return the last message of causes to each receiver, by the cause's key: receiver, event, written_at, attempts, error, sent_at."""
    found: dict[str, list[RowMapping]] = {key: [] for key in keys}
    for row in connection.execute(_LAST, {"keys": list(keys)}).mappings():
        found[row["alert_key"]].append(row)
    return found


def drop_messages(connection: Connection, *, receivers: int) -> None:
    """Delete the messages to receivers that are no longer set."""
    connection.execute(
        text("DELETE FROM alert_messages WHERE receiver > :receivers AND sent_at IS NULL"),
        {"receivers": receivers},
    )


_DELETE = text("""
    WITH old AS (SELECT id FROM alert_messages WHERE written_at < :before ORDER BY id LIMIT :most)
    DELETE FROM alert_messages USING old WHERE alert_messages.id = old.id""")


def delete_messages(connection: Connection, before: datetime, most: int) -> int:
    """Delete messages that were written before an instant, sent or not, and causes that were over by then; return how many messages."""
    connection.execute(text("DELETE FROM alerts WHERE closed_at < :before"), {"before": before})
    return connection.execute(_DELETE, {"before": before, "most": most}).rowcount
