"""The tables of what was learned of Amazon, beyond the registry."""

from datetime import datetime

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class FieldSpelling(PipelinesBase):
    """One row is a report field that a region has refused under one name and accepted under another."""

    __tablename__ = "field_spellings"

    region: Mapped[str] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    spelling: Mapped[str]
    learned_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),)


class SplitReport(PipelinesBase):
    """One row is a dataset that is requested by ad product in a region, since the region refused the fields of several in one report."""

    __tablename__ = "split_reports"

    region: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    learned_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),)


class ProductHistory(PipelinesBase):
    """One row is an ad product of a dataset that a region serves for fewer days than the registry says, as far as reports have shown.

    A report that reached `served_days` back came, one that reached `refused_days` back was too old.
    """

    __tablename__ = "product_histories"

    region: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    ad_product: Mapped[str] = mapped_column(primary_key=True)
    served_days: Mapped[int]
    refused_days: Mapped[int]
    learned_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("served_days < refused_days", name="served_is_less"),
    )
