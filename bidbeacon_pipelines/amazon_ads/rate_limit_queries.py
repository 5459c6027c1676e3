"""SQL on the rate limits of calls to Amazon, which all processes share: one row each, locked in the order of their keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

# A process that is stopped in the middle of a reservation must not keep the others from calling. A
# slot that a crash of the server forgets costs nothing, so commits do not wait for the disk.
_SHORT = text("""
    SELECT set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '5s', true),
           set_config('synchronous_commit', 'off', true)""")

_KEYS = """unnest(CAST(:regions AS text[]), CAST(:classes AS text[]), CAST(:accounts AS text[]))
    AS k(region, call_class, account_id)"""

# The clock is read above the locked rows: after the wait for them.
_LOCK = text(f"""
    WITH locked AS MATERIALIZED (
        SELECT l.region, l.call_class, l.account_id, nullif(l.next_start_at, '-infinity') AS next_start_at
          FROM rate_limits l JOIN {_KEYS} USING (region, call_class, account_id)
         ORDER BY l.region, l.call_class, l.account_id FOR UPDATE OF l)
    SELECT locked.*, clock_timestamp() AS now FROM locked""")

_ADD = text(f"""
    INSERT INTO rate_limits (region, call_class, account_id, next_start_at)
    SELECT region, call_class, account_id, '-infinity' FROM {_KEYS} ORDER BY region, call_class, account_id
    ON CONFLICT DO NOTHING""")

_MOVE = text("""
    UPDATE rate_limits l SET next_start_at = k.next_start_at
      FROM unnest(CAST(:regions AS text[]), CAST(:classes AS text[]), CAST(:accounts AS text[]), CAST(:ats AS timestamptz[]))
           AS k(region, call_class, account_id, next_start_at)
     WHERE (l.region, l.call_class, l.account_id) = (k.region, k.call_class, k.account_id)""")


@dataclass(frozen=True, order=True)
class LimitKey:
    """Which rate limit: `account_id` is empty for the region's own."""

    region: str
    call_class: str
    account_id: str = ""


@dataclass(frozen=True)
class LockedLimits:
    """Rate limits that nobody else can change before the transaction ends.

    Attributes:
        now: The database's clock, read after the wait for the locks.
        next_starts: When the next call may start, in the order of the keys; None where none was
            made yet.
    """

    now: datetime
    next_starts: tuple[datetime | None, ...]


def lock_limits(connection: Connection, keys: Sequence[LimitKey]) -> LockedLimits | None:
    """Lock rate limits until the transaction ends, in the order of their keys, so that no two processes deadlock.

    Return None where one is missing: new, or deleted as idle. End the transaction before you add
    it, since an insert that waits while it holds other locks could deadlock. A lock that is not
    granted within two seconds raises the database's error.
    """
    connection.execute(_SHORT)
    rows = _locked(connection, keys)
    if len(rows) < len(set(keys)):
        return None
    return LockedLimits(
        max(row["now"] for row in rows.values()), tuple(rows[key]["next_start_at"] for key in keys)
    )


def add_limits(connection: Connection, keys: Sequence[LimitKey]) -> None:
    """Insert the missing rate limits, in the order of their keys; the transaction must hold no other lock."""
    connection.execute(_SHORT)
    connection.execute(_ADD, _values(keys))


def move_limits(connection: Connection, next_starts: Mapping[LimitKey, datetime]) -> None:
    """Set when the next calls may start; the rate limits must be locked."""
    connection.execute(_MOVE, _values(list(next_starts)) | {"ats": list(next_starts.values())})


def delete_idle_limits(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` rate limits unused since an instant; return how many.

    They are inserted again when needed.
    """
    deleted = connection.execute(
        text("""DELETE FROM rate_limits WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM rate_limits WHERE next_start_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED))"""),
        {"before": before, "limit": limit},
    )
    return deleted.rowcount


def _locked(connection: Connection, keys: Sequence[LimitKey]) -> dict[LimitKey, RowMapping]:
    rows = connection.execute(_LOCK, _values(keys)).mappings()
    return {LimitKey(row["region"], row["call_class"], row["account_id"]): row for row in rows}


def _values(keys: Sequence[LimitKey]) -> dict[str, list[str]]:
    return {
        "regions": [key.region for key in keys],
        "classes": [key.call_class for key in keys],
        "accounts": [key.account_id for key in keys],
    }
