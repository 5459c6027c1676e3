"""The dimensions of datasets. Pure."""

from bidbeacon_pipelines.datasets.fields import (
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
    Dimension,
)

CAMPAIGN = Dimension(
    field="campaign.id",
    column="campaign_id",
    kind="id",
    description="Amazon's id of the campaign.",
    v3_names=("campaignId",),
)
CAMPAIGN_NAME = Dimension(
    field="campaign.name",
    column="campaign_name",
    kind="text",
    description="The campaign's name when the report was made.",
    is_key=False,
    v3_names=("campaignName",),
)
COST_TYPE = Dimension(
    field="campaign.costType",
    column="cost_type",
    kind="text",
    description="What the advertiser pays for: CPC (clicks) or VCPM (viewable impressions).",
    is_key=False,
    ad_products=(SPONSORED_BRANDS, SPONSORED_DISPLAY),
    v3_names=("costType",),
)
PLACEMENT = Dimension(
    field="placementClassification.value",
    column="placement",
    kind="placement",
    description="Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, "
    "SITE_AMAZON_BUSINESS, or another value as Amazon reported it.",
    other_names=("placement.value",),
    v3_names=("placementClassification",),
)
AD_GROUP = Dimension(
    field="adGroup.id",
    column="ad_group_id",
    kind="id",
    description="Amazon's id of the ad group.",
    v3_names=("adGroupId",),
)
AD = Dimension(
    field="ad.id",
    column="ad_id",
    kind="id",
    description="Amazon's id of the ad.",
    connector_names=("adId",),
)
TARGET_VALUE = Dimension(
    field="target.value",
    column="target_value",
    kind="text",
    description="The target as reported: a keyword, an expression, or "
    "the name of an automatic target.",
    v3_names=("targeting",),
    connector_names=("keyword", "keywordText"),
)
MATCH_TYPE = Dimension(
    field="target.matchType",
    column="match_type",
    kind="text",
    description="How the target is matched, as reported; "
    "null if the ad product has no match types.",
    v3_names=("keywordType", "matchType"),
)
SEARCH_TERM = Dimension(
    field="searchTerm.value",
    column="search_term",
    kind="text",
    description="What the shopper typed, or the ASIN of the product page that the shopper saw. "
    "Only terms with a click are reported.",
    v3_names=("searchTerm",),
    connector_names=("query",),
)
PRODUCT = Dimension(
    field="advertisedProduct.id",
    column="product_id",
    kind="product",
    description="ASIN of the advertised product.",
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
    v3_names=("advertisedAsin",),
    connector_names=("asin",),
)
SKU = Dimension(
    field="advertisedProduct.sku",
    column="sku",
    kind="text",
    description="The seller's SKU of the advertised product.",
    is_key=False,
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
    v3_names=("advertisedSku",),
)
MARKETPLACE = Dimension(
    field="advertisedProduct.marketplace",
    column="marketplace",
    kind="marketplace",
    description="Marketplace of the advertised product.",
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
    other_names=("advertisedProductMarketplace.value",),
    v3_names=("marketplace",),
)
PURCHASED_PRODUCT = Dimension(
    field="convertedProduct.id",
    column="purchased_product_id",
    kind="product",
    description="ASIN of the product that was bought.",
    v3_names=("purchasedAsin",),
)
PURCHASED_MARKETPLACE = Dimension(
    field="convertedProductMarketplace.value",
    column="purchased_marketplace",
    kind="marketplace",
    description="Marketplace in which the product was bought.",
    v3_names=("marketplace",),
)
