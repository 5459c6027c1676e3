"""Finding the target a row belongs to."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.ingest.targets import PLACEHOLDER_PREFIX, TargetIndex, placeholder_id


@dataclass(frozen=True)
class FakeTarget:
    """A target as an export tells it."""

    target_id: str
    match_type: str
    keyword: str | None = None
    asin: str | None = None
    expression: str | None = None
    ad_group_id: str | None = "4"
    state: str = "ENABLED"
    negative: bool = False


@dataclass(frozen=True)
class FakeRow:
    """What a row tells of its target."""

    target_match_type: str
    target_value: str
    ad_group_id: str = "4"


TARGETS = [
    FakeTarget("1", "PHRASE", keyword="funny dog shirt"),
    FakeTarget("2", "EXACT", keyword="funny dog shirt"),
    FakeTarget("3", "BROAD", keyword="Dog"),
    FakeTarget("4", "BROAD", keyword="dog"),
    FakeTarget("5", "PRODUCT_EXACT", asin="B0EXAMPLE1"),
    FakeTarget("6", "PRODUCT_SIMILAR", asin="B0EXAMPLE1"),
    FakeTarget("7", "PRODUCT_CATEGORY", expression='category="Dog Shirts"'),
    FakeTarget("8", "PRODUCT_CATEGORY", expression='category="Dog Shirts" brand="Café"'),
    FakeTarget("11", "SEARCH_CLOSE_MATCH"),
    FakeTarget("12", "SEARCH_LOOSE_MATCH"),
    FakeTarget("13", "PRODUCT_SUBSTITUTES"),
    FakeTarget("14", "PRODUCT_COMPLEMENTS"),
    FakeTarget("20", "EXACT", keyword="other group", ad_group_id="5"),
    FakeTarget("21", "EXACT", keyword="cheap", negative=True),
    FakeTarget("22", "EXACT", keyword="cat", ad_group_id=None, negative=True),
    FakeTarget("23", "EXACT", keyword="whole campaign", ad_group_id=None),
]
INDEX = TargetIndex(TARGETS)


@pytest.mark.parametrize(
    ("match_type", "value", "expected"),
    [
        ("PHRASE", "funny dog shirt", "1"),
        ("EXACT", "funny dog shirt", "2"),
        ("BROAD", "funny dog shirt", None),
        ("BROAD", "Dog", "3"),
        ("BROAD", "dog", "4"),
        ("BROAD", "DOG", "3"),
        ("phrase", "Funny  DOG\tshirt ", "1"),
        ("TARGETING_EXPRESSION", 'asin="B0EXAMPLE1"', "5"),
        ("TARGETING_EXPRESSION", 'asin-expanded="B0EXAMPLE1"', "6"),
        ("TARGETING_EXPRESSION", ' ASIN = "b0example1" ', "5"),
        ("TARGETING_EXPRESSION", 'asin="B0UNKNOWN1"', None),
        ("TARGETING_EXPRESSION", 'category="Dog Shirts"', "7"),
        ("TARGETING_EXPRESSION", 'category="dog shirts"', "7"),
        ("TARGETING_EXPRESSION", 'category="Dog Shirts" brand="Cafe\u0301"', "8"),
        ("TARGETING_EXPRESSION", "funny dog shirt", None),
        ("TARGETING_EXPRESSION_PREDEFINED", "close-match", "11"),
        ("TARGETING_EXPRESSION_PREDEFINED", "loose-match", "12"),
        ("TARGETING_EXPRESSION_PREDEFINED", "substitutes", "13"),
        ("TARGETING_EXPRESSION_PREDEFINED", "complements", "14"),
        ("TARGETING_EXPRESSION_PREDEFINED", "something-new", None),
        ("EXACT", "other group", None),
        ("EXACT", "cheap", None),
        ("EXACT", "cat", None),
        ("EXACT", "whole campaign", None),
        ("", "funny dog shirt", None),
        ("PHRASE", "", None),
        ("NEW_KIND", "funny dog shirt", None),
    ],
)
def test_amazons_table(match_type: str, value: str, expected: str | None) -> None:
    """A row finds the target of its ad group that Amazon's table names, exact text before evened-out text."""
    assert expected == INDEX.resolve(FakeRow(match_type, value))


def test_ad_group_counts() -> None:
    """The same keyword in another ad group is another target."""
    assert "20" == INDEX.resolve(FakeRow("EXACT", "other group", ad_group_id="5"))


@pytest.mark.parametrize(
    ("twins", "expected"),
    [
        pytest.param([("7", "ARCHIVED"), ("9", "ENABLED"), ("8", "PAUSED")], "9", id="enabled first"),
        pytest.param([("7", "ARCHIVED"), ("8", "PAUSED")], "8", id="then paused"),
        pytest.param([("7", "NEW_WORD"), ("6", "ARCHIVED")], "6", id="then the lowest id"),
        pytest.param([("10", "ENABLED"), ("9", "ENABLED")], "9", id="ids compare as numbers"),
    ],
)
def test_twins_are_chosen_the_same_each_time(twins: list[tuple[str, str]], expected: str) -> None:
    """Among targets with one text the choice depends on state and id, not on the order they come in."""
    targets = [FakeTarget(target_id, "EXACT", keyword="dog", state=state) for target_id, state in twins]
    row = FakeRow("EXACT", "dog")

    assert expected == TargetIndex(targets).resolve(row)
    assert expected == TargetIndex(reversed(targets)).resolve(row)


def test_negative_twin_is_passed_over() -> None:
    """A negative target with the same text doesn't stand in the way."""
    targets = [
        FakeTarget("1", "EXACT", keyword="dog", negative=True),
        FakeTarget("2", "EXACT", keyword="dog"),
    ]

    assert "2" == TargetIndex(targets).resolve(FakeRow("EXACT", "dog"))


@given(keywords=st.sets(st.text(max_size=8), max_size=8), form=st.sampled_from(["NFC", "NFD"]))
def test_every_target_finds_itself(keywords: Iterable[str], form: str) -> None:
    """A row with a target's exact text finds that target, and with its text in another form a target of equal text."""
    by_id = {str(n): keyword for n, keyword in enumerate(sorted(keywords))}
    index = TargetIndex(FakeTarget(n, "BROAD", keyword=keyword) for n, keyword in by_id.items())

    for target_id, keyword in by_id.items():
        assert target_id == index.resolve(FakeRow("BROAD", keyword))
        assert index.resolve(FakeRow("BROAD", unicodedata.normalize(form, keyword))) is not None  # type: ignore[arg-type]  # form is one of the four literals


def test_placeholder_is_stable() -> None:
    """A placeholder is the same on every machine and in every version: stored rows are found by it."""
    expected = "unresolved:a78fd617edf2229b6edf7bf69d594c33"

    assert expected == placeholder_id("3", "4", "funny dog shirt", "PHRASE")


@given(left=st.tuples(*[st.text(max_size=4)] * 4), right=st.tuples(*[st.text(max_size=4)] * 4))
def test_placeholders_differ_where_the_texts_do(
    left: tuple[str, str, str, str], right: tuple[str, str, str, str]
) -> None:
    """Two different unknown targets never share a placeholder, which is marked as one and has 128 bits."""
    assert (left == right) == (placeholder_id(*left) == placeholder_id(*right))
    assert len(PLACEHOLDER_PREFIX) + 32 == len(placeholder_id(*left))
