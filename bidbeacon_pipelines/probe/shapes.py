"""The answers as the contract has them: a dict is an object, a list an array, a tuple one of several kinds of value.

A key that ends in `?` may be missing; the key `*` stands for any. The source is the contract's page
about each call.
"""

from collections.abc import Iterator
from typing import Any

from bidbeacon_pipelines.probe.leaves import (
    ACCOUNT_COUNTRY,
    AD_PRODUCT,
    AMOUNT,
    ANYTHING,
    BOOL,
    CAPITALS,
    CODE,
    COUNT,
    CURRENCY,
    DATE,
    DIGITS,
    HOUR,
    INSTANT,
    NUMBER,
    PROFILE_COUNTRY,
    REGION,
    ROW_COUNTRY,
    ROW_ID,
    ROW_PRODUCT,
    TEXT,
    TOKEN_SECONDS,
    WHOLE,
    ZONE,
    Leaf,
    or_empty,
    or_null,
    words,
)

Shape = Any
"""A `Leaf`, a dict, a list of one shape, or a tuple of them."""

TOKEN = {
    "access_token": TEXT,
    "refresh_token?": TEXT,
    "token_type": words("bearer"),
    "expires_in": TOKEN_SECONDS,
}
ACCOUNTS = {
    "adsAccounts": [
        {
            "adsAccountId": TEXT,
            "accountName": TEXT,
            "status": words("CREATED", "PARTIALLY_CREATED", "PENDING", "DISABLED"),
            "countryCodes": [ACCOUNT_COUNTRY],
            "alternateIds": [
                {"countryCode": ACCOUNT_COUNTRY, "profileId?": WHOLE, "entityId?": TEXT}
            ],
            "errors?": {"*": [{"errorCode": CODE, "errorId?": WHOLE, "errorMessage": TEXT}]},
        }
    ],
    "nextToken?": or_null(TEXT),
}
PROFILES = [
    {
        "profileId": WHOLE,
        "countryCode": PROFILE_COUNTRY,
        "currencyCode": CURRENCY,
        "timezone": ZONE,
        "dailyBudget?": NUMBER,
        "accountInfo": {
            "marketplaceStringId": or_null(TEXT),
            "id": TEXT,
            "type": words("seller", "vendor", "agency"),
            "name": TEXT,
            "subType?": CODE,
            "validPaymentMethod?": BOOL,
        },
    }
]
ADVERTISER_ACCOUNTS = {
    "advertiserAccounts": [
        {
            "advertiserAccountId": TEXT,
            "displayName": TEXT,
            "isGlobalAccount": BOOL,
            "isTestAccount?": BOOL,
            "managerAccountId?": or_null(TEXT),
            "currencyCode?": or_null(CURRENCY),
            "timeZoneIana?": or_null(ZONE),
            "status": {
                "statusCode": words("APPROVED", "ARCHIVED", "REGISTRATION_IN_PROGRESS", "REJECTED"),
                "statusMessage?": or_null(TEXT),
            },
            "businessDetails?": or_null(ANYTHING),
            "alternateIds": [
                {
                    "countryCode": ACCOUNT_COUNTRY,
                    "entityId?": TEXT,
                    "profileId?": DIGITS,
                    "region?": REGION,
                }
            ],
        }
    ],
    "nextToken?": or_null(TEXT),
}

_PART = {"url": TEXT, "sizeInBytes": WHOLE, "urlExpirationDateTime": INSTANT}
_ERROR = {"code": CODE, "fieldLocation?": or_null(TEXT), "message": TEXT}
REPORT_ANSWER = {
    "error": ([{"index": WHOLE, "errors": [_ERROR]}], or_null(ANYTHING)),
    "success": [
        {
            "index": WHOLE,
            "report": {
                "reportId": TEXT,
                "status": words(
                    *("PENDING", "PROCESSING", "COMPLETED", "FAILED"),
                    *("IN_PROGRESS", "CANCELLED", "EXPIRED"),
                ),
                "creationDateTime": INSTANT,
                "lastUpdatedDateTime": INSTANT,
                "completedDateTime?": or_null(INSTANT),
                "format": words("GZIP_JSON"),
                "periods": [{"datePeriod": {"startDate": DATE, "endDate": DATE}}],
                "query": {"fields": [CODE], "filter?": ({"*": ANYTHING}, or_null(ANYTHING))},
                "linkedAccounts": [{"advertiserAccountId": TEXT}],
                "completedReportParts?": ([_PART], or_null(ANYTHING)),
                "url?": or_null(TEXT),
                "failureCode?": or_null(CODE),
                "failureReason?": or_null(TEXT),
                "currencyOfView?": or_null(CURRENCY),
                "formatOptions?": ANYTHING,
                "locale?": ANYTHING,
                "timeZoneMode?": ANYTHING,
            },
        }
    ],
}
ERROR = {"code?": CODE, "error?": CODE, "errorCode?": CODE}
"""The known fields of the body of a refusal, besides its message."""
EXPORT = {
    "exportId": TEXT,
    "status": words("PROCESSING", "IN_PROGRESS", "COMPLETED", "FAILED"),
    "createdAt?": INSTANT,
    "generatedAt?": INSTANT,
    "url?": TEXT,
    "urlExpiresAt?": INSTANT,
    "fileSize?": WHOLE,
    "error?": {"errorCode": words("INTERNAL_ERROR", "TIMED_OUT"), "message": TEXT},
}

