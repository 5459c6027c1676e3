"""The ad products: as stored, and as Amazon's reports spell them."""

from bidbeacon_pipelines.datasets.fields import (
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
)

SP, SB, SD = SPONSORED_PRODUCTS, SPONSORED_BRANDS, SPONSORED_DISPLAY
SPELLED = {SP: "Sponsored Products", SB: "Sponsored Brands", SD: "Sponsored Display"}
