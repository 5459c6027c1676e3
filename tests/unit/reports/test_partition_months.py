"""How many months are partitions, and what is said when accounts times days come near what Dagster's UI shows."""

from datetime import date

import pytest

from bidbeacon_pipelines.datasets.partition_months import first_partition_day
from bidbeacon_pipelines.problems.health_checks import Level, check_partitions

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("months", "first"), [(1, date(2026, 10, 1)), (11, date(2025, 12, 1)), (24, date(2024, 11, 1))]
)
def test_partitions_begin_with_a_month(months: int, first: date) -> None:
    """So many whole months before this one."""
    assert first == first_partition_day(TODAY, months)


@pytest.mark.parametrize(
    ("accounts", "level", "to_do"),
    [
        (105, Level.OK, None),  # 79,380 partitions
        (106, Level.WARNING, "BIDBEACON_PARTITION_MONTHS=23"),
        (1_000, Level.WARNING, "BIDBEACON_PARTITION_MONTHS=1 "),
        (2_000, Level.WARNING, "Spread the accounts over several installations"),
    ],
)
def test_the_setting_that_makes_room_is_named(
    accounts: int, level: Level, to_do: str | None
) -> None:
    """From 80 % on, with what to do after the setting is enlarged again."""
    check = check_partitions(accounts, 24, TODAY)
    assert level is check.level
    assert (to_do or "") in (check.to_do or "")
    assert ("record_again" in (check.to_do or "")) == ("MONTHS" in (to_do or ""))
