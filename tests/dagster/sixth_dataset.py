"""A dataset that the product does not have: one registry entry and one row model, and nothing else."""

from dataclasses import replace

from pydantic import Field

from bidbeacon_pipelines.ingest.field_types import KeyText
from bidbeacon_pipelines.ingest.rows import RowEntity, TargetRow
from bidbeacon_pipelines.reports.datasets import DAILY_TARGETS, fields_of_day


class MatchedTargetRow(TargetRow):
    """What one target was matched with, through one ad on one account-local day."""

    matched_target: KeyText = Field(alias="matchedTarget.value")

    @property
    def entity(self) -> RowEntity:
        """The target, and of it what it was matched with."""
        return super().entity._replace(detail=self.matched_target)


DAILY_MATCHED_TARGETS = replace(
    DAILY_TARGETS,
    name="daily_matched_targets",
    title="Daily performance by matched target",
    entity="target and matched target",
    fields=fields_of_day("target.value", "target.matchType", "matchedTarget.value"),
    row_model=MatchedTargetRow,
    asset_name="daily_matched_target_performance",
)
