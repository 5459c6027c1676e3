"""Tables of the contract: overrides of the registry, and proven histories."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase


class RegistryOverride(PipelinesBase):
    """One row is an override of the registry for a dataset of a region or of one ads account.

    `subject` is `grouping` (which ad products one report contains), `field:` followed by
    BidBeacon's name of a report field, or `history:` or `period:` followed by the name of a report.
    `value` is the grouping (`SP,SB+SD`), Amazon's name of the field, or a number of days. `set_by`
    is a user, or `learned` if the value was derived from Amazon's responses.
    """

    __tablename__ = "registry_overrides"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    region: Mapped[str]
    dataset: Mapped[str]
    account_id: Mapped[str | None] = mapped_column(
        Text(collation="C"), ForeignKey("ads_accounts.account_id")
    )
    subject: Mapped[str]
    value: Mapped[str]
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("subject ~ '^(grouping|(field|history|period):.+)$'", name="subject_known"),
        CheckConstraint(
            "subject !~ '^(history|period):' OR value ~ '^[1-9][0-9]{0,3}$'", name="days_counted"
        ),
        CheckConstraint("subject <> 'grouping' OR account_id IS NULL", name="grouping_of_region"),
        Index(
            "uq_registry_overrides",
            "region",
            "dataset",
            "account_id",
            "subject",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )


class ProvenHistory(PipelinesBase):
    """One row is the age of the oldest day for which a report had rows of an ad product.

    The age applies to a client, region and dataset. `age_days` is counted on the account's
    calendar, up to the instant of the report's request. `account_key` and `window_date` identify
    the day, and `proven_at` is when the day was loaded.
    """

    __tablename__ = "proven_histories"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    region: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    ad_product: Mapped[str] = mapped_column(primary_key=True)
    age_days: Mapped[int]
    account_key: Mapped[str]
    window_date: Mapped[date]
    proven_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("age_days >= 0", name="age_counted"),)
