"""Turns exported entities into rows of their tables.

An entity without a readable id, parent or state is set aside: it is not stored. In other entities,
an unreadable field becomes null, so that a changed format of budgets does not lose campaigns. In
both cases, the problem is stored with its cause and the raw entity.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from bidbeacon_pipelines.causes import Cause, cause, invalid_fields
from bidbeacon_pipelines.datasets.digests import digest_of_target
from bidbeacon_pipelines.entities.tables import EntityProblem
from bidbeacon_pipelines.values.field_types import FieldError, shown
from bidbeacon_pipelines.values.lenient import (
    clean,
    exact_json,
    read_amount,
    read_count,
    read_date,
    read_flag,
    read_id,
    read_instant,
    read_json,
    read_text,
    read_word,
)

MOST_PROBLEMS_KEPT: Final = 1_000
"""Most problems stored per account and kind of entity; further problems are only counted."""

Row = dict[str, Any]


def find(raw: Any, path: Sequence[str]) -> Any:
    """Return the value at a path of keys, or None; in a list, use the first item with the key."""
    for name in path:
        if isinstance(raw, list):
            raw = next((item for item in raw if isinstance(item, dict) and name in item), None)
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw


_Path = tuple[str, ...]


@dataclass(frozen=True)
class _Field:
    path: _Path
    read: Callable[[Any], Any]
    is_required: bool = False
    inner: str | None = None
    """The key to read if the value is an object: a bid may be a number or such an object."""

    @property
    def paths(self) -> list[_Path]:
        return [self.path, *([(*self.path, self.inner)] if self.inner else [])]

    def read_from(self, raw: Row) -> Any:
        """Return the value or None; raise `FieldError` if invalid, or required but missing."""
        came = find(raw, self.path)
        if self.inner and isinstance(came, dict):
            came = came.get(self.inner)
        if came is None and not self.is_required:
            return None  # most fields of most entities
        value = self.read(came)
        if value is None and self.is_required:
            raise FieldError("a value", came)
        return value


def _of(
    path: str, read: Callable[[Any], Any], *, is_required: bool = False, inner: str | None = None
) -> _Field:
    return _Field(tuple(path.split(".")), read, is_required, inner)


def _read_negative(value: Any) -> bool:
    return read_flag(value) or False


_STATE = {"state": _of("state", read_word, is_required=True)}
_DELIVERED = _STATE | {
    "ad_product": _of("adProduct", read_word),
    "delivery_status": _of("deliveryStatus", read_word),
    "delivery_reasons": _of("deliveryReasons", read_json),
    "created_at": _of("creationDateTime", read_instant),
    "updated_at": _of("lastUpdatedDateTime", read_instant),
}
_BUDGET = "budgetCaps.budgetValue.monetaryBudget"

FIELDS: Mapping[str, Mapping[str, _Field]] = {
    "campaigns": {
        "campaign_id": _of("campaignId", read_id, is_required=True),
        "name": _of("name", read_text),
        "portfolio_id": _of("portfolioId", read_id),
        "brand_entity_id": _of("brandEntityId", read_text),
        "targeting": _of("targetingSettings", read_word),
        "cost_type": _of("costType", read_word),
        "start_date": _of("startDate", read_date),
        "end_date": _of("endDate", read_date),
        "budget": _of(f"{_BUDGET}.amount", read_amount),
        "rule_budget": _of(f"{_BUDGET}.ruleAmount", read_amount),
        "currency_code": _of(f"{_BUDGET}.currencyCode", read_word),
        "budget_type": _of("budgetCaps.budgetType", read_word),
        "budget_recurrence": _of("budgetCaps.recurrenceTimePeriod", read_word),
        "bid_strategy": _of("optimization.bidStrategy", read_word),
        "placement_bid_adjustments": _of("optimization.placementBidAdjustments", read_json),
    }
    | _DELIVERED,
    "adGroups": {
        "ad_group_id": _of("adGroupId", read_id, is_required=True),
        "campaign_id": _of("campaignId", read_id, is_required=True),
        "name": _of("name", read_text),
        "default_bid": _of("bid", read_amount, inner="defaultBid"),
        "currency_code": _of("bid.currencyCode", read_word),
        "creative_type": _of("creativeType", read_word),
        "goal": _of("optimization.goalSettings.goal", read_word),
        "kpi": _of("optimization.goalSettings.kpi", read_word),
    }
    | _DELIVERED,
    "ads": {
        "ad_id": _of("adId", read_id, is_required=True),
        "ad_group_id": _of("adGroupId", read_id),
        "campaign_id": _of("campaignId", read_id),
        "name": _of("name", read_text),
        "ad_type": _of("adType", read_word),
        "landing_page_type": _of("creative.landingPage.landingPageType", read_word),
        "landing_page_url": _of("creative.landingPage.landingPageUrl", read_text),
    }
    | _DELIVERED,
    "targets": {
        "target_id": _of("targetId", read_id, is_required=True),
        "ad_group_id": _of("adGroupId", read_id),
        "campaign_id": _of("campaignId", read_id),
        "negative": _of("negative", _read_negative, is_required=True),
        "target_type": _of("targetType", read_word),
        "target_level": _of("targetLevel", read_word),
        "match_type": _of("targetDetails.matchType", read_word),
        "keyword": _of("targetDetails.keyword", read_text),
        "asin": _of("targetDetails.asin", read_text),
        "category_id": _of("targetDetails.productCategoryId", read_text),
        "category": _of("targetDetails.productCategoryResolved", read_text),
        "brand_id": _of("targetDetails.productBrand", read_text),
        "brand": _of("targetDetails.productBrandResolved", read_text),
        "audience_id": _of("targetDetails.audienceId", read_text),
        "event": _of("targetDetails.event", read_word),
        "lookback_days": _of("targetDetails.lookback", read_count),
        "expression": _of("targetDetails.expression", read_text),
        "bid": _of("bid", read_amount, inner="bid"),
        "currency_code": _of("bid.currencyCode", read_word),
    }
    | _DELIVERED,
    "portfolios": {
        "portfolio_id": _of("portfolioId", read_id, is_required=True),
        "name": _of("name", read_text),
        "in_budget": _of("inBudget", read_flag),
        "budget": _of("budget.amount", read_amount),
        "currency_code": _of("budget.currencyCode", read_word),
        "budget_policy": _of("budget.policy", read_word),
        "start_date": _of("budget.startDate", read_date),
        "end_date": _of("budget.endDate", read_date),
    }
    | _STATE,
}
"""Path and reader of each field, by kind and column. The first column is the entity's id."""

