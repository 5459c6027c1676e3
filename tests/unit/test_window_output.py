"""What is printed and recorded of a window's loads."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bidbeacon_pipelines.cli.windows import print_loads
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.defs.materializations import day_metadata


def load(age_days: int, number: int) -> dict[str, Any]:
    """Return a load of a window that many days after its day, as far as it is printed."""
    metrics = ("impressions", "clicks", "orders", "sales", "spend")
    one: dict[str, Any] = dict.fromkeys(metrics, Decimal(1))
    one |= {"load_number": number, "age_days": age_days, "confirmed_age_days": age_days + 2}
    one |= dict.fromkeys(("rows_changed", "rows_appeared", "rows_vanished"), 0)
    return one | {"ad_product": "SPONSORED_PRODUCTS", "currency_code": "USD"}


def test_a_load_is_a_line_with_its_number_and_age(capsys: pytest.CaptureFixture[str]) -> None:
    """So that two of one day are told apart, in the table and in the sentence below."""
    loads = [load(3, 1), load(5, 2), load(5, 3)]
    print_loads(loads, get_dataset("daily_targets").columns)
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert ["3:", "T+5", "1.00", "1.00", "1", "1", "1", "0", "0", "0"] in lines
    assert "confirmed at T+7;" in shown
    assert ["in", "all", "+0.00", "+0.00", "+0", "+0", "+0"] in lines


def test_metrics_that_a_dataset_lacks_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Purchased products have sales, and no spend."""
    print_loads([load(3, 1), load(5, 2)], get_dataset("daily_purchased_products").columns)
    shown = capsys.readouterr().out
    assert ("sales" in shown, "spend" in shown) == (True, False)


@pytest.mark.parametrize(
    ("dataset", "amounts"),
    [("daily_targets", {"spend", "sales"}), ("daily_purchased_products", {"sales"})],
)
def test_a_materialization_has_the_amounts_of_its_dataset(dataset: str, amounts: set[str]) -> None:
    """An amount that the dataset does not have would read as 0."""
    some: dict[str, Any] = {"session_id": None}
    now = datetime(2026, 3, 1, tzinfo=UTC)
    some |= {"dataset": dataset, "currency_code": "USD", "spend": Decimal(0), "sales": Decimal(2)}
    some |= dict.fromkeys(("row_count", "restated_count", "unresolved_count"), 0)
    some |= {"quarantined_count": 0, "load_count": 1, "data_as_of": now, "last_loaded_at": now}
    day: Any = SimpleNamespace(**some)
    assert amounts == {"spend", "sales"} & day_metadata(day).keys()
