"""The keys of report rows, and the digests by which rows and targets are matched; both are stored, so golden ones are kept."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets import digests
from bidbeacon_pipelines.datasets.registry import (
    ALL_DATASETS,
    DAILY_TARGETS,
    HOURLY_TARGETS,
    Dataset,
)
from tools.stored_digests import ROW_KEYS, digest_views, read_recorded, record, sample_row_key

GOLDEN = "1e806941b3e91970794595edf1aab6d0"
VALUES = {
    "currency_code": "USD",
    "ad_product": "SPONSORED_PRODUCTS",
    "campaign_id": "300000000000002",
    "ad_group_id": "400000000000002",
    "target_value": "funny dog shirt",
    "match_type": "PHRASE",
}


def key(dataset: Dataset = DAILY_TARGETS, **changes: str | None) -> str:
    """Return the key of a row of a target with these values."""
    values = VALUES | changes
    columns = ("currency_code", "ad_product", *(one.column for one in dataset.keys))
    return digests.row_key_of(dataset)([values[column] for column in columns])


def test_golden_key() -> None:
    """A stored row is found again by the key that it was stored under."""
    assert GOLDEN == key()


def test_golden_keys_of_datasets() -> None:
    """The key has the same dimensions, in the same order, as when the dataset was added; `make migration` records those of new datasets only."""
    found = {dataset.name: sample_row_key(dataset) for dataset in ALL_DATASETS}
    recorded = read_recorded(ROW_KEYS)
    new = sorted(found.keys() - recorded.keys())
    assert [] == new, "run `make migration`"
    assert recorded == found, f"rows are stored under the keys of {ROW_KEYS.name}"


def test_what_is_new_is_recorded_once(tmp_path: Path) -> None:
    """Changed views and new datasets are appended, and existing lines stay, also those that differ from the code."""
    views, row_keys = tmp_path / "views.txt", tmp_path / "row_keys.txt"
    views.write_text("1 older\n")
    row_keys.write_text("daily_targets other\n")
    for _ in range(2):
        record(views, row_keys)
    assert {"1": "older", "2": digest_views()} == read_recorded(views)
    recorded = read_recorded(row_keys)
    assert "other" == recorded.pop("daily_targets")
    added = {one.name: sample_row_key(one) for one in ALL_DATASETS if one != DAILY_TARGETS}
    assert added == recorded


@pytest.mark.parametrize(
    "change",
    [
        *({"currency_code": "CAD"}, {"ad_product": "SPONSORED_BRANDS"}),
        *({"target_value": value} for value in ("Funny dog shirt", "", None)),
        *({"match_type": value} for value in ("", None)),
        {"target_value": "funny dog shirt10:match_typet6", "match_type": "PHRASE"},
        {"target_value": None, "match_type": "funny dog shirt"},
    ],
    ids=str,
)
def test_each_value_tells_rows_apart(change: dict[str, Any]) -> None:
    """Currency, ad product and each dimension; null is neither empty nor another column's value."""
    assert key() != key(**change)
    assert len({key(), key(target_value=None), key(target_value="")}) == 3


def test_hours_are_no_part_of_it() -> None:
    """Day and hour are columns of the table's key themselves."""
    assert key(DAILY_TARGETS) == key(HOURLY_TARGETS)


ASIN = "B0EXAMPLE2"
EXPRESSION, PREDEFINED = "TARGETING_EXPRESSION", "TARGETING_EXPRESSION_PREDEFINED"


@pytest.mark.parametrize(
    ("row", "target"),
    [
        (("EXACT", "dog shirt"), ("EXACT", "dog shirt", None, None)),
        (("phrase", " Dog  Shirt"), ("PHRASE", "dog shirt", None, None)),
        (("BROAD", "cafe\u0301"), ("BROAD", "CAF\u00c9", None, None)),
        ((EXPRESSION, f'asin="{ASIN}"'), ("PRODUCT_EXACT", None, ASIN.lower(), None)),
        ((EXPRESSION, f'asin-expanded="{ASIN}"'), ("PRODUCT_SIMILAR", None, ASIN, None)),
        ((EXPRESSION, 'category="Toys"'), (None, None, None, 'category="Toys"')),
        ((PREDEFINED, "close-match"), ("SEARCH_CLOSE_MATCH", None, None, None)),
        ((PREDEFINED, "complements"), ("PRODUCT_COMPLEMENTS", None, None, None)),
    ],
)
def test_row_and_target_that_belong_together_have_one_digest(
    row: tuple[str, str], target: tuple[str | None, ...]
) -> None:
    """Letter case, Unicode form and blanks make no difference."""
    digest = digests.digest_of_row(*row)
    assert digest == digests.digest_of_target(*target)
    assert digest is not None
    assert digests.DIGEST_BYTES == len(digest)


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
    assert digests.digest_of_row("EXACT", "dog shirt") != digests.digest_of_target(*target)


@pytest.mark.parametrize("row", [(None, None), ("", "x"), (PREDEFINED, "new-match")])
def test_row_that_names_no_target_has_no_digest(row: tuple[str | None, str | None]) -> None:
    """Rows of Sponsored Display have no match type."""
    assert digests.digest_of_row(*row) is None


def test_target_that_reports_cannot_name_has_no_digest() -> None:
    """An audience has neither keyword, product nor expression."""
    assert digests.digest_of_target(None, None, None, None) is None


def test_digest_is_the_same_on_every_machine() -> None:
    """It is stored with rows and targets, so it may not change."""
    digest = digests.digest_of_row("EXACT", "dog shirt")
    assert bytes.fromhex("3053299b2f409fc6a7201d0c3e510b6c") == digest


@given(st.text(), st.sampled_from(["EXACT", "PHRASE", "BROAD"]))
def test_any_keyword_is_found_under_its_own_text(keyword: str, match_type: str) -> None:
    """Whatever an advertiser typed, in whichever Unicode form the report writes it."""
    target = digests.digest_of_target(match_type, keyword, None, None)
    assert target == digests.digest_of_row(match_type, unicodedata.normalize("NFD", keyword))