_PATHS = {
    kind: frozenset(path for wanted in fields.values() for path in wanted.paths)
    for kind, fields in FIELDS.items()
}

_REFINEMENTS = {
    "price-less-than": "productPriceLessThan",
    "price-greater-than": "productPriceGreaterThan",
    "rating-less-than": "productRatingLessThan",
    "rating-greater-than": "productRatingGreaterThan",
    "age-range": "productAgeRangeResolved",
    "genre": "productGenreResolved",
    "prime-shipping-eligible": "productPrimeShippingEligible",
}


@dataclass
class EntityProblems:
    """The entities of one account and kind that could not be read completely.

    `set_aside_ids` has the id of each entity that is not stored, or None if the id is unreadable.
    `incomplete` is the number of entities with a null for an unreadable field.
    """

    set_aside_ids: list[str | None] = field(default_factory=list)
    incomplete: int = 0
    kept: list[EntityProblem] = field(default_factory=list)

    @property
    def set_aside(self) -> int:
        """The number of entities not stored."""
        return len(self.set_aside_ids)

    @property
    def first_cause(self) -> Cause | None:
        """The cause of the first problem, or None."""
        return self.kept[0].cause if self.kept else None

    def add(self, problem: EntityProblem) -> None:
        """Count a problem; also keep it, unless `MOST_PROBLEMS_KEPT` problems are kept already."""
        if problem.set_aside:
            self.set_aside_ids.append(problem.entity_id)
        self.incomplete += not problem.set_aside
        if len(self.kept) < MOST_PROBLEMS_KEPT:
            self.kept.append(problem)


