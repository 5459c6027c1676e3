"""Which target a row of a report belongs to, by what the row says of it.

It is sought among the targets of the row's ad group that aren't negative, by the names of `ingest.target_match`.

Texts are compared as they came first; where nothing matches, with letter case, Unicode form (NFC) and blanks evened out. Where
several targets match (one archived and made anew), an enabled one goes before a paused one before any other, then the lowest
id: so the choice is the same each time, and a new twin doesn't take over an old one's history.
"""

import hashlib
import json
from collections.abc import Iterable
from sys import intern
from typing import Protocol

from bidbeacon_pipelines.ingest.target_match import fold, name_in_row, name_of_target

PLACEHOLDER_PREFIX = "unresolved:"

_STATE_RANKS = {"ENABLED": 0, "PAUSED": 1}
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
        name = name_of_target(target.match_type, target.keyword, target.asin, target.expression)
        if name is None:
            return
        kind, text = name
        key, folded = (intern(ad_group_id), kind, intern(text)), (ad_group_id, kind, fold(text))
        self._exact.setdefault(key, target.target_id)
        if folded != key and folded not in self._exact:  # nearly all texts are folded as they come
            self._folded.setdefault(folded, target.target_id)

    def resolve(self, row: TargetedRow) -> str | None:
        """Give the id of the target a row belongs to; None where the index has none."""
        return self.find(row.ad_group_id, row.target_value, row.target_match_type)

    def find(self, ad_group_id: str, target_value: str, match_type: str) -> str | None:
        """Give the id of the target of an ad group that reports name so; None where the index has none."""
        name = name_in_row(match_type, target_value)
        if name is None:
            return None
        kind, text = name
        found = self._exact.get((ad_group_id, kind, text))
        if found is not None:
            return found
        folded = (ad_group_id, kind, fold(text))
        return self._folded.get(folded) or self._exact.get(folded)


def placeholder_id(campaign_id: str, ad_group_id: str, target_value: str, match_type: str) -> str:
    """Give the id under which rows of an unknown target are kept: the same for the same texts, on every machine."""
    told = json.dumps([campaign_id, ad_group_id, target_value, match_type])
    return PLACEHOLDER_PREFIX + hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _preference(target: Target) -> tuple[int, int, str]:
    return _STATE_RANKS.get(target.state, len(_STATE_RANKS)), len(target.target_id), target.target_id
