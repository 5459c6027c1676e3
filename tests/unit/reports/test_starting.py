"""What Home says until the first data is loaded, from how far the start is."""

from dataclasses import replace

import pytest

from bidbeacon_pipelines.problems.starting import Progress, describe_start

LISTED = Progress(3, 3, is_synced=True, windows=0, planned=0, in_flight=0, is_sandbox=False)


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        ({"accounts": 0, "is_synced": False}, "Accounts are read from Amazon"),
        ({}, "Campaigns, ads and targets of 3 accounts are being synced"),
        ({"windows": 1_462}, "Reports of 1,462 days of data are being planned."),
        ({"windows": 9, "planned": 5}, "5 reports of 9 days of data are planned"),
        (
            {"windows": 9, "planned": 5, "in_flight": 2},
            "Amazon is making 2 reports of 9 days of data; 5 more planned.",
        ),
    ],
)
def test_start_says_what_happens_now(changes: dict[str, int], now: str) -> None:
    """And when the first data comes."""
    told = describe_start(replace(LISTED, **changes))
    assert told is not None
    assert told.now.startswith(now)
    assert "the first data comes" in told.first_data.lower()


@pytest.mark.parametrize("changes", [{"accounts": 0}, {"refreshed": 0}])
def test_nothing_starts_where_no_account_is_refreshed(changes: dict[str, int]) -> None:
    """Amazon listed none, or all are stopped."""
    assert describe_start(replace(LISTED, **changes)) is None


def test_sandbox_is_faster_than_amazon() -> None:
    """The time until the first data is that of whoever makes the reports."""
    of_amazon, of_sandbox = (
        describe_start(replace(LISTED, windows=9, is_sandbox=is_sandbox))
        for is_sandbox in (False, True)
    )
    assert of_amazon is not None
    assert of_sandbox is not None
    assert "half an hour" in of_amazon.first_data
    assert "within a minute or two" in of_sandbox.first_data
