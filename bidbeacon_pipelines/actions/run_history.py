"""What pruning Dagster's history records."""

from datetime import date

from bidbeacon_sessions import Action


class RunHistoryPruned(Action):
    """Events of runs that ended before a day (UTC) were deleted, and the files of what they printed; the history of assets stays."""

    sentence = (
        "Deleted {events:count:event} of runs that ended before {before}[, and what {logs:count:run} printed]"
    )

    events: int
    logs: int = 0
    before: date
