"""Rules of the sandbox, as tests write them."""

from typing import Any

from bidbeacon_sandbox.rulebook import read_rules
from bidbeacon_sandbox.traffic import OTHER_PLACEMENTS

NEW_FIELD = {"newField": {"value": 1}}
IDS = ("campaign.id", "adGroup.id", "ad.id")
OTHER_SPELLINGS = {
    "campaign.country": {"GB": "UK"},
    "adProduct.value": {
        "Sponsored Products": "SPONSORED_PRODUCTS",
        "Sponsored Brands": "SPONSORED_BRANDS",
        "Sponsored Display": "SPONSORED_DISPLAY",
    },
    "placementClassification.value": OTHER_PLACEMENTS,
}


def rule(kind: str, call: str | None = None, *, times: int | None = None, **fields: Any) -> Any:
    """Return a rule for all calls that it can be about, or for one call; it strikes so many times, or for good."""
    given = {"rule": kind, "call": call, "times": times, **fields}
    [made] = read_rules({name: value for name, value in given.items() if value is not None})
    return made


def once(kind: str, call: str | None = None, **fields: Any) -> Any:
    """Return a rule that strikes the first call it concerns, and no other."""
    return rule(kind, call, times=1, **fields)
