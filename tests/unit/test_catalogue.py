"""The printed catalogue of actions."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

import pytest

from bidbeacon_sessions import Action, Reference
from bidbeacon_sessions.catalogue import markdown_catalogue


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


@pytest.fixture
def entry() -> str:
    """What the catalogue prints of the class above."""
    return markdown_catalogue([__name__]).partition("### sample-counted\n")[2].partition("\n## ")[0]


def test_an_entry_has_description_sentence_and_tone(entry: str) -> None:
    """The class's own words stand in the entry."""
    assert "\nSomething was counted.\n" in entry
    assert "\n    Counted {windows:count:window}[ for {price:money}]\n" in entry
    assert "\nTone warning. " in entry


def test_an_entry_says_what_the_action_refers_to(entry: str) -> None:
    """Effects are those of an action with sample values."""
    assert "Refers to account, window: `counted`." in entry


def test_fields_are_told_as_they_are_stored(entry: str) -> None:
    """Types and defaults are those of the stored JSON, where amounts are text."""
    assert "| `windows` | list of date |  |" in entry
    assert '| `price` | exact decimal, as text | `"0.10"` |' in entry
    assert "| `mood` | one of `well`, `badly` or null | `null` |" in entry


def test_the_cores_own_actions_come_last_and_others_are_left_out() -> None:
    """Only the modules asked for are listed, beside what sessions record of themselves."""
    page = markdown_catalogue(["bidbeacon_pipelines.actions"])
    assert "sample-counted" not in page
    assert page.index("### report-processed") < page.index("### session-finalized")
