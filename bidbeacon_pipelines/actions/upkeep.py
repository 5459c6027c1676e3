"""Actions of upkeep."""

from bidbeacon_sessions import Action


class OldRecordsDeleted(Action):
    """Records past their retention time were deleted; `counts` has all kinds, also with zero."""

    sentence = "Deleted {rows:count:old record}[: {by_table}]"

    rows: int
    by_table: str
    counts: dict[str, int]
