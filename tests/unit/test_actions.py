"""Action classes and their sentences, without a database."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bidbeacon_pipelines.actions import AccountsSynced
from bidbeacon_sessions import Action, ActionDefinitionError
from bidbeacon_sessions.actions import action_classes, render_action
from bidbeacon_sessions.sentences import plain_text
from bidbeacon_sessions.writes import within
from tests.support.recorded_sessions import NOON


class SampleQueued(Action):
    """Some windows wait."""

    sentence = "Queued {windows:count:report window} {windows:windows}[ of {dataset:badge}][ after {waited:duration}]"

    windows: list[date]
    dataset: str | None = None
    waited: float = 0


class SampleSorted(Action):
    """Something was sorted."""

    sentence = "Sorted {kept}[, lost {lost}]"
    tone = "success"
    warns_with = "lost"

    kept: int
    lost: int = 0


class SamplePriced(Action):
    """Something was sold."""

    sentence = "Sold[ {pieces}][ for {price:money:currency}][ until {end:time}]"

    price: Decimal
    currency: str | None = None
    pieces: int | None = None
    end: datetime | None = None


def queued(*days: int, **more: Any) -> SampleQueued:
    """Return an action about days of the year 2026, the first of January being number 0."""
    return SampleQueued(windows=[date(2026, 1, 1) + timedelta(days=day) for day in days], **more)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (queued(0, 1), "Queued 2 report windows 2026-01-01 2026-01-02"),
        (queued(0, 1, 3), "Queued 3 report windows 2026-01-01 2026-01-02 2026-01-04"),
        (queued(0, dataset="x"), "Queued 1 report window 2026-01-01 of x"),
        (queued(*range(8)), "Queued 8 report windows 2026-01-01 … 2026-01-08"),
        (
            queued(*range(50), *range(51, 100)),
            "Queued 99 report windows 2026-01-01 … 2026-04-10 with gaps",
        ),
        (queued(waited=0.44), "Queued 0 report windows  after 0.4 s"),
        (queued(waited=5), "Queued 0 report windows  after 5.0 s"),
        (queued(waited=42), "Queued 0 report windows  after 42 s"),
        (queued(waited=192), "Queued 0 report windows  after 3 min 12 s"),
        (queued(waited=7500), "Queued 0 report windows  after 2 h 05 min"),
        (SamplePriced(price=Decimal("2.5")), "Sold for 2.50"),
        (SamplePriced(price=Decimal("2.5"), currency="EUR"), "Sold for 2.50 EUR"),
        (SamplePriced(price=Decimal(1), pieces=1234), "Sold 1,234 for 1.00"),
        (SamplePriced(price=Decimal(1), end=NOON), "Sold for 1.00 until 2026-07-25 12:00:00 UTC"),
    ],
)
def test_a_sentence_reads(action: Action, said: str) -> None:
    """Counts agree with their noun, empty segments are left out, many days are ranges, and of many ranges three are shown."""
    assert said == plain_text(action.parts())


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("Wordless", {"sentence": ""}, "has no sentence"),
        (
            "Misspelt",
            {"sentence": "{prise}"},
            r"mentions unknown fields \['prise'\]; known: \['price'\]",
        ),
        ("Mispriced", {"sentence": "For {price:money:curency}"}, r"unknown fields \['curency'\]"),
        ("Unreadable", {"sentence": "For {price:gold}"}, "unknown kind 'gold'"),
        ("Reserved", {"__annotations__": {"at": str}}, r"declares fields \['at'\], which every"),
        ("SampleQueued", {}, "is already used by"),
        ("Warning", {"warns_with": "lots"}, r"unknown fields \['lots'\]"),
        ("Owning", {"own_seconds": "hours"}, r"unknown fields \['hours'\]"),
    ],
)
def test_class_that_can_be_no_action_is_refused(name: str, given: Any, said: str) -> None:
    """The mistake is found at import, not on the page."""
    body = {"sentence": "Sold", "__annotations__": {"price": Decimal}, **given}
    with pytest.raises(ActionDefinitionError, match=said):
        type(name, (Action,), body)


@pytest.mark.parametrize(("lost", "tone"), [(0, "success"), (2, "warning")])
def test_a_field_makes_an_action_a_warning(lost: int, tone: str) -> None:
    """Where it says something."""
    assert tone == SampleSorted(kept=1, lost=lost).own_tone()


@pytest.mark.parametrize("is_new_module", [False, True])
def test_a_class_may_be_declared_anew(*, is_new_module: bool) -> None:
    """A module is loaded again or a notebook's cell run again, maybe with other lines, and a tool loads a file into a new module."""
    declared = (
        "from bidbeacon_sessions import Action\nclass SampleReloaded(Action):\n    sentence = {!r}"
    )
    first: dict[str, Any] = {"__name__": "sample_module"}
    second = {"__name__": "sample_module"} if is_new_module else first
    exec(declared.format("First"), first)
    exec("\n" + declared.format("Second"), second)
    assert action_classes().get("sample-reloaded") is second["SampleReloaded"]
    assert "Second" == plain_text(render_action("sample-reloaded", {}))


@pytest.mark.parametrize(
    ("action_type", "payload"), [("sample-queued", {"rows": 3}), ("from-the-future", {"a": "é"})]
)
def test_what_other_code_wrote_is_shown_as_data(action_type: str, payload: Any) -> None:
    """An unknown type or payload is not lost and does not break the page."""
    shown = plain_text(render_action(action_type, payload))
    assert f"{action_type} {json.dumps(payload, ensure_ascii=False)}" == shown


def test_a_field_that_the_class_no_longer_has_is_left_out() -> None:
    """The action still reads as a sentence; a field that it has now takes its default."""
    parts = render_action("sample-queued", {"windows": [], "priority": 3})
    assert "Queued 0 report windows " == plain_text(parts)


def test_a_payload_that_was_cut_reads_as_a_sentence() -> None:
    """The bound of an action does not turn it into data; a note says how much is stored."""
    days = [str(date(2020, 1, 1) + timedelta(days=n)) for n in range(4_000)]
    stored = within({"windows": days, "dataset": "daily_targets"}, 16 * 1024)
    text = plain_text(render_action("sample-queued", stored))
    assert text.startswith("Queued 1,000 report windows 2020-01-01 …")
    assert text.endswith("of daily_targets (shortened: windows)")


def test_account_sync_without_a_stored_count_of_problems_counts_them() -> None:
    """It was stored before there was such a count."""
    stored = {"accounts": 1, "problems": ["a", "b"]}
    parts = render_action(AccountsSynced.type, stored)
    assert "Synced 1 account, 2 problems" == plain_text(parts)
