"""Sentences end with one full stop, whether or not the reasons inside them are sentences."""

import re
from collections.abc import Iterator

import pytest

from bidbeacon_pipelines.amazon_ads import errors
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.sentences import join_sentences, plain_text
from tools.actions_page import sample_payload

REASONS = ("it broke", "It broke. Nobody knows why.")
BROKEN = re.compile(r"\.\s*[.,;:)]|it broke [A-Z]")
"""A full stop before another mark, or a new sentence without one before it."""
PRODUCTS = [
    name
    for name, kind in action_classes().items()
    if kind.__module__.partition(".")[0] in {"bidbeacon_pipelines", "bidbeacon_sessions"}
]


def all_errors(parent: type[errors.AdsApiError]) -> Iterator[type[errors.AdsApiError]]:
    """Yield an error class with all below it that are made from a reason."""
    yield parent
    for child in parent.__subclasses__():
        if child is not errors.OutcomeUnknown:
            yield from all_errors(child)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_an_action_reads_well_with_reasons_of_either_kind(name: str, reason: str) -> None:
    """Each text that it shows may be a phrase or sentences; badges are names."""
    action_class = action_classes()[name]
    texts = {piece.name for piece in action_class.template.fields if piece.kind == "text"}
    payload = {
        field: reason if field in texts and value == "sample" else value
        for field, value in sample_payload(action_class).items()
    }
    said = plain_text(action_class.model_validate(payload).parts())
    assert not BROKEN.search(said), said


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("error", all_errors(errors.AdsApiError))
def test_an_error_of_amazon_reads_well_with_reasons_of_either_kind(
    error: type[errors.AdsApiError], reason: str
) -> None:
    """What went wrong, what to do and what was tried are sentences."""
    for said in (str(error(reason)), str(error(reason, about="a report"))):
        assert not BROKEN.search(said), said
        assert said.endswith(".")


def test_sentences_are_joined_with_one_mark_each() -> None:
    """Whatever they end with."""
    assert "A. B. C! D…" == join_sentences("A", "B. ", "", "C!", "D…")
