"""The sandbox knows fields as Amazon's catalogue does: their names, their companions and what they exclude."""

from itertools import combinations

from bidbeacon_sandbox.fields import KNOWN_FIELDS, NEW_NAMES, RequestError, check_fields
from tests.contract.catalogue import Catalogue, needs_documents

pytestmark = needs_documents

RENAMED = frozenset(NEW_NAMES.values())
"""Newer names, which clients have recorded and the catalogue does not have."""
FIELDS = sorted(KNOWN_FIELDS - RENAMED)
BASIC = frozenset({"date.value", "metric.purchases"})


def with_companions(catalogue: Catalogue, *fields: str) -> frozenset[str]:
    """Return fields with all that have to be requested with them."""
    every = frozenset(fields)
    while more := frozenset().union(*map(catalogue.companions, every)) - every:
        every |= more
    return every


def refusal_of(fields: frozenset[str]) -> str | None:
    """Return the code of the sandbox's refusal; None where it accepts the fields."""
    try:
        check_fields(tuple(sorted(fields)), (), has_new_names=False)
    except RequestError as refusal:
        return refusal.code
    return None


def test_its_fields_are_those_of_the_catalogue(catalogue: Catalogue) -> None:
    """But for the newer names of three fields."""
    assert [] == [field for field in FIELDS if field not in catalogue.fields]
    assert RENAMED.isdisjoint(catalogue.fields)


def test_it_refuses_a_field_without_a_companion(catalogue: Catalogue) -> None:
    """Each field with a companion left out is refused with 400006, and names nothing else."""
    accepted = [
        (field, companion)
        for field in FIELDS
        for companion in catalogue.companions(field)
        if refusal_of(with_companions(catalogue, field, *BASIC) - {companion}) != "400006"
    ]
    assert [] == accepted


def test_it_excludes_what_the_catalogue_excludes(catalogue: Catalogue) -> None:
    """Any two of its fields, with their companions, are refused with 400004 where the catalogue excludes them, and nowhere else."""
    different = []
    for pair in combinations(FIELDS, 2):
        fields = with_companions(catalogue, *pair, *BASIC)
        is_excluded = catalogue.faults(fields) != []
        if is_excluded != (refusal_of(fields) == "400004"):
            different.append(pair)
    assert [] == different
