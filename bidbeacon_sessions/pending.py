"""Pending actions: recorded inside the job's own transactions, and which of them came true.

A transaction that is rolled back takes its actions with it. The recorder remembers its actions,
asks the table once the transaction is over, and records in the timeline what did not happen. The
table is the only judge: a commit whose answer was lost, a savepoint that was left, a connection
that broke are all recorded correctly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakSet

from sqlalchemy import Connection, RootTransaction, event

from bidbeacon_sessions.actions import Action


@dataclass(frozen=True)
class PendingAction:
    """An action at its place, whose transaction (None where the connection commits by itself) was not known to be committed yet."""

    ord: int
    action: Action
    at: datetime
    transaction: RootTransaction | None

    @property
    def is_decided(self) -> bool:
        """Whether its transaction is over, one way or the other."""
        return self.transaction is None or not self.transaction.is_active


class PendingActions:
    """The pending actions of one session."""

    def __init__(self) -> None:
        self._open: dict[int, PendingAction] = {}
        self._watched: WeakSet[Connection] = WeakSet()
        self.is_one_rolled_back = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection, action: PendingAction) -> None:
        """Remember an action, and notice when its connection rolls back, be it to a savepoint."""
        self._open[action.ord] = action
        if connection not in self._watched:
            self._watched.add(connection)
            event.listen(connection, "rollback", self._on_rollback)
            event.listen(connection, "rollback_savepoint", self._on_rollback)

    def list_decided(self) -> Sequence[PendingAction]:
        """Return the actions whose transactions are over, oldest first."""
        return [action for action in self._open.values() if action.is_decided]

    def settle(self, decided: Sequence[PendingAction], stored: set[int]) -> Sequence[PendingAction]:
        """Forget decided actions; return those that are not stored."""
        for action in decided:
            del self._open[action.ord]
        self.is_one_rolled_back = False
        return [action for action in decided if action.ord not in stored]

    def _on_rollback(self, *_: object) -> None:
        self.is_one_rolled_back = True