def read_entities(
    kind: str, raw_entities: Iterable[Any], problems: EntityProblems
) -> Iterator[Row]:
    """Yield entities as rows of their table; add those with unreadable fields to `problems`."""
    for raw in raw_entities:
        try:
            row, why, is_lost = _read(kind, raw)
            came = "" if why is None else exact_json(raw)
        except RecursionError:
            row, why, is_lost, came = {}, _unreadable("an object nested too deeply"), True, "{}"
        if why is not None:
            entity_id = row.get(next(iter(FIELDS[kind])))
            one = EntityProblem(entity_id=entity_id, set_aside=is_lost, cause=why, raw=came)
            problems.add(one)
        if not is_lost:
            yield row


def _unreadable(got: str) -> Cause:
    return cause("row-unreadable", detail={"got": got})


def _read(kind: str, raw: Any) -> tuple[Row, Cause | None, bool]:
    """Return an entity's row, the cause of invalid fields, and whether the row is unusable."""
    if not isinstance(raw, dict):
        return {}, _unreadable(shown(raw)), True
    row: Row = {}
    faults: list[dict[str, str]] = []
    unread: set[_Path] = set()
    is_lost = False
    for column, wanted in FIELDS[kind].items():
        try:
            row[column] = wanted.read_from(raw)
        except FieldError as error:
            name = ".".join(wanted.path)
            faults.append({"field": name, "expected": error.expected, "got": error.got})
            unread.update(wanted.paths)
            row[column] = None
            is_lost |= wanted.is_required
    if kind in {"ads", "targets"} and row["ad_group_id"] is None and row["campaign_id"] is None:
        both = "adGroupId, campaignId"
        faults.append({"field": both, "expected": "one of them", "got": "neither"})
        is_lost = True
    if complete := _COMPLETE.get(kind):
        complete(row, raw)
    row["details"] = exact_json(_rest(raw, _PATHS[kind] - unread))
    return row, invalid_fields(faults) if faults else None, is_lost


def _rest(raw: Row, stored: AbstractSet[_Path], at: _Path = ()) -> Row:
    """Return an object without the values that are stored in columns.

    `stored` has the paths of these values, and `at` is the path of the object. Inner objects that
    become empty are left out too.
    """
    rest: Row = {}
    for name, value in raw.items():
        path = (*at, name)
        if isinstance(value, dict):
            inner = _rest(value, stored, path)
            if inner or not value:
                rest[name] = inner
        elif path not in stored:
            rest[name] = value
    return rest


def _complete_ad(row: Row, raw: Row) -> None:
    cards = find(raw, ("creative", "cards"))
    shown = [
        *_objects(find(raw, ("creative", "products"))),
        *(product for card in _objects(cards) for product in _objects(card.get("product"))),
    ]
    ids = [
        (str(product.get("productIdType", "ASIN")).upper(), product.get("productId"))
        for product in shown
    ]
    for column, id_type in (("asins", "ASIN"), ("skus", "SKU")):
        found = [
            read_text(value) for kind, value in ids if kind == id_type and isinstance(value, str)
        ]
        row[column] = list(dict.fromkeys(found))


def _complete_target(row: Row, raw: Row) -> None:
    if row["target_level"] is None:
        row["target_level"] = "CAMPAIGN" if row["ad_group_id"] is None else "AD_GROUP"
    if row["expression"] is None and row["category"] is not None and row["event"] is None:
        row["expression"] = _category_expression(row, find(raw, ("targetDetails",)))
    names = ("match_type", "keyword", "asin", "expression")
    row["match_digest"] = digest_of_target(*(row[name] for name in names))


def _category_expression(row: Row, details: Any) -> str:
    """Return the text that reports use for a category target, with its refinements."""
    values = {"category": row["category"], "brand": row["brand"]}
    values |= {name: find(details, (wire,)) for name, wire in _REFINEMENTS.items()}
    return clean(
        " ".join(f'{name}="{value}"' for name, value in values.items() if value is not None)
    )


def _objects(value: Any) -> list[Row]:
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, dict)]


_COMPLETE: Mapping[str, Callable[[Row, Row], None]] = {
    "ads": _complete_ad,
    "targets": _complete_target,
}
