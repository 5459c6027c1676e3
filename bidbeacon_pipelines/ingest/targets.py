"""Which target a row of a report belongs to, by what the row says of it.

Among the targets of the row's ad group that aren't negative (Amazon's table of `target.matchType` and `target.value`):

    EXACT PHRASE BROAD                       keyword and match type are these
    TARGETING_EXPRESSION asin="B0…"          PRODUCT_EXACT of this asin
    TARGETING_EXPRESSION asin-expanded="B0…" PRODUCT_SIMILAR of this asin
    TARGETING_EXPRESSION anything else       expression is this
    TARGETING_EXPRESSION_PREDEFINED          the automatic target of this name

Texts are compared as they came first; where nothing matches, with letter case, Unicode form (NFC) and blanks evened out. Where
several targets match (one archived and made anew), an enabled one goes before a paused one before any other, then the lowest
id: so the choice is the same each time, and a new twin doesn't take over an old one's history.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from sys import intern
from typing import Protocol

KEYWORD_MATCH_TYPES = frozenset({"EXACT", "PHRASE", "BROAD"})
AUTO_MATCH_TYPES = {
    "close-match": "SEARCH_CLOSE_MATCH",
    "loose-match": "SEARCH_LOOSE_MATCH",
    "substitutes": "PRODUCT_SUBSTITUTES",
    "complements": "PRODUCT_COMPLEMENTS",
}
PLACEHOLDER_PREFIX = "unresolved:"

_STATE_RANKS = {"ENABLED": 0, "PAUSED": 1}
_ASIN = re.compile(
    r'\s*asin(?P<expanded>-expanded)?\s*=\s*"\s*(?P<asin>[A-Za-z0-9]+)\s*"\s*\Z', re.IGNORECASE
)

_Key = tuple[str, str, str]


class Target(Protocol):
    """What the index must know of a target."""

    @property
    def target_id(self) -> str:
        """Amazon's id."""

    @property
    def ad_group_id(self) -> str | None:
        """Its ad group; None for a target of a whole campaign, which receives no metrics."""

    @property
    def state(self) -> str:
        """ENABLED, PAUSED, ARCHIVED."""

    @property
    def negative(self) -> bool:
        """Whether it keeps ads from showing; then no metrics are its."""

    @property
    def match_type(self) -> str:
        """For example PHRASE, PRODUCT_SIMILAR, SEARCH_CLOSE_MATCH."""

    @property
    def keyword(self) -> str | None:
        """The keyword's text."""

    @property
    def asin(self) -> str | None:
        """The product's ASIN."""

    @property
    def expression(self) -> str | None:
        """The expression of a category or brand target, as reports write it."""


class TargetedRow(Protocol):
    """What a row says of its target."""

    @property
    def ad_group_id(self) -> str:
        """Its ad group."""

    @property
    def target_value(self) -> str:
        """Keyword text, expression or the name of an automatic target; may be empty."""

    @property
    def target_match_type(self) -> str:
        """EXACT, PHRASE, BROAD, TARGETING_EXPRESSION, TARGETING_EXPRESSION_PREDEFINED; may be empty."""


class TargetIndex:
    """The targets of one account, ready to be found by the rows of a report."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._exact: dict[_Key, str] = {}
        self._folded: dict[_Key, str] = {}
        for target in sorted(targets, key=_preference):
            if target.ad_group_id is not None and not target.negative:
                self._add(target.ad_group_id, target)

    def _add(self, ad_group_id: str, target: Target) -> None:
        for kind, text in _names_of(target):
            key, folded = (intern(ad_group_id), kind, intern(text)), (ad_group_id, kind, _fold(text))
            self._exact.setdefault(key, target.target_id)
            if folded != key and folded not in self._exact:  # nearly all texts are folded as they come
                self._folded.setdefault(folded, target.target_id)

    def resolve(self, row: TargetedRow) -> str | None:
        """Give the id of the target a row belongs to; None where the index has none."""
        return self.find(row.ad_group_id, row.target_value, row.target_match_type)

    def find(self, ad_group_id: str, target_value: str, match_type: str) -> str | None:
        """Give the id of the target of an ad group that reports name so; None where the index has none."""
        name = _name_in(match_type, target_value)
        if name is None:
            return None
        kind, text = name
        found = self._exact.get((ad_group_id, kind, text))
        if found is not None:
            return found
        folded = (ad_group_id, kind, _fold(text))
        return self._folded.get(folded) or self._exact.get(folded)


def placeholder_id(campaign_id: str, ad_group_id: str, target_value: str, match_type: str) -> str:
    """Give the id under which rows of an unknown target are kept: the same for the same texts, on every machine."""
    told = json.dumps([campaign_id, ad_group_id, target_value, match_type])
    return PLACEHOLDER_PREFIX + hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _preference(target: Target) -> tuple[int, int, str]:
    return _STATE_RANKS.get(target.state, len(_STATE_RANKS)), len(target.target_id), target.target_id


def _names_of(target: Target) -> Iterable[tuple[str, str]]:
    """Give under which (kind, text) rows may name a target."""
    match_type = target.match_type.upper()
    if match_type in KEYWORD_MATCH_TYPES and target.keyword is not None:
        yield match_type, target.keyword
    elif match_type in AUTO_MATCH_TYPES.values():
        yield match_type, ""
    elif match_type in {"PRODUCT_EXACT", "PRODUCT_SIMILAR"} and target.asin is not None:
        yield match_type, target.asin.upper()
    elif target.expression is not None:
        yield "EXPRESSION", target.expression


def _name_in(match_type: str, value: str) -> tuple[str, str] | None:
    """Give the (kind, text) by which a row names its target; None where it names none."""
    match_type = match_type.strip().upper()
    if match_type in KEYWORD_MATCH_TYPES:
        return match_type, value
    if match_type == "TARGETING_EXPRESSION_PREDEFINED":
        automatic = AUTO_MATCH_TYPES.get(value.strip().lower())
        return None if automatic is None else (automatic, "")
    if match_type == "TARGETING_EXPRESSION":
        return _expression_name(value)
    return None


def _expression_name(value: str) -> tuple[str, str]:
    product = _ASIN.match(value)
    if product is None:
        return "EXPRESSION", value
    return "PRODUCT_SIMILAR" if product["expanded"] else "PRODUCT_EXACT", product["asin"].upper()


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())
