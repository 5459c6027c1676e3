"""Action classes and their sentences, without a database."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bidbeacon_sessions import Action, ActionDefinitionError
from bidbeacon_sessions.actions import action_classes, render_action, stored_schema, within
from bidbeacon_sessions.sentences import format_duration, plain_text


class SampleQueued(Action):
    """Some windows wait."""

    sentence = "Queued {windows:count:report window} {windows:windows}[ of {dataset:badge}][ after {waited:duration}]"

    windows: list[date]
    dataset: str | None = None
    waited: float = 0


def test_a_sentence_is_made_of_typed_parts() -> None:
    """Windows are badges, counts agree with their noun, empty segments are left out."""
    parts = SampleQueued(windows=[date(2026, 11, 22), date(2026, 11, 23)]).parts()
    assert plain_text(parts) == "Queued 2 report windows 2026-11-22 2026-11-23"
    assert ["text", "window", "text", "window"] == [part["kind"] for part in parts]


def test_optional_segments_appear_with_their_values() -> None:
    """A segment stands when all its fields have something to say."""
    action = SampleQueued(windows=[date(2026, 11, 22)], dataset="daily_targets", waited=192)
    assert plain_text(action.parts()) == "Queued 1 report window 2026-11-22 of daily_targets after 3 min 12 s"


def test_many_windows_read_as_ranges_of_days() -> None:
    """A hundred days are one range; a gap starts another."""
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(100) if n != 50]
    text = plain_text(SampleQueued(windows=days, waited=5).parts())
    assert text == "Queued 99 report windows 2026-01-01 … 2026-02-19 2026-02-21 … 2026-04-10 after 5.0 s"


def test_of_many_runs_of_days_the_first_are_shown() -> None:
    """And how many days follow; four runs are shown all."""
    days = [date(2026, 1, 1) + timedelta(days=2 * n) for n in range(6)]
    shown = plain_text([{"kind": "window", "text": str(day), "value": str(day)} for day in days])
    assert "2026-01-01 2026-01-03 2026-01-05 and 3 more days" == shown
    pairs = [date(2026, 1, 1) + timedelta(days=n) for n in (0, 1, 3, 5, 6, 8)]
    shown = plain_text([{"kind": "window", "text": str(day), "value": str(day)} for day in pairs])
    assert "2026-01-01 … 2026-01-02 2026-01-04 2026-01-06 … 2026-01-07 2026-01-09" == shown


def test_the_type_is_the_class_name_in_kebab_case() -> None:
    """The stored type follows from the name."""
    assert SampleQueued.type == "sample-queued"


def test_an_action_without_a_sentence_is_refused() -> None:
    """Every payload can be read by people."""
    with pytest.raises(ActionDefinitionError, match="has no sentence"):
        type("Wordless", (Action,), {"__annotations__": {}})


def test_a_sentence_that_names_a_missing_field_is_refused() -> None:
    """The mistake is found at import, not on the page."""
    with pytest.raises(ActionDefinitionError, match="names \\['rows'\\]"):

        class Misspelt(Action):
            sentence = "Loaded {rows}"
            row_count: int


def test_a_sentence_that_names_a_missing_currency_is_refused() -> None:
    """The field that an amount's currency is taken from is one that the sentence names."""
    with pytest.raises(ActionDefinitionError, match="names \\['curency'\\]"):

        class Mispriced(Action):
            sentence = "Sold for {price:money:curency}"
            price: Decimal
            currency: str


def test_an_amount_without_its_currency_is_still_shown() -> None:
    """The currency decides nothing but what follows the amount."""

    class SamplePriced(Action):
        sentence = "Sold[ for {price:money:currency}]"
        price: Decimal
        currency: str | None = None

    assert "Sold for 2.50" == plain_text(SamplePriced(price=Decimal("2.5")).parts())
    assert "Sold for 2.50 EUR" == plain_text(SamplePriced(price=Decimal("2.5"), currency="EUR").parts())


def test_two_classes_of_one_type_are_refused() -> None:
    """A type means one thing."""
    with pytest.raises(ActionDefinitionError, match="is taken by"):
        type("SampleQueued", (Action,), {"sentence": "Other"})


ONE_CLASS = """
from bidbeacon_sessions import Action


class SampleReloaded(Action):
    sentence = "{said}"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Yield a module that declares one action."""
    (tmp_path / "sample_actions.py").write_text(ONE_CLASS.format(said="First"))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("sample_actions")
    del sys.modules["sample_actions"]


