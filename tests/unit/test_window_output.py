"""What is printed and recorded of a window's loads."""

import io
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from bidbeacon_pipelines.cli.window_output import print_loads
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.defs.recording import day_metadata
from bidbeacon_pipelines.loading.restatements import WindowLoad
from bidbeacon_pipelines.windows.queries import LoadedDay


def load(age_days: int, number: int) -> WindowLoad:
    """Return a load of a window that many days after its day."""
    one = Decimal(1)
    return WindowLoad(
        ad_product="SPONSORED_PRODUCTS",
        currency_code="USD",
        load_number=number,
        data_as_of=datetime(2026, 7, 25, tzinfo=UTC),
        age_days=age_days,
        impressions_before=None,
        impressions=one,
        clicks_before=None,
        clicks=one,
        orders_before=None,
        orders=one,
        sales_before=None,
        sales=one,
        spend_before=None,
        spend=one,
        rows_changed=0,
        rows_appeared=0,
        rows_vanished=0,
    )


def test_loads_of_one_age_are_numbered() -> None:
    """The second load of a day is told from the first, in the table and in the sentence below."""
    shown = io.StringIO()
    loads = [load(3, 1), load(5, 2), load(5, 3)]
    print_loads(Console(file=shown, width=120), loads, get_dataset("daily_targets").columns)
    heads = next(line for line in shown.getvalue().splitlines() if "T+3" in line)
    assert ["USD", "T+3", "T+5", "T+5", "#2"] == heads.split()
    assert "From T+3 to T+5 #2: " in shown.getvalue()


def test_metrics_that_a_dataset_lacks_are_not_printed() -> None:
    """Purchased products have sales, and no spend."""
    shown = io.StringIO()
    columns = get_dataset("daily_purchased_products").columns
    print_loads(Console(file=shown, width=120), [load(3, 1), load(5, 2)], columns)
    assert ("sales" in shown.getvalue(), "spend" in shown.getvalue()) == (True, False)


@pytest.mark.parametrize(
    ("dataset", "amounts"),
    [("daily_targets", {"spend", "sales"}), ("daily_purchased_products", {"sales"})],
)
def test_a_materialization_has_the_amounts_of_its_dataset(dataset: str, amounts: set[str]) -> None:
    """An amount that the dataset does not have would read as 0."""
    some: dict[str, Any] = dict.fromkeys(field.name for field in fields(LoadedDay))
    now = datetime(2026, 3, 1, tzinfo=UTC)
    some |= {"dataset": dataset, "currency_code": "USD", "spend": Decimal(0), "sales": Decimal(2)}
    some |= dict.fromkeys(("row_count", "restated_count", "unresolved_count"), 0)
    some |= {"quarantined_count": 0, "load_count": 1, "data_as_of": now, "last_loaded_at": now}
    assert amounts == {"spend", "sales"} & day_metadata(LoadedDay(**some)).keys()
