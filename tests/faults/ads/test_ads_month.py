"""A simulated month of ads accounts in three regions with every fault of the sandbox in force: all data ends complete and exact."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.sandbox.faults import FAULTS
from tests.faults.ads import accounting
from tests.faults.ads.month import DAYS, KEPT, START, Counts, Month, open_month

MOST_OF_A_CAUSE = 12
"""Messages a day: six beginnings and six ends, four hours apart."""
MOST_OF_A_DAY = 60
"""Messages about all causes together, with every fault in force."""


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", KEPT)
def test_a_month_with_every_fault_ends_complete_and_exact(
    seed: int,
    engine: Engine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Each window is loaded, with exactly the delivered numbers while faults strike, and with the true ones once they have ended."""
    with open_month(engine, tmp_path, seed) as month, capsys.disabled():
        print(f"\nSeed {seed}: {month}")  # noqa: T201 - a month takes minutes
        month.pass_with_faults(tell=print)
        check_complete(month)
        month.end_faults()
        for _ in range(
            2
        ):  # a report that Amazon left pending since before the faults ended may serve the first load by hand
            month.redo_by_hand()
            month.come_to_rest()
        check_true(month)
        counts = month.count()
        print(f"  {counts}")  # noqa: T201 - see above
        record_property("detail", f"{counts}; struck: {counts.told_strikes}")
        check_orderly(month, counts)
        check_asked(month, counts)
        check_told(month)
        assert set(FAULTS) == set(counts.strikes)


def check_complete(month: Month) -> None:
    """Every day that was over at the month's end, and that Amazon serves, has data: row by row what was delivered; what can't be read is put aside."""
    assert month.days_without_data(START + timedelta(days=DAYS)) == []
    assert month.given_up_too_early() == []
    assert month.compare_with_delivered() == []


def check_true(month: Month) -> None:
    """No window holds what a fault had changed; every one that Amazon serves is fresh and the truth, row by row, under the right targets."""
    assert month.windows_not_true() == []
    assert month.compare_with_truth() == []
    assert month.compare_with_delivered() == []
    assert month.not_fresh() == []


def check_orderly(month: Month, counts: Counts) -> None:
    """Every request has ended, no session runs on, and nothing failed but by a fault."""
    assert (counts.open_requests, counts.running_sessions) == (0, 0)
    assert month.unforeseen_errors() == []


def check_asked(month: Month, counts: Counts) -> None:
    """Amazon is asked for what is due, again only for a cause, never beyond what a gate allows, and never while one is closed."""
    creates = month.office.creates
    assert len(creates) == counts.creates
    assert accounting.needless_requests(creates) == []
    assert month.count_reasons()[1] == []
    assert accounting.over_the_gate(creates) == []
    assert accounting.through_closed_gates(creates) == []
    assert accounting.early_creates(creates) == []


def check_told(month: Month) -> None:
    """Each cause that lasts is told, and counts all that the tables say is wrong; a day of faults makes no storm of messages."""
    assert month.alerts.missed == []
    assert month.alerts.most_of_a_cause() <= MOST_OF_A_CAUSE
    assert month.alerts.most_of_a_day() <= MOST_OF_A_DAY
