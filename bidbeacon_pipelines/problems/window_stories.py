"""What sessions did with single windows, from the references of their actions."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, text

_UNLOADED = text("""
    SELECT account_key, dataset, CAST(window_key AS date) AS window_date, effect AS outcome FROM (
        SELECT DISTINCT ON (account_key, dataset, window_key) account_key, dataset, window_key, effect
          FROM session_references
         WHERE session_id = :session AND window_key IS NOT NULL
           AND effect IN ('loaded', 'suspicious', 'unconfirmed', 'failed', 'expired', 'wait-given-up', 'not-asked')
         ORDER BY account_key, dataset, window_key, ord DESC) ends
     WHERE effect <> 'loaded' ORDER BY window_key DESC, account_key, dataset LIMIT :most""")


@dataclass(frozen=True)
class UnloadedWindow:
    """A window that a session handled and did not load, and the outcome."""

    account_key: str
    dataset: str
    window_date: date
    outcome: str


def list_unloaded_windows(
    connection: Connection, session_id: UUID, *, most: int = 500
) -> list[UnloadedWindow]:
    """Return the windows that a session did not load, newest days first: suspicious, failed, expired, not requested, or given up.

    The last outcome counts: a window that was suspicious and then loaded is not included.
    """
    rows = connection.execute(_UNLOADED, {"session": session_id, "most": most}).mappings()
    return [UnloadedWindow(**row) for row in rows]