def test_a_module_is_loaded_again_after_it_was_changed(module: ModuleType) -> None:
    """Its classes may have moved to other lines meanwhile."""
    Path(str(module.__file__)).write_text("# moved\n\n" + ONE_CLASS.format(said="Changed"))
    importlib.reload(module)
    assert "Changed" == plain_text(render_action("sample-reloaded", 1, {}).parts)


def test_a_module_is_loaded_again_under_its_name(module: ModuleType) -> None:
    """As a tool does that loads files: a new module of the same name, and the old one may live on."""
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert action_classes().get("sample-reloaded") is again.SampleReloaded is not module.SampleReloaded


def test_a_cell_that_is_run_again_declares_its_class_anew() -> None:
    """In a notebook all cells are parts of one module, and lines are counted from each one's beginning."""
    cells: dict[str, Any] = {"__name__": "sample_notebook"}
    for said in ("First", "Second"):
        source = "\n" * len(said) + ONE_CLASS.format(said=said).replace("SampleReloaded", "SampleCell")
        exec(source, cells)
    assert action_classes().get("sample-cell") is cells["SampleCell"]


@pytest.mark.parametrize(("version", "payload"), [(2, {"windows": []}), (1, {"rows": 3})])
def test_what_newer_code_wrote_is_shown_as_data(version: int, payload: dict[str, object]) -> None:
    """An unknown version or payload is not lost and does not break the page."""
    rendered = render_action("sample-queued", version, payload)
    assert not rendered.known
    assert plain_text(rendered.parts).startswith("sample-queued {")


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.44, "0.4 s"), (42, "42 s"), (192, "3 min 12 s"), (7500, "2 h 05 min")]
)
def test_durations_are_said_the_way_people_say_them(seconds: float, expected: str) -> None:
    """From tenths of a second to hours."""
    assert expected == format_duration(seconds)


class SampleWeighed(Action):
    """Something was weighed; version 1 told grams, version 2 called the field `weight`."""

    sentence = "Weighed {kilograms} kg"
    schema_version = 3

    kilograms: Decimal

    @classmethod
    def upcast(cls, version: int, payload: dict[str, Any]) -> dict[str, Any]:
        """From grams."""
        match version:
            case 1:
                return {"kilograms": Decimal(payload["grams"]) / 1000}
            case 2:
                return {"kilograms": payload["weight"]}
        return super().upcast(version, payload)


@pytest.mark.parametrize(
    ("version", "payload"), [(1, {"grams": 2500}), (2, {"weight": "2.5"}), (3, {"kilograms": "2.5"})]
)
def test_a_payload_of_any_older_version_reads_as_the_newest(version: int, payload: dict[str, Any]) -> None:
    """What is stored stays as it is, and is brought up to date when it is read."""
    rendered = render_action("sample-weighed", version, payload)
    assert rendered.known
    assert "Weighed 2.5 kg" == plain_text(rendered.parts)


def test_a_type_that_nobody_knows_is_shown_as_data() -> None:
    """Newer code wrote it."""
    rendered = render_action("from-the-future", 1, {"b": 1, "a": "é"})
    assert not rendered.known
    assert 'from-the-future {"a": "é", "b": 1}' == plain_text(rendered.parts)


def test_a_payload_that_was_cut_still_reads_as_a_sentence_and_says_what_was_cut() -> None:
    """The bound of an action does not turn it into data."""
    days = [str(date(2020, 1, 1) + timedelta(days=n)) for n in range(4_000)]
    stored = within({"windows": days, "dataset": "daily_targets"}, 16 * 1024)
    rendered = render_action("sample-queued", 1, stored)
    assert rendered.known
    assert plain_text(rendered.parts).startswith("Queued 1,000 report windows 2020-01-01 …")
    assert plain_text(rendered.parts).endswith("of daily_targets (cut: 4,000 of windows)")


def test_a_stored_payload_fits_the_schema_that_is_published() -> None:
    """Amounts are text, days are dates; every field that is stored is described."""
    stored = SampleWeighed(kilograms=Decimal("2.5")).model_dump(mode="json")
    schema = stored_schema(SampleWeighed)
    assert {"kilograms": {"format": "decimal", "title": "Kilograms", "type": "string"}} == schema[
        "properties"
    ]
    assert schema["properties"].keys() == stored.keys()
    assert isinstance(stored["kilograms"], str)
