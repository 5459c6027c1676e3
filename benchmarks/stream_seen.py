"""Comparison of a crowd's messages with acknowledged actions: delays and losses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from benchmarks.stream_crowd import Report
from benchmarks.writers import Acknowledged
from bidbeacon_sessions import SessionStore

_POSITIONS = text("""
    SELECT session_id, ord, min(position)
      FROM session_changes
     WHERE position > :after AND ord > 0
     GROUP BY session_id, ord""")


@dataclass
class Seen:
    """The messages of a crowd, compared with acknowledged actions.

    Attributes:
        milliseconds: Of each acknowledged action and client, from acknowledgement to arrival.
        lost: The number of these that never arrived.
        faults: Other faults.
    """

    milliseconds: NDArray[np.float64]
    lost: int
    faults: list[str]

    def percentile(self, share: float) -> float:
        """Return a percentile of the delay, in milliseconds."""
        return float(np.percentile(self.milliseconds, share))


def compare(store: SessionStore, acknowledged: Acknowledged, report: Report, after: int) -> Seen:
    """Compare a crowd's report with acknowledged actions, by positions since `after`."""
    with store.begin() as connection:
        found = connection.execute(_POSITIONS, {"after": after})
        places = {(str(session_id), ord_): position for session_id, ord_, position in found}
    pairs = sorted((places[key], at) for key, at in acknowledged.items() if key in places)
    late = np.concatenate(list(_delays(pairs, report)))
    lost = len(acknowledged) * len(report.arrivals) - len(late)
    faults = report.faults if report.reached else [*report.faults, "not all reached the end"]
    return Seen(late, lost, faults)


def _delays(pairs: Sequence[tuple[int, int]], report: Report) -> Iterator[NDArray[np.float64]]:
    wanted, acknowledged = np.array(pairs).T
    for positions, instants in report.arrivals:
        index = np.searchsorted(np.array(positions), wanted, side="left")
        came = index < len(positions)
        yield (np.array(instants)[index[came]] - acknowledged[came]) / 1e6
