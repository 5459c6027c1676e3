"""What the SQL of loads must know of the performance tables: their names, and by which columns their rows are told apart."""

from collections.abc import Iterable
from dataclasses import dataclass

METRICS = ("impressions", "clicks", "orders", "sales", "spend")
NAMES = ("campaign_id", "campaign_name", "ad_group_id", "ad_group_name", "target_value", "match_type")
"""Columns that describe a row and are no part of its key."""
FACTS = (*NAMES, "resolved", *METRICS)
"""Every column of a row that a report tells, beside its key."""


@dataclass(frozen=True)
class PerformanceTable:
    """One performance table.

    Attributes:
        name: In the database.
        key: The columns that tell its rows apart, beside account, country and dataset; in the order of its primary key.
    """

    name: str
    key: tuple[str, ...]

    @property
    def primary_key(self) -> tuple[str, ...]:
        """All columns of its primary key, in order."""
        return ("account_id", "country_code", "dataset", *self.key)

    def same_key(self, one: str, other: str) -> str:
        """Give the condition that two rows of one dataset of one account have the same key."""
        return " AND ".join(f"{one}.{column} = {other}.{column}" for column in self.key)


DAILY = PerformanceTable(
    "performance_daily", ("window_date", "ad_id", "entity_id", "entity_detail", "currency_code")
)
HOURLY = PerformanceTable(
    "performance_hourly", ("window_date", "hour_at", "ad_id", "entity_id", "entity_detail", "currency_code")
)
PERFORMANCE_TABLES = {table.name: table for table in (DAILY, HOURLY)}


def listed(columns: Iterable[str], of: str = "") -> str:
    """Give columns as SQL lists them, each of an alias where one is given."""
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{column}" for column in columns)
