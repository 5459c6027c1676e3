"""Tables of campaigns, ad groups, ads, targets and portfolios as last sent by Amazon.

Columns are for filters and joins; `details` holds every other field of the entity, as Amazon sent
it. An entity that Amazon no longer sends keeps its row and its state. `seen_at` is when Amazon last
sent the entity; it is the same instant for all entities of one export. An entity exists while
`gone_since` is null; it is gone if two complete exports in a row did not contain it.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Integer, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from bidbeacon_pipelines.database.base import PipelinesBase, account_reference, amazon_id

EXPORT_STATUSES = ("in_flight", "loaded", "failed")
ENTITY_KINDS = ("campaigns", "adGroups", "ads", "targets", "portfolios")


_FIRST, _LAST = -1, 1
"""Sort orders of columns."""


class _Entity:
    account_id: Mapped[str] = amazon_id(
        primary_key=True, sort_order=_FIRST, comment="Amazon's id of the ads account"
    )
    country_code: Mapped[str] = mapped_column(
        primary_key=True,
        sort_order=_FIRST,
        comment="Country of the account: two letters, GB for the United Kingdom",
    )
    state: Mapped[str] = mapped_column(
        comment="ENABLED, PAUSED, ARCHIVED, or another word of Amazon's"
    )
    details: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'"),
        sort_order=_LAST,
        comment="Every field that no column holds, as Amazon sent it",
    )
    seen_at: Mapped[datetime] = mapped_column(sort_order=_LAST, comment="When Amazon sent it last")
    missing_since: Mapped[datetime | None] = mapped_column(
        sort_order=_LAST, comment="First complete export without it; null while Amazon sends it"
    )
    gone_since: Mapped[datetime | None] = mapped_column(
        sort_order=_LAST,
        comment="Second complete export in a row without it; null while it exists",
    )


class _Delivered:  # entities that come by export
    ad_product: Mapped[str | None] = mapped_column(
        comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY"
    )
    delivery_status: Mapped[str | None] = mapped_column(
        comment="DELIVERING, NOT_DELIVERING or UNAVAILABLE"
    )
    delivery_reasons: Mapped[Any | None] = mapped_column(
        JSONB, comment="Why it is not delivering: a list"
    )
    created_at: Mapped[datetime | None] = mapped_column(comment="When it was created at Amazon")
    updated_at: Mapped[datetime | None] = mapped_column(
        comment="When it was last changed at Amazon"
    )


class Campaign(_Entity, _Delivered, PipelinesBase):
    """One row is a campaign. Dates are account-local days."""

    __tablename__ = "campaigns"

    campaign_id: Mapped[str] = amazon_id(primary_key=True, comment="Amazon's id of the campaign")
    name: Mapped[str | None] = mapped_column(comment="Name at Amazon")
    portfolio_id: Mapped[str | None] = amazon_id(comment="Amazon's id of the portfolio")
    brand_entity_id: Mapped[str | None] = mapped_column(comment="The brand of Sponsored Brands")
    targeting: Mapped[str | None] = mapped_column(
        comment="AUTO, MANUAL, or a tactic such as T00020"
    )
    cost_type: Mapped[str | None] = mapped_column(comment="CPC or VCPM, if Amazon reports it")
    start_date: Mapped[date | None] = mapped_column(
        comment="First day, on the account's own calendar"
    )
    end_date: Mapped[date | None] = mapped_column(
        comment="Last day, on the account's own calendar; null where it has none"
    )
    budget: Mapped[Decimal | None] = mapped_column(
        comment="What the advertiser set, in currency_code"
    )
    rule_budget: Mapped[Decimal | None] = mapped_column(
        comment="The budget that a budget rule made of it"
    )
    budget_type: Mapped[str | None] = mapped_column(
        comment="What the budget limits, for example MONETARY"
    )
    budget_recurrence: Mapped[str | None] = mapped_column(comment="DAILY or LIFETIME")
    currency_code: Mapped[str | None] = mapped_column(comment="Currency of the amounts")
    bid_strategy: Mapped[str | None] = mapped_column(
        comment="How Amazon adjusts bids, in its own words"
    )
    placement_bid_adjustments: Mapped[Any | None] = mapped_column(
        JSONB, comment="A list of placements, each with a percentage"
    )
    is_reported: Mapped[bool] = mapped_column(
        server_default=text("true"),
        comment="Whether Amazon reports its numbers: false for one of Sponsored Brands "
        "without ad groups",
    )

    __table_args__ = (
        account_reference(),
        # For a quick check that there was no campaign of an ad product on a day.
        Index(
            "ix_campaigns_started",
            "account_id",
            "country_code",
            text("coalesce(ad_product, 'SPONSORED_PRODUCTS')"),
            text("coalesce(start_date, '-infinity')"),
        ),
        Index(
            "ix_campaigns_not_reported",
            "account_id",
            "country_code",
            postgresql_where=text("NOT is_reported"),
        ),
        {"comment": "A campaign of an account, as Amazon sent it last"},
    )


class AdGroup(_Entity, _Delivered, PipelinesBase):
    """One row is an ad group. Ad groups of Sponsored Brands have no bid."""

    __tablename__ = "ad_groups"

    ad_group_id: Mapped[str] = amazon_id(primary_key=True, comment="Amazon's id of the ad group")
    campaign_id: Mapped[str] = amazon_id(comment="Amazon's id of the campaign")
    name: Mapped[str | None] = mapped_column(comment="Name at Amazon")
    default_bid: Mapped[Decimal | None] = mapped_column(
        comment="Bid of targets that have none of their own, in currency_code; "
        "null in Sponsored Brands"
    )
    currency_code: Mapped[str | None] = mapped_column(comment="Currency of the amounts")
    creative_type: Mapped[str | None] = mapped_column(
        comment="Kind of creative, if Amazon reports it"
    )
    goal: Mapped[str | None] = mapped_column(comment="What Sponsored Display optimizes for")
    kpi: Mapped[str | None] = mapped_column(comment="The measure of that goal")

    __table_args__ = (
        account_reference(),
        {"comment": "An ad group of a campaign, as Amazon sent it last"},
    )


class Ad(_Entity, _Delivered, PipelinesBase):
    """One row is an ad for one product; a Sponsored Brands ad may have no product or many."""

    __tablename__ = "ads"

    ad_id: Mapped[str] = amazon_id(primary_key=True, comment="Amazon's id of the ad")
    ad_group_id: Mapped[str | None] = amazon_id(comment="Amazon's id of the ad group")
    campaign_id: Mapped[str | None] = amazon_id(comment="Amazon's id of the campaign")
    name: Mapped[str | None] = mapped_column(comment="Name at Amazon")
    ad_type: Mapped[str | None] = mapped_column(
        comment="PRODUCT_AD, PRODUCT_COLLECTION, VIDEO, IMAGE …"
    )
    asins: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'"), comment="The products it shows, in Amazon's order"
    )
    skus: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'"), comment="The seller's SKUs of these products"
    )
    landing_page_type: Mapped[str | None] = mapped_column(
        comment="Kind of page that a click leads to"
    )
    landing_page_url: Mapped[str | None] = mapped_column(comment="The page that a click leads to")

    __table_args__ = (
        account_reference(),
        {"comment": "An ad of an ad group, as Amazon sent it last"},
    )


class Target(_Entity, _Delivered, PipelinesBase):
    """One row is a target: a keyword, product, category, audience, theme or automatic group.

    A target of a whole campaign has no ad group. Reports contain a text instead of the target's id;
    `match_digest` is the digest of this text, see `datasets.digests`.
    """

    __tablename__ = "targets"

    target_id: Mapped[str] = amazon_id(primary_key=True, comment="Amazon's id of the target")
    ad_group_id: Mapped[str | None] = amazon_id(comment="Amazon's id of the ad group")
    campaign_id: Mapped[str | None] = amazon_id(comment="Amazon's id of the campaign")
    negative: Mapped[bool] = mapped_column(comment="Whether it keeps ads from showing")
    target_type: Mapped[str | None] = mapped_column(
        comment="AUTO, KEYWORD, PRODUCT, PRODUCT_CATEGORY, AUDIENCE, THEME …"
    )
    target_level: Mapped[str | None] = mapped_column(comment="AD_GROUP or CAMPAIGN")
    match_type: Mapped[str | None] = mapped_column(comment="EXACT, PHRASE, PRODUCT_SIMILAR …")
    keyword: Mapped[str | None] = mapped_column(comment="Text of a keyword")
    asin: Mapped[str | None] = mapped_column(comment="ASIN of a product")
    category_id: Mapped[str | None] = mapped_column(comment="Amazon's id of a product category")
    category: Mapped[str | None] = mapped_column(comment="Name of that category")
    brand_id: Mapped[str | None] = mapped_column(
        comment="Amazon's id of the brand that refines a category"
    )
    brand: Mapped[str | None] = mapped_column(comment="Name of that brand")
    audience_id: Mapped[str | None] = mapped_column(comment="Amazon's id of an audience")
    event: Mapped[str | None] = mapped_column(
        comment="VIEW or PURCHASE, for an audience by what it did"
    )
    lookback_days: Mapped[int | None] = mapped_column(
        comment="Days back that the event of an audience counts"
    )
    expression: Mapped[str | None] = mapped_column(
        comment="A category with its refinements, as reports write it"
    )
    bid: Mapped[Decimal | None] = mapped_column(
        comment="Bid in currency_code; null where the ad group's default_bid holds"
    )
    currency_code: Mapped[str | None] = mapped_column(comment="Currency of the amounts")
    match_digest: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="Digest of the text by which reports name it; null where they cannot"
    )

    __table_args__ = (
        account_reference(),
        CheckConstraint("num_nonnulls(ad_group_id, campaign_id) > 0", name="belongs_somewhere"),
        CheckConstraint("octet_length(match_digest) = 16", name="digest_of_16_bytes"),
        {"comment": "A target of an ad group or campaign, as Amazon sent it last"},
    )


class TargetName(PipelinesBase):
    """One row maps a text in reports to the target that it identifies in one ad group.

    `match_digest` is the digest of the text.
    """

    __tablename__ = "target_names"

    account: Mapped[int] = mapped_column(
        Integer, ForeignKey("advertiser_accounts.id"), primary_key=True, autoincrement=False
    )
    ad_group_id: Mapped[str] = amazon_id(primary_key=True)
    match_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    target_id: Mapped[str] = amazon_id()


class Portfolio(_Entity, PipelinesBase):
    """One row is a portfolio, which groups campaigns and may have its own budget."""

    __tablename__ = "portfolios"

    portfolio_id: Mapped[str] = amazon_id(primary_key=True, comment="Amazon's id of the portfolio")
    name: Mapped[str | None] = mapped_column(comment="Name at Amazon")
    in_budget: Mapped[bool | None] = mapped_column(comment="Whether its budget is not used up")
    budget: Mapped[Decimal | None] = mapped_column(
        comment="Budget that its campaigns share, in currency_code"
    )
    currency_code: Mapped[str | None] = mapped_column(comment="Currency of the amounts")
    budget_policy: Mapped[str | None] = mapped_column(
        comment="DATE_RANGE, MONTHLY_RECURRING or NO_CAP"
    )
    start_date: Mapped[date | None] = mapped_column(
        comment="First day, on the account's own calendar"
    )
    end_date: Mapped[date | None] = mapped_column(
        comment="Last day, on the account's own calendar; null where it has none"
    )

    __table_args__ = (
        account_reference(),
        {"comment": "A portfolio of campaigns, as Amazon sent it last"},
    )


class EntityProblem(PipelinesBase):
    """One row is an entity that the latest sync could not read completely.

    `raw` is the entity's JSON. If `set_aside` is true, the entity was not stored, and an older row
    of the entity is unchanged. Otherwise the entity was stored without the fields that `cause`
    lists.
    """

    __tablename__ = "entity_problems"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str] = amazon_id()
    country_code: Mapped[str]
    kind: Mapped[str]
    entity_id: Mapped[str | None]
    set_aside: Mapped[bool]
    cause: Mapped[dict[str, Any]]
    raw: Mapped[str]
    noticed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        account_reference(),
        CheckConstraint(f"kind IN {ENTITY_KINDS}", name="kind_known"),
        Index("ix_entity_problems_account", "account_id", "country_code", "kind"),
    )


class EntityExport(PipelinesBase):
    """One row is an export requested from Amazon.

    If the run is killed, the next run continues with the same export.
    """

    __tablename__ = "entity_exports"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str] = amazon_id()
    country_code: Mapped[str]
    kind: Mapped[str]
    export_id: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="in_flight")
    cause: Mapped[dict[str, Any] | None]
    row_count: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        account_reference(),
        CheckConstraint("kind IN ('campaigns', 'adGroups', 'ads', 'targets')", name="kind_known"),
        CheckConstraint(f"status IN {EXPORT_STATUSES}", name="status_known"),
        Index(
            "uq_entity_exports_in_flight",
            "account_id",
            "country_code",
            "kind",
            unique=True,
            postgresql_where=text("status = 'in_flight'"),
        ),
    )
