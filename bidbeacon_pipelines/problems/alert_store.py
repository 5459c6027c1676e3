"""SQL for stored findings, their acknowledgements, and the alerts sent about them."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from bidbeacon_pipelines.problems.alert_rules import AlertEvent, KnownFinding

_KNOWN = TypeAdapter(KnownFinding)

_LIST = text("""
    SELECT finding, began_at, gone_at, acknowledged, last_alerts
      FROM findings
     ORDER BY began_at DESC, key""")


def list_known(connection: Connection) -> dict[str, KnownFinding]:
    """Return all stored findings by key; the findings that began most recently come first."""
    known = [_KNOWN.validate_python(dict(row)) for row in connection.execute(_LIST).mappings()]
    return {one.finding.key: one for one in known}


_SAVE = text("""
    INSERT INTO findings (key, finding, began_at, gone_at, acknowledged)
    VALUES (:key, :finding, :began_at, :gone_at, :acknowledged)
    ON CONFLICT (key) DO UPDATE
       SET finding = excluded.finding, began_at = excluded.began_at,
           gone_at = excluded.gone_at, acknowledged = excluded.acknowledged""").bindparams(
    bindparam("finding", type_=JSONB), bindparam("acknowledged", type_=JSONB(none_as_null=True))
)


def save_known(connection: Connection, known: Iterable[KnownFinding]) -> None:
    """Store findings, but not the alerts about them, which `record_alerts` stores."""
    rows = [
        _KNOWN.dump_python(one, mode="json")
        | {"key": one.finding.key, "began_at": one.began_at, "gone_at": one.gone_at}
        for one in known
    ]
    if rows:
        connection.execute(_SAVE, rows)


_CLAIM = text("""
    INSERT INTO alert_receivers AS r (receiver, failing_since, next_attempt_at)
    VALUES (:receiver, :now, :now + interval '1 minute')
    ON CONFLICT (receiver) DO UPDATE
       SET failing_since = coalesce(r.failing_since, :now),
           next_attempt_at = :now + least(interval '15 minutes', greatest(interval '1 minute',
                                                                          :now - r.failing_since))
     WHERE r.next_attempt_at <= :now
    RETURNING receiver""")


def claim_receiver(connection: Connection, receiver: int, now: datetime) -> bool:
    """Reserve a receiver for one attempt; return whether this process may send to it now.

    The next attempt's time is stored before this attempt, so a process that dies while sending does
    not block others. Pauses double from one minute to 15 until an attempt succeeds.
    """
    return connection.execute(_CLAIM, {"receiver": receiver, "now": now}).first() is not None


_RECORD_ALERT = text("""
    UPDATE findings
       SET last_alerts = last_alerts || jsonb_build_object(
               CAST(:receiver AS text),
               jsonb_build_object('event', CAST(:event AS text),
                                  'at', CAST(:now AS timestamptz)))
     WHERE key = :key""")
_RECORD_SUCCESS = text("""
    UPDATE alert_receivers
       SET next_attempt_at = '-infinity', failing_since = NULL, error = NULL
     WHERE receiver = :receiver""")


def record_alerts(
    connection: Connection, receiver: int, events: Mapping[str, AlertEvent], now: datetime
) -> None:
    """Store which events were sent to a receiver; `events` maps keys of findings to events."""
    facts = {"receiver": str(receiver), "now": now}
    for key, event in events.items():
        connection.execute(_RECORD_ALERT, facts | {"key": key, "event": event})
    connection.execute(_RECORD_SUCCESS, {"receiver": receiver})


def record_failure(connection: Connection, receiver: int, error: str) -> None:
    """Store why sending an alert to a receiver failed."""
    statement = text("UPDATE alert_receivers SET error = :error WHERE receiver = :receiver")
    connection.execute(statement, {"receiver": receiver, "error": error})


_FAILING = text("""
    SELECT failing_since, error
      FROM alert_receivers
     WHERE error IS NOT NULL AND receiver <= :receivers
     ORDER BY failing_since
     LIMIT 1""")


def find_failing_receiver(connection: Connection, receivers: int) -> RowMapping | None:
    """Return the error and `failing_since` of the receiver that has failed longest, or None.

    `receivers` is the number of receivers in the settings; receivers with higher numbers are
    ignored.
    """
    return connection.execute(_FAILING, {"receivers": receivers}).mappings().first()


_DELETE = text("""
    DELETE FROM findings
     WHERE key IN (SELECT key FROM findings WHERE gone_at < :before ORDER BY key LIMIT :most)""")


def delete_findings(connection: Connection, before: datetime, most: int) -> int:
    """Delete at most `most` findings whose `gone_at` is before an instant; return how many."""
    return connection.execute(_DELETE, {"before": before, "most": most}).rowcount