_LIFE = {
    "adProduct": AD_PRODUCT,
    "state": words("ENABLED", "PAUSED", "ARCHIVED"),
    "deliveryStatus": words("DELIVERING", "NOT_DELIVERING", "UNAVAILABLE"),
    "deliveryReasons?": [CAPITALS],
    "creationDateTime": INSTANT,
    "lastUpdatedDateTime": INSTANT,
}
_MONEY = {"currencyCode": CURRENCY, "amount": NUMBER, "ruleAmount?": NUMBER}
_BID = ({"currencyCode": CURRENCY, "bid": NUMBER}, NUMBER)
_OPEN = ({"*": ANYTHING}, [ANYTHING], ANYTHING)
"""Parts that the contract names without listing their fields."""
ENTITIES: dict[str, Shape] = {
    "campaigns": {
        **_LIFE,
        "campaignId": DIGITS,
        "name": TEXT,
        "startDate": DATE,
        "endDate?": or_null(DATE),
        "tags?": _OPEN,
        "optimization?": _OPEN,
        "budgetCaps": {
            "recurrenceTimePeriod": words("DAILY", "LIFETIME"),
            "budgetType": words("MONETARY"),
            "budgetValue": {"monetaryBudget": _MONEY},
        },
        "targetingSettings?": words("AUTO", "MANUAL", "T00020", "T00030"),
        "costType?": words("CPC", "VCPM"),
        "portfolioId?": or_null(DIGITS),
        "brandEntityId?": or_null(TEXT),
    },
    "adGroups": {
        **_LIFE,
        "adGroupId": DIGITS,
        "campaignId": DIGITS,
        "name": TEXT,
        "bid?": {"defaultBid": NUMBER, "currencyCode": CURRENCY},
        "creativeType?": or_null(CAPITALS),
        "optimization?": _OPEN,
    },
    "ads": {
        **_LIFE,
        "adId": DIGITS,
        "adGroupId": DIGITS,
        "campaignId": DIGITS,
        "name?": or_null(TEXT),
        "adType": CAPITALS,
        "creative?": _OPEN,
    },
    "targets": {
        **_LIFE,
        "targetId": DIGITS,
        "adGroupId?": DIGITS,
        "campaignId": DIGITS,
        "negative": BOOL,
        "bid?": _BID,
        "targetType": words(
            *("AUTO", "KEYWORD", "PRODUCT", "PRODUCT_CATEGORY", "AUDIENCE"),
            *("PRODUCT_AUDIENCE", "PRODUCT_CATEGORY_AUDIENCE", "THEME"),
        ),
        "targetLevel": words("AD_GROUP", "CAMPAIGN"),
        "targetDetails": {"*": _OPEN, "matchType?": CAPITALS},
    },
}

_MARKETPLACE = or_null(ROW_COUNTRY)
_ROW_FIELDS: dict[str, Leaf] = {
    "date.value": DATE,
    "hour.value": HOUR,
    "budgetCurrency.value": CURRENCY,
    "adProduct.value": ROW_PRODUCT,
    "campaign.id": ROW_ID,
    "campaign.country": ROW_COUNTRY,
    "campaign.costType": or_null(words("CPC", "VCPM")),
    "adGroup.id": ROW_ID,
    "ad.id": ROW_ID,
    "target.matchType": or_empty(
        words(
            *("EXACT", "PHRASE", "BROAD", "THEME"),
            *("TARGETING_EXPRESSION", "TARGETING_EXPRESSION_PREDEFINED"),
        )
    ),
    "advertisedProduct.marketplace": _MARKETPLACE,
    "convertedProductMarketplace.value": _MARKETPLACE,
    "placementClassification.value": words(
        *("Top of Search on-Amazon", "Detail Page on-Amazon", "Other on-Amazon", "Off Amazon"),
        *("TOP_OF_SEARCH", "REST_OF_SEARCH", "PRODUCT_PAGE", "OFF_AMAZON"),
        "SITE_AMAZON_BUSINESS",
    ),
}


def row_leaf(field: str) -> Leaf:
    """Return what a field of a report's rows may be."""
    if field.startswith("metric."):
        return AMOUNT if any(word in field.lower() for word in ("sales", "cost")) else COUNT
    return _ROW_FIELDS.get(field, or_null(TEXT))


def fitting(value: Any, shape: Shape) -> Shape:
    """Return of several shapes the first of the value's kind, or the last one."""
    if not isinstance(shape, tuple):
        return shape
    kind = dict if isinstance(value, dict) else list if isinstance(value, list) else Leaf
    return next((alternative for alternative in shape if isinstance(alternative, kind)), shape[-1])


def known_words() -> frozenset[str]:
    """Return all words of the vocabularies that are lists."""
    calls = (TOKEN, ACCOUNTS, PROFILES, ADVERTISER_ACCOUNTS, REPORT_ANSWER, EXPORT)
    leaves = (
        leaf for shape in (*calls, *ENTITIES.values(), _ROW_FIELDS) for leaf in _leaves(shape)
    )
    return frozenset(word for leaf in leaves for word in leaf.words)


def _leaves(shape: Shape) -> Iterator[Leaf]:
    if isinstance(shape, Leaf):
        yield shape
        return
    for inner in shape.values() if isinstance(shape, dict) else shape:
        yield from _leaves(inner)
