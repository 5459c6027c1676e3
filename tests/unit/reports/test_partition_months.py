"""How many months are partitions, and what is said when accounts times days come near what Dagster's UI shows."""

from datetime import UTC, date, datetime

import pytest

from bidbeacon_pipelines.datasets.partition_months import first_partition_day
from bidbeacon_pipelines.problems.system_findings import judge_partitions

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("months", "first"), [(1, date(2026, 10, 1)), (11, date(2025, 12, 1)), (15, date(2025, 8, 1))]
)
def test_partitions_begin_with_a_month(months: int, first: date) -> None:
    """So many whole months before this one."""
    assert first == first_partition_day(TODAY, months)


@pytest.mark.parametrize(
    ("accounts", "to_do"),
    [
        (106, None),  # 79,924 partitions
        (107, "BIDBEACON_PARTITION_MONTHS=23"),
        (1_000, "BIDBEACON_PARTITION_MONTHS=1 "),
        (2_000, "Spread the accounts over several installations"),
    ],
)
def test_the_setting_that_makes_room_is_named(accounts: int, to_do: str | None) -> None:
    """From 80 % on, with what to do after the setting is enlarged again."""
    said = [one.advice for one in judge_partitions(accounts, 24, NOW)]
    assert [] == said if to_do is None else to_do in said[0]
    assert ("record_again" in "".join(said)) == ("MONTHS" in (to_do or ""))
