"""What keeping house records."""

from bidbeacon_sessions import Action


class OldRecordsDeleted(Action):
    """Records that were older than they are kept were deleted; `counts` by where they were, also where there were none."""

    sentence = "Deleted {rows:count:old record}[: {by_table}]"

    rows: int
    by_table: str
    counts: dict[str, int]
