"""The files of exports: campaigns, ad groups, ads and targets as rows of our tables."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bidbeacon_pipelines.amazon_ads.exports import ExportKind
from bidbeacon_pipelines.ingest.field_types import AMOUNT_LIMIT, AmazonId, is_storable


def _amount(value: Any) -> Any:
    """Take a bid or budget that is a number or `{currencyCode, bid}`."""
    return value.get("bid", value.get("amount")) if isinstance(value, dict) else value


def _clean(value: Any) -> Any:
    """Take text as it comes, but for what PostgreSQL can't store."""
    if isinstance(value, str) and not is_storable(value):
        return value.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
    return value


Amount = Annotated[
    Annotated[Decimal, Field(gt=-AMOUNT_LIMIT, lt=AMOUNT_LIMIT)] | None, BeforeValidator(_amount)
]
Text = Annotated[str, BeforeValidator(_clean)]


class EntityRow(BaseModel):
    """What all kinds share; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    campaign_id: AmazonId = Field(alias="campaignId")
    state: Text


class CampaignRow(EntityRow):
    """A campaign; `budget` is a day's, in `currency_code`."""

    name: Text
    ad_product: Text | None = Field(None, alias="adProduct")
    targeting: Text | None = Field(None, alias="targetingSettings")
    start_date: date | None = Field(None, alias="startDate")
    budget: Amount = Field(
        None, validation_alias=AliasPath("budgetCaps", "budgetValue", "monetaryBudget", "amount")
    )
    currency_code: Text | None = Field(
        None, validation_alias=AliasPath("budgetCaps", "budgetValue", "monetaryBudget", "currencyCode")
    )


class AdGroupRow(EntityRow):
    """An ad group."""

    ad_group_id: AmazonId = Field(alias="adGroupId")
    name: Text
    default_bid: Amount = Field(None, validation_alias=AliasPath("bid", "defaultBid"))


class AdRow(EntityRow):
    """An ad for one product, as a rule."""

    ad_id: AmazonId = Field(alias="adId")
    ad_group_id: AmazonId = Field(alias="adGroupId")
    product_id: Text | None = Field(None, validation_alias=AliasPath("creative", "products", 0, "productId"))


class TargetRow(EntityRow):
    """A target; without an ad group it belongs to the whole campaign, and is negative as a rule."""

    target_id: AmazonId = Field(alias="targetId")
    ad_group_id: AmazonId | None = Field(None, alias="adGroupId")
    negative: bool = False
    match_type: Text = Field("PRODUCT_CATEGORY", validation_alias=AliasPath("targetDetails", "matchType"))
    keyword: Text | None = Field(None, validation_alias=AliasPath("targetDetails", "keyword"))
    asin: Text | None = Field(None, validation_alias=AliasPath("targetDetails", "asin"))
    expression: Text | None = Field(None, validation_alias=AliasPath("targetDetails", "expression"))
    category: Text | None = Field(
        None, validation_alias=AliasPath("targetDetails", "productCategoryResolved"), exclude=True
    )
    brand: Text | None = Field(
        None, validation_alias=AliasPath("targetDetails", "productBrandResolved"), exclude=True
    )
    bid: Amount = None

    @model_validator(mode="after")
    def _express(self) -> Self:
        """Write a category target the way reports name it."""
        if self.expression is None and self.category is not None:
            self.expression = f'category="{self.category}"' + (f' brand="{self.brand}"' if self.brand else "")
        return self


_MODELS: Mapping[ExportKind, type[EntityRow]] = {
    "campaigns": CampaignRow,
    "adGroups": AdGroupRow,
    "ads": AdRow,
    "targets": TargetRow,
}


@dataclass
class BadEntities:
    """How many rows of an export could not be read, with the first one's reason."""

    count: int = 0
    first_reason: str | None = None


def read_entities(
    kind: ExportKind, raw_rows: Iterable[dict[str, Any]], bad: BadEntities
) -> Iterator[dict[str, Any]]:
    """Give an export's rows as columns of its table; what can't be read is counted in `bad`, the rest goes on."""
    model = _MODELS[kind]
    for raw in raw_rows:
        try:
            yield model.model_validate(raw).model_dump()
        except ValidationError as error:
            bad.count += 1
            bad.first_reason = bad.first_reason or f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
