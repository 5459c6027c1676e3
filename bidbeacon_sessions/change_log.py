"""The change log: it numbers committed changes without gaps, so that readers miss none.

Sequence values and timestamps are assigned before a commit, so a reader that follows them skips
late commits. This log stores a snapshot of the database instead. Each call of `step` publishes the
rows that are visible now but not in that snapshot. Writers take no lock and send no notification.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

_CURSOR = re.compile(
    r"(?P<epoch>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?P<position>[0-9]{1,18})"
)


@dataclass(frozen=True)
class Cursor:
    """A reader's place in the log, after the change at `position`; text `<epoch>.<position>`.

    Each restart of the log begins a new epoch, a random UUID.
    """

    epoch: UUID
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}"


NOWHERE = Cursor(UUID(int=0), 0)
"""A cursor that belongs to no log, so that its reader must reload."""


@dataclass(frozen=True)
class Position:
    """The newest and the oldest stored position (`oldest` is `position + 1` in an empty log)."""

    epoch: UUID
    position: int
    oldest: int

    @property
    def cursor(self) -> Cursor:
        """The cursor after the newest change."""
        return Cursor(self.epoch, self.position)


def parse_cursor(cursor: str) -> Cursor:
    """Parse a cursor `<epoch>.<position>`; for other text return `NOWHERE`, which fits no log."""
    match = _CURSOR.fullmatch(cursor)
    return Cursor(UUID(match["epoch"]), int(match["position"])) if match else NOWHERE


_HEAD = text("""
    SELECT c.epoch, c.position,
           coalesce((SELECT min(position) FROM session_changes), c.position + 1)
      FROM session_change_cursor c""")


def head(connection: Connection) -> Position:
    """Return the log's newest and oldest position, as of the connection's snapshot."""
    return Position(*connection.execute(_HEAD).one())


# One statement reads epoch and positions, so that positions of another epoch are never returned.
_CHANGES = text("""
    SELECT position, session_id, ord
      FROM session_changes
     WHERE position > :after AND (SELECT epoch FROM session_change_cursor) = :epoch
     ORDER BY position
     LIMIT :limit""")


def read_changes(connection: Connection, after: Cursor, limit: int) -> Sequence[Row[Any]]:
    """Return the next changes after a cursor, in order; none if the log has another epoch.

    Columns: position, session_id, and ord: the number of the changed action, or 0 if the session's
    header changed.
    """
    values = {"after": after.position, "epoch": after.epoch, "limit": limit}
    return connection.execute(_CHANGES, values).all()


# Rows visible to this statement and not visible in the stored snapshot, which is a parameter: only
# then the planner knows how few they are. The lower bound makes both indexes on changed_xid usable.
_CHANGED = """
    SELECT id AS session_id, CAST(0 AS bigint) AS ord, changed_xid,
           coalesce(finished_at, started_at) AS at
      FROM session_headers
     WHERE changed_xid >= pg_snapshot_xmin(CAST(:stored AS pg_snapshot))
       AND NOT pg_visible_in_snapshot(changed_xid, CAST(:stored AS pg_snapshot))
     UNION ALL
    SELECT session_id, ord, changed_xid, at
      FROM session_actions
     WHERE changed_xid >= pg_snapshot_xmin(CAST(:stored AS pg_snapshot))
       AND NOT pg_visible_in_snapshot(changed_xid, CAST(:stored AS pg_snapshot))"""

# The first such row of a table. Its snapshot is a column, so the planner expects a third of the
# table: it would read the whole table for EXISTS, and reads the index for ORDER BY.
_FIRST_CHANGED = """
    SELECT changed_xid
      FROM {table}
     WHERE changed_xid >= pg_snapshot_xmin(c.published_snapshot)
       AND NOT pg_visible_in_snapshot(changed_xid, c.published_snapshot)
     ORDER BY changed_xid LIMIT 1"""

# A stored snapshot from the future means that transaction ids started over. An old snapshot is
# renewed, so that polls stay cheap after a long transaction has ended.
_POLL = text(f"""
    SELECT ({_FIRST_CHANGED.format(table="session_headers")}) IS NOT NULL
           OR ({_FIRST_CHANGED.format(table="session_actions")}) IS NOT NULL
           OR pg_snapshot_xmax(c.published_snapshot) > pg_snapshot_xmax(pg_current_snapshot())
           OR c.system_identifier IS NULL
           OR c.stepped_at < clock_timestamp() - interval '30 s',
           c.epoch, c.position,
           coalesce((SELECT min(position) FROM session_changes), c.position + 1)
      FROM session_change_cursor c""")


def poll(connection: Connection) -> tuple[bool, Position]:
    """Return whether `step` must be called, and the log's position; take no lock.

    The query is read-only, so it uses no transaction id.
    """
    is_due, *position = connection.execute(_POLL).one()
    return is_due, Position(*position)


_STORED = text("SELECT CAST(published_snapshot AS text) FROM session_change_cursor")
_OLDEST = text(f"""
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(changed.at)), 0)
      FROM ({_CHANGED}) changed""")


def read_unpublished_seconds(connection: Connection) -> float:
    """Return the age of the oldest committed change that is not yet in the log, or 0."""
    stored = connection.execute(_STORED).scalar_one()
    return float(connection.execute(_OLDEST, {"stored": stored}).scalar_one())


# The server disconnects a process that freezes while it holds the cursor, so that another one can
# go on. Published positions must survive a crash, or they would be assigned twice; this commit
# makes all earlier commits durable too.
_TAKE = text("""
    SELECT epoch, position, CAST(published_snapshot AS text) AS stored, system_identifier,
           has_function_privilege('pg_catalog.pg_control_system()', 'execute') AS knows_cluster,
           set_config('idle_in_transaction_session_timeout', '5s', true),
           CASE current_setting('synchronous_commit')
                WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END
      FROM session_change_cursor
       FOR UPDATE SKIP LOCKED""")

_PUBLISH = text(f"""
    WITH changed AS ({_CHANGED}),
    published AS (
        INSERT INTO session_changes (position, session_id, ord)
        SELECT :position + row_number() OVER (ORDER BY changed_xid, session_id, ord),
               session_id, ord
          FROM changed
        RETURNING position)
    UPDATE session_change_cursor
       SET position = position + (SELECT count(*) FROM published),
           published_snapshot = pg_current_snapshot(), stepped_at = clock_timestamp()
    RETURNING position""")


def step(connection: Connection) -> int | None:
    """Publish the changes committed since the previous call, and return their number.

    The caller's transaction must be READ COMMITTED. Any process may call this at any time. If
    another process is publishing, this returns None immediately. Transactions that commit after a
    call are published by a later call. An interrupted call changes nothing.
    """
    taken = connection.execute(_TAKE).mappings().first()
    if taken is None:
        return None
    where = _PLACE_BY_CLUSTER if taken["knows_cluster"] else _PLACE_BY_DATABASE
    place, is_from_the_future = connection.execute(where, {"stored": taken["stored"]}).one()
    if place != taken["system_identifier"] or is_from_the_future:
        _start_epoch(connection, place)
        return 0
    values = {"stored": taken["stored"], "position": taken["position"]}
    return int(connection.execute(_PUBLISH, values).scalar_one()) - int(taken["position"])


_FORGET_PLACE = text("UPDATE session_change_cursor SET system_identifier = NULL")


def begin_epoch(connection: Connection) -> None:
    """Restart the log in the caller's READ COMMITTED transaction; all readers must reload.

    Call it after a restore from a backup, which `step` can't always detect. If another process is
    in `step`, this function waits until that process leaves `step`.
    """
    connection.execute(_FORGET_PLACE)
    step(connection)


# The identity of the log: the cluster, its timeline (which a promotion or a recovery to a point in
# time changes) and the database, hashed to fit the column. And whether the stored snapshot is from
# the future: read with the cursor locked, since an earlier statement may not see the newest one.
_PLACE = """
    SELECT hashtextextended(concat_ws('/', ({cluster}),
                                      substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), oid), 0),
           pg_snapshot_xmax(CAST(:stored AS pg_snapshot)) > pg_snapshot_xmax(pg_current_snapshot())
      FROM pg_database
     WHERE datname = current_database()"""
_PLACE_BY_CLUSTER = text(_PLACE.format(cluster="SELECT system_identifier FROM pg_control_system()"))
# Managed servers may refuse access to the cluster's identity.
_PLACE_BY_DATABASE = text(_PLACE.format(cluster="NULL"))


# 3 is the oldest transaction id: visible to every snapshot, so never published again.
_FORGET_FOREIGN_IDS = """
    UPDATE {table} SET changed_xid = CAST('3' AS xid8)
     WHERE changed_xid >= pg_snapshot_xmax(pg_current_snapshot())"""
_NEW_EPOCH = text("""
    UPDATE session_change_cursor
       SET epoch = gen_random_uuid(), position = 0, published_snapshot = pg_current_snapshot(),
           system_identifier = :place, stepped_at = clock_timestamp()""")


def _start_epoch(connection: Connection, place: int) -> None:
    for table in ("session_headers", "session_actions"):
        connection.execute(text(_FORGET_FOREIGN_IDS.format(table=table)))
    connection.execute(text("DELETE FROM session_changes"))
    connection.execute(_NEW_EPOCH, {"place": place})


_TRIM = text("""
    DELETE FROM session_changes
     WHERE position <= (SELECT position - :rows FROM session_change_cursor)""")


def trim(connection: Connection, *, rows: int) -> int:
    """Delete all but the newest `rows` changes; return the number of deleted changes."""
    return connection.execute(_TRIM, {"rows": rows}).rowcount
