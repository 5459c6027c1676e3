"""Actions of upkeep: checks of loaded data, and deleted records."""

from bidbeacon_sessions import Action


class DatasetChecked(Action):
    """A dataset was checked over all of its accounts and windows.

    `found` describes the failed checks. `differing` counts totals that differ from those of another
    dataset.
    """

    sentence = "Ran {checks:count:check} of {dataset:badge}[, {failed} failed][: {found}]"

    dataset: str
    checks: int
    failed: int = 0
    differing: int = 0
    found: str = ""


class OldRecordsDeleted(Action):
    """Records past their retention time were deleted; `counts` has their number by kind."""

    sentence = "Deleted {rows:count:old record}[: {by_table}]"

    rows: int
    by_table: str
    counts: dict[str, int]
