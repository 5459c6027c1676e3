"""SQL for download folders to which a host can't write; the host's loads pause meanwhile."""

import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

RETRY_AFTER: Final = timedelta(minutes=5)
_SHOWN_FOR: Final = timedelta(hours=1)
"""A folder is listed for this long after `retry_at`; then the host counts as idle or gone."""
_MINE = "u.host = :host AND u.folder = :folder"
IS_PAUSED_HERE = f"EXISTS (SELECT FROM unwritable_folders u WHERE {_MINE} AND u.retry_at > :now)"
"""SQL condition: this host's loads pause at `:now`; `place_of` returns `:host` and `:folder`."""
_RECORD = text("""
    INSERT INTO unwritable_folders (host, folder, reason, since, retry_at)
    VALUES (:host, :folder, :reason, :now, :retry_at)
        ON CONFLICT (host, folder) DO UPDATE
       SET reason = excluded.reason, retry_at = excluded.retry_at""")
_FIND = text(f"""
    SELECT u.host, u.folder, u.reason, u.retry_at > :now AS is_paused
      FROM unwritable_folders u WHERE {_MINE}""")
_LIST = text("""
    SELECT host, folder, reason, since FROM unwritable_folders
     WHERE retry_at > :after ORDER BY since""")


def place_of(folder: Path) -> dict[str, Any]:
    """Return the host and path of a folder on this host, as parameters of a statement."""
    return {"host": socket.gethostname(), "folder": str(folder)}


def record_unwritable(connection: Connection, folder: Path, reason: str, now: datetime) -> None:
    """Store that this host can't write to a folder, and when to retry."""
    values = {"reason": reason, "now": now, "retry_at": now + RETRY_AFTER}
    connection.execute(_RECORD, {**place_of(folder), **values})


def record_writable(connection: Connection, folder: Path) -> None:
    """Store that this host can write to a folder again."""
    delete = text(f"DELETE FROM unwritable_folders u WHERE {_MINE}")
    connection.execute(delete, place_of(folder))


def find_unwritable(connection: Connection, folder: Path, now: datetime) -> RowMapping | None:
    """Return host, folder, reason and is_paused (loads wait); None if the folder is writable."""
    return connection.execute(_FIND, {**place_of(folder), "now": now}).mappings().first()


def list_unwritable(connection: Connection, now: datetime) -> list[RowMapping]:
    """Return recently unwritable folders of all hosts: host, folder, reason and since."""
    return list(connection.execute(_LIST, {"after": now - _SHOWN_FOR}).mappings())
