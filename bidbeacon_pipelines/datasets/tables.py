"""The table of what is known of Amazon beyond the registry."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class RegistryOverride(PipelinesBase):
    """One row overrides the registry for a dataset in a region, or for one ads account of it.

    `what` is `grouping` (which ad products come in one report), `field:` with our name of a report
    field, or `history:` or `period:` with the name of a report. `value` is the grouping
    (`SP,SB+SD`), Amazon's name of the field, or a number of days. `set_by` is who set it, or
    `learned` where a report has shown it.
    """

    __tablename__ = "registry_overrides"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    region: Mapped[str]
    dataset: Mapped[str]
    account_id: Mapped[str | None] = mapped_column(
        Text(collation="C"), ForeignKey("ads_accounts.account_id")
    )
    what: Mapped[str]
    value: Mapped[str]
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("what ~ '^(grouping|(field|history|period):.+)$'", name="what_known"),
        CheckConstraint(
            "what !~ '^(history|period):' OR value ~ '^[1-9][0-9]{0,3}$'", name="days_counted"
        ),
        CheckConstraint("what <> 'grouping' OR account_id IS NULL", name="grouping_of_region"),
        Index(
            "uq_registry_overrides",
            "region",
            "dataset",
            "account_id",
            "what",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )
