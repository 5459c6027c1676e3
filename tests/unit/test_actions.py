"""Action classes and their sentences, without a database."""

from datetime import date, timedelta

import pytest

from bidbeacon_sessions import Action, ActionDefinitionError
from bidbeacon_sessions.actions import render_action
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


def test_two_classes_of_one_type_are_refused() -> None:
    """A type means one thing."""
    with pytest.raises(ActionDefinitionError, match="is taken by"):
        type("SampleQueued", (Action,), {"sentence": "Other"})


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
