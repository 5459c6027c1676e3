"""A log that grows at each look, in the place of a tailer: the hub's decisions, without a database or a clock."""

import json
from collections.abc import Collection
from uuid import uuid4

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.batch import Batch
from bidbeacon_sessions.server.rendering import RenderedSession
from bidbeacon_sessions.server.step_counts import StepCounts


class GrowingLog:
    """Each change is of a session of its own.

    Args:
        position: the newest one.
        come: how many changes come at each look.

    Attributes:
        parts: how many changes were read at once for those who come back, at most.
        counts: of steps, of which it takes none.
    """

    waits_for_another = False

    def __init__(self, position: int, come: int) -> None:
        self.epoch = uuid4()
        self.cursor = Cursor(self.epoch, position)
        self.come = come
        self.parts: list[int] = []
        self.counts = StepCounts()

    def behind(self, missed: int) -> Cursor:
        """Give the cursor of one who missed so many changes."""
        return Cursor(self.epoch, self.cursor.position - missed)

    def pull(self, _: Collection[SessionFilter]) -> Batch:
        """Read on."""
        batch = _read(self.cursor, self.come)
        self.cursor = batch.upto
        return batch

    def catch_up(self, cursor: Cursor, newest: Cursor, _: SessionFilter, most: int) -> Batch:
        """Give the next part of what was missed."""
        self.parts.append(most)
        return _read(cursor, min(most, newest.position - cursor.position))


def _read(after: Cursor, count: int) -> Batch:
    ids = [uuid4() for _ in range(count)]
    changed = [RenderedSession(each, json.dumps({"id": str(each)}), "running", {}) for each in ids]
    return Batch(after, Cursor(after.epoch, after.position + count), changed)
