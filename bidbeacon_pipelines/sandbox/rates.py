"""How many calls a second are let in, by region and class of call, where a limit is set."""

from collections import defaultdict, deque
from datetime import datetime, timedelta
from typing import Literal

from bidbeacon_pipelines.sandbox.fault_rules import Operation
from bidbeacon_pipelines.sandbox.markets import Region

CallClass = Literal["create", "retrieve", "exports", "other"]
_CLASSES: dict[Operation, CallClass] = {
    "create_report": "create",
    "retrieve_report": "retrieve",
    "create_export": "exports",
    "get_export": "exports",
    "list_accounts": "other",
    "list_profiles": "other",
}
_SECOND = timedelta(seconds=1)


class Rates:
    """The calls let in during the last second; tokens and downloads are never counted."""

    def __init__(self, calls_per_second: int | None) -> None:
        self._limit = calls_per_second
        self._recent: dict[tuple[Region, CallClass], deque[datetime]] = defaultdict(deque)

    def lets_in(self, region: Region, operation: Operation, now: datetime) -> bool:
        """Tell whether one more call may pass at an instant, and count it where it may."""
        call_class = _CLASSES.get(operation)
        if self._limit is None or call_class is None:
            return True
        recent = self._recent[region, call_class]
        while recent and abs(now - recent[0]) >= _SECOND:
            recent.popleft()
        if len(recent) >= self._limit:
            return False
        recent.append(now)
        return True
