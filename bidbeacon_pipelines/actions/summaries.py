"""What checking and summing up loaded data records."""

from datetime import date

from bidbeacon_sessions import Action, Reference


class DatasetChecked(Action):
    """A dataset was checked over all of its accounts and windows; `found` has the sentences of failed checks."""

    sentence = "Made {checks:count:check} of {dataset:badge}[, {failed} failed][: {found}]"

    dataset: str
    checks: int
    failed: int = 0
    found: str = ""


class SummaryUpdated(Action):
    """Days of an account were summed up again after new loads."""

    sentence = "Summed up {days:count:day} of {account:account}, {first} to {last}"
    tone = "success"

    account: str
    days: int
    first: date
    last: date

    def references(self) -> list[Reference]:
        """The account."""
        return [Reference(self.account, "summed-up")]
