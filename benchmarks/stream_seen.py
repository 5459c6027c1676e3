"""What a crowd saw, held against what was acknowledged: how late, what is missing."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from benchmarks.stream_client import View
from benchmarks.stream_writers import Acknowledged
from bidbeacon_sessions import SessionStore

_POSITIONS = text("""
    SELECT session_id, ord, min(position) FROM session_changes WHERE position > :after AND ord > 0 GROUP BY session_id, ord""")
_STATUSES = text("SELECT id, status FROM session_headers WHERE id = ANY(:ids)")


@dataclass
class Seen:
    """A crowd's experience of some seconds.

    Attributes:
        milliseconds: of each acknowledged action and client, from acknowledgement to arrival.
        lost: how many of these never came, plus how many differ in the views of those who decoded
            everything.
        faults: what else was wrong.
    """

    milliseconds: NDArray[np.float32]
    lost: int
    faults: list[str]

    def percentile(self, share: float) -> float:
        """Return a percentile of the delay, in milliseconds."""
        return float(np.percentile(self.milliseconds, share))


def judge(
    store: SessionStore, acknowledged: Acknowledged, report: dict[str, Any], after: int
) -> Seen:
    """Compare a crowd's report with the log's positions since `after`, and with the tables."""
    with store.begin() as connection:
        places = {
            (str(session_id), ord_): position
            for session_id, ord_, position in connection.execute(_POSITIONS, {"after": after})
        }
        ids = list({UUID(session_id) for session_id, _ in acknowledged})
        statuses = {str(key): status for key, status in connection.execute(_STATUSES, {"ids": ids})}
    unpublished = acknowledged.keys() - places.keys()
    pairs = sorted((places[key], at) for key, at in acknowledged.items() if key in places)
    delays = [_delays(pairs, *arrivals) for arrivals in report["arrivals"]]
    late = np.concatenate(delays) if delays else np.empty(0, np.float32)
    never = sum(len(pairs) - len(delay) for delay in delays)
    wrong = [
        fault for view in report["views"] for fault in _differences(view, acknowledged, statuses)
    ]
    faults = [*report["faults"], *wrong] + (
        [] if report["reached"] else ["not everybody reached the end"]
    )
    return Seen(late, len(unpublished) + never + len(wrong), faults)


def _delays(
    pairs: Sequence[tuple[int, int]], arrivals: bytes, positions: bytes
) -> NDArray[np.float32]:
    """Return, for each acknowledged action in order of position, how long after it the client had it; those that never came are left out."""
    at, known = np.array(array("q", arrivals)), np.array(array("q", positions))
    wanted = np.array([position for position, _ in pairs])
    acknowledged = np.array([instant for _, instant in pairs])
    index = np.searchsorted(known, wanted, side="left")
    came = index < len(known)
    delay: NDArray[np.float32] = ((at[index[came]] - acknowledged[came]) / 1e6).astype(np.float32)
    return delay


def _differences(view: View, acknowledged: Acknowledged, statuses: dict[str, str]) -> list[str]:
    """Say what a client that decoded everything knows otherwise than the writers and the tables do."""
    missing = acknowledged.keys() - view.actions.keys()
    strange = view.actions.keys() - acknowledged.keys()
    twice = [key for key, count in view.actions.items() if count > 1]
    stale = [key for key, status in statuses.items() if view.statuses.get(key) != status]
    found = {
        "missing": missing,
        "never acknowledged": strange,
        "twice": twice,
        "of another status": stale,
    }
    return [f"{len(keys)} {what}" for what, keys in found.items() if keys]
