"""The printed catalog of actions; docs/reference/actions.md is compared with it in `test_docs_are_true.py`."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from bidbeacon_sessions import Action, Reference
from tools.actions_page import make_page


class SampleMood(StrEnum):
    """How it went."""

    WELL = "well"
    BADLY = "badly"


class SampleCounted(Action):
    """Something was counted."""

    sentence = "Counted {windows:count:window}[ for {price:money}]"
    tone = "warning"

    windows: list[date]
    price: Decimal = Decimal("0.10")
    mood: SampleMood | None = None

    def references(self) -> list[Reference]:
        """One reference a window."""
        return [Reference("US.a", "counted", window=str(day)) for day in self.windows]


ENTRY = """
Something was counted.

    Counted {windows:count:window}[ for {price:money}]

Tone: `warning`. References: account, window, with the effect `counted`.

| field | type | default |
|---|---|---|
| `windows` | list of date |  |
| `price` | exact decimal, as text | `"0.10"` |
| `mood` | one of `well`, `badly` or null | `null` |
"""


def test_an_entry_says_all_that_a_class_does() -> None:
    """Its words, the effects of a sample action, and the fields as the JSON that is stored, where amounts are text."""
    page = make_page([__name__])
    assert ENTRY == page.partition("### sample-counted\n")[2].partition("\n## ")[0]
