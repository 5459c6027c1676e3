"""A dataset that the product does not have: one registry entry, and nothing else."""

from dataclasses import replace

from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS, Dimension
from bidbeacon_pipelines.datasets.metrics import BASE
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS

MATCHED_TARGET = Dimension(
    field="matchedTarget.value",
    column="matched_target",
    kind="text",
    description="What the target was matched with.",
)
DAILY_MATCHED_TARGETS = replace(
    DAILY_TARGETS,
    name="daily_matched_targets",
    title="Daily performance by matched target",
    entity="target and matched target",
    dimensions=(*DAILY_TARGETS.dimensions, MATCHED_TARGET),
    metrics=BASE,
    groups=((SPONSORED_PRODUCTS,),),
)
