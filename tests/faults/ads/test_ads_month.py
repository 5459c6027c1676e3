"""A simulated month of ads accounts in three regions with every fault of the sandbox in force: all data ends complete and exact."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.datasets.registry import ALL_DATASETS
from bidbeacon_sandbox.rules import KINDS, OldBrands
from tests.faults.ads import accounting
from tests.faults.ads.month import DATASETS_BY_SEED, END, START, Month, open_month, seasons
from tests.faults.ads.month_faults import ANY_TIME, HISTORIES, histories, month_rules
from tests.faults.ads.oracle import Oracle

MOST_OF_A_CAUSE = 12
"""Messages a day: six beginnings and six ends, four hours apart."""
MOST_LOADS_BY_HAND = 8
"""A load by hand waits 90 minutes, in which two slots make about twelve reports; purchased products need 39 for all of history where an account's reports were found too large and have 60 days now."""
MOST_OF_A_DAY = 60
"""Messages about all causes together, with every fault in force."""


def test_seeds_have_all_datasets_and_every_fault() -> None:
    """The seeds' datasets are all that the product has, once each; each seed has every kind of rule of the sandbox.

    But for campaigns that no report has: the truth has them, so no number would be right.
    """
    kept = [name for names in DATASETS_BY_SEED.values() for name in names]
    always = [*month_rules(), *(one for one, _ in seasons("an account").values())]
    assert sorted(kept) == sorted(dataset.name for dataset in ALL_DATASETS)
    for seed in DATASETS_BY_SEED:
        assert {type(one) for one in (*always, *histories(seed))} == set(KINDS.values()) - {
            OldBrands
        }
        kinds = {"empty" in limits for limits in HISTORIES[seed].values()}
        assert {False, True} == kinds, "a seed has both kinds of history"


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", DATASETS_BY_SEED)
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
        for _ in range(MOST_LOADS_BY_HAND):
            if month.find(Oracle.windows_not_true):
                month.redo_by_hand()
        check_true(month)
        counts = month.count()
        print(f"  {counts}")  # noqa: T201 - see above
        record_property("detail", str(counts))
        assert (counts["open requests"], counts["running sessions"]) == (0, 0)
        assert month.unforeseen_errors() == []
        check_asked(month)
        check_told(month)
        assert set(counts["strikes"]) == {*ANY_TIME, *seasons("an account"), *HISTORIES[seed]}


def check_complete(month: Month) -> None:
    """Every day that was over at the month's end, and that Amazon serves, has data: row by row what was delivered; what can't be read is put aside."""
    given_up = month.simulation.given_up
    assert month.find(lambda oracle: oracle.days_without_data(END)) == [], month.not_loaded()
    assert month.find(lambda oracle: oracle.given_up_too_early(given_up)) == []
    assert [window for window in given_up if window[2] >= START.date()] == []
    assert month.find(Oracle.compare_with_delivered) == []
    check_histories(month)


def check_true(month: Month) -> None:
    """No window holds what a fault had changed; every one that Amazon serves is fresh and the truth, row by row, under the right targets."""
    assert month.find(Oracle.windows_not_true) == [], month.loads_by_hand()
    assert month.find(Oracle.compare_with_truth) == []
    assert month.find(Oracle.compare_with_delivered) == []
    assert month.find(Oracle.not_fresh) == []
    check_histories(month)


def check_histories(month: Month) -> None:
    """No zero is false where Amazon has no rows for the age of a day, and no day with rows is called not served."""
    assert month.find(Oracle.false_zeros) == []
    assert month.find(Oracle.doubted_though_delivered) == []


def check_asked(month: Month) -> None:
    """Amazon is asked for what is due, again only for a cause, never beyond what a gate allows, and never while one is closed."""
    creates = month.simulation.wire.creates
    assert len(creates) == len(month.world.sandbox.state.ledger.calls("create_report"))
    assert accounting.needless_requests(creates) == []
    assert month.count_reasons()[1] == []
    assert accounting.over_the_gate(creates) == []
    assert accounting.through_closed_gates(creates) == []
    assert accounting.early_creates(creates) == []


def check_told(month: Month) -> None:
    """Each cause that lasts is told, and counts all that the tables say is wrong; a day of faults makes no storm of messages."""
    assert month.alerts.missed == []
    of_a_cause, of_all = month.alerts.most_in_a_day()
    assert of_a_cause <= MOST_OF_A_CAUSE
    assert of_all <= MOST_OF_A_DAY
