"""Digests that rows of reports and targets are matched by."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.digests import DIGEST_BYTES, digest_of_row, digest_of_target

ASIN = "B0EXAMPLE2"


@pytest.mark.parametrize(
    ("row", "target"),
    [
        (("EXACT", "dog shirt"), ("EXACT", "dog shirt", None, None)),
        (("phrase", " Dog  Shirt"), ("PHRASE", "dog shirt", None, None)),
        (("BROAD", "cafe\u0301"), ("BROAD", "CAF\u00c9", None, None)),
        (("TARGETING_EXPRESSION", f'asin="{ASIN}"'), ("PRODUCT_EXACT", None, ASIN.lower(), None)),
        (
            ("TARGETING_EXPRESSION", f'asin-expanded="{ASIN}"'),
            ("PRODUCT_SIMILAR", None, ASIN, None),
        ),
        (("TARGETING_EXPRESSION", 'category="Toys"'), (None, None, None, 'category="Toys"')),
        (
            ("TARGETING_EXPRESSION_PREDEFINED", "close-match"),
            ("SEARCH_CLOSE_MATCH", None, None, None),
        ),
        (
            ("TARGETING_EXPRESSION_PREDEFINED", "complements"),
            ("PRODUCT_COMPLEMENTS", None, None, None),
        ),
    ],
)
def test_row_and_target_that_belong_together_have_one_digest(
    row: tuple[str, str], target: tuple[str | None, ...]
) -> None:
    """Letter case, Unicode form and blanks make no difference."""
    digest = digest_of_row(*row)
    assert digest == digest_of_target(*target)
    assert digest is not None
    assert DIGEST_BYTES == len(digest)


@pytest.mark.parametrize(
    "target",
    [
        ("PHRASE", "dog shirt", None, None),
        ("EXACT", "dogshirt", None, None),
        (None, None, None, "dog shirt"),
        ("SEARCH_CLOSE_MATCH", None, None, None),
    ],
)
def test_other_targets_have_other_digests(target: tuple[str | None, ...]) -> None:
    """Match type and text both count."""
    assert digest_of_row("EXACT", "dog shirt") != digest_of_target(*target)


@pytest.mark.parametrize(
    "row", [(None, None), ("", "x"), ("TARGETING_EXPRESSION_PREDEFINED", "new-match")]
)
def test_row_that_names_no_target_has_no_digest(row: tuple[str | None, str | None]) -> None:
    """Rows of Sponsored Display have no match type."""
    assert digest_of_row(*row) is None


def test_target_that_reports_cannot_name_has_no_digest() -> None:
    """An audience has neither keyword, product nor expression."""
    assert digest_of_target(None, None, None, None) is None


def test_digest_is_the_same_on_every_machine() -> None:
    """It is stored with rows and targets, so it may not change."""
    assert "3053299b2f409fc6a7201d0c3e510b6c" == (digest_of_row("EXACT", "dog shirt") or b"").hex()


@given(st.text(), st.sampled_from(["EXACT", "PHRASE", "BROAD"]))
def test_any_keyword_is_found_under_its_own_text(keyword: str, match_type: str) -> None:
    """Whatever an advertiser typed, in whichever Unicode form the report writes it."""
    target = digest_of_target(match_type, keyword, None, None)
    assert target == digest_of_row(match_type, unicodedata.normalize("NFD", keyword))
