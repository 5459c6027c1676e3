"""SQL on lanes: where calls of all processes to Amazon line up, one row a lane, in the order of its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

# A process that is stopped in the middle of a reservation must not keep the others from calling. A place that a crash of the
# server forgets costs nothing, so nobody waits for the disk.
_SHORT = text("""
    SELECT set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '5s', true),
           set_config('synchronous_commit', 'off', true)""")

_KEYS = """unnest(CAST(:regions AS text[]), CAST(:classes AS text[]), CAST(:accounts AS text[]))
    AS k(region, call_class, account_id)"""

# The clock is read above the locked rows: after the wait for them.
_LOCK = text(f"""
    WITH locked AS MATERIALIZED (
        SELECT l.region, l.call_class, l.account_id, nullif(l.next_start_at, '-infinity') AS next_start_at
          FROM api_lanes l JOIN {_KEYS} USING (region, call_class, account_id)
         ORDER BY l.region, l.call_class, l.account_id FOR UPDATE OF l)
    SELECT locked.*, clock_timestamp() AS now FROM locked""")

_ADD = text(f"""
    INSERT INTO api_lanes (region, call_class, account_id, next_start_at)
    SELECT region, call_class, account_id, '-infinity' FROM {_KEYS} ORDER BY region, call_class, account_id
    ON CONFLICT DO NOTHING""")

_MOVE = text("""
    UPDATE api_lanes l SET next_start_at = k.next_start_at
      FROM unnest(CAST(:regions AS text[]), CAST(:classes AS text[]), CAST(:accounts AS text[]), CAST(:ats AS timestamptz[]))
           AS k(region, call_class, account_id, next_start_at)
     WHERE (l.region, l.call_class, l.account_id) = (k.region, k.call_class, k.account_id)""")


@dataclass(frozen=True, order=True)
class LaneKey:
    """Which lane: `account_id` is empty for the region's own."""

    region: str
    call_class: str
    account_id: str = ""


@dataclass(frozen=True)
class LockedLanes:
    """Lanes that nobody else can move before the transaction ends.

    Attributes:
        now: The database's clock, read after the wait for the locks.
        next_starts: From when on each may be used, in the order that was asked for; None where it never was used.
    """

    now: datetime
    next_starts: tuple[datetime | None, ...]


def lock_lanes(connection: Connection, keys: Sequence[LaneKey]) -> LockedLanes | None:
    """Lock lanes until the transaction ends, in the order of their keys, so that no two processes wait for each other.

    Gives None where one is missing: new, or deleted as idle. What was locked then has to be let go before it is added, since
    whoever holds a lane and waits for one that another adds may hold up that other. Whoever has to wait two seconds for a lock
    gets the database's error.
    """
    connection.execute(_SHORT)
    rows = _locked(connection, keys)
    if len(rows) < len(set(keys)):
        return None
    return LockedLanes(
        max(row["now"] for row in rows.values()), tuple(rows[key]["next_start_at"] for key in keys)
    )


def add_lanes(connection: Connection, keys: Sequence[LaneKey]) -> None:
    """Make those lanes that are missing, in the order of their keys; the transaction is theirs alone, and holds no other lock."""
    connection.execute(_SHORT)
    connection.execute(_ADD, _values(keys))


def move_lanes(connection: Connection, next_starts: Mapping[LaneKey, datetime]) -> None:
    """Note from when on locked lanes may be used again."""
    connection.execute(_MOVE, _values(list(next_starts)) | {"ats": list(next_starts.values())})


def delete_idle_lanes(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most so many lanes that nobody has used since an instant; return how many. Who needs one makes it anew."""
    deleted = connection.execute(
        text("""DELETE FROM api_lanes WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM api_lanes WHERE next_start_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED))"""),
        {"before": before, "limit": limit},
    )
    return deleted.rowcount


def _locked(connection: Connection, keys: Sequence[LaneKey]) -> dict[LaneKey, RowMapping]:
    rows = connection.execute(_LOCK, _values(keys)).mappings()
    return {LaneKey(row["region"], row["call_class"], row["account_id"]): row for row in rows}


def _values(keys: Sequence[LaneKey]) -> dict[str, list[str]]:
    return {
        "regions": [key.region for key in keys],
        "classes": [key.call_class for key in keys],
        "accounts": [key.account_id for key in keys],
    }
