"""The computed columns of the analysts' views: ratios and the attribution window. Pure."""

from dataclasses import dataclass

from bidbeacon_pipelines.datasets.metrics import with_windows
from bidbeacon_pipelines.datasets.registry import Dataset


@dataclass(frozen=True)
class Ratio:
    """A quotient of two metrics; null if the denominator is zero.

    For several rows, divide the sums of the two metrics; don't average the ratios of the rows.
    """

    column: str
    numerator: str
    denominator: str
    description: str
    v3_names: tuple[str, ...] = ()
    connector_names: tuple[str, ...] = ()


RATIOS = (
    Ratio("cpc", "spend", "clicks", "Cost per click", v3_names=("costPerClick",)),
    Ratio("ctr", "clicks", "impressions", "Click-through rate", v3_names=("clickThroughRate",)),
    Ratio(
        "acos",
        "spend",
        "sales",
        "Advertising cost of sales",
        connector_names=with_windows("acosClicks{}"),
    ),
    Ratio(
        "roas",
        "sales",
        "spend",
        "Return on ad spend",
        v3_names=("roas", *with_windows("roas{}")),
        connector_names=with_windows("roasClicks{}"),
    ),
)

ATTRIBUTION_DAYS = "attribution_days"
ATTRIBUTION_DAYS_SQL = """\
CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END"""
ATTRIBUTION = (
    "Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, "
    "14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not "
    "state whether the account is a seller's or a vendor's."
)


def ratios_of(dataset: Dataset) -> tuple[Ratio, ...]:
    """Return the ratios of which a dataset has both metrics."""
    columns = set(dataset.columns)
    return tuple(ratio for ratio in RATIOS if {ratio.numerator, ratio.denominator} <= columns)
