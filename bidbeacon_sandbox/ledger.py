"""Who asked what: a record of each call, written before its answer goes out."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from bidbeacon_sandbox.rules import Operation


@dataclass(frozen=True, slots=True)
class Call:
    """One call and the status of its answer; `time` is the sandbox's clock, UTC."""

    time: datetime
    operation: Operation
    path: str
    account: str | None
    status: int


class Ledger(deque[Call]):
    """The latest 100,000 calls, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=100_000)

    def calls(self, operation: Operation | None = None) -> list[Call]:
        """Return the calls, of one operation where that is asked for."""
        return [call for call in list(self) if operation in {None, call.operation}]
