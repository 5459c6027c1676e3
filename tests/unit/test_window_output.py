"""Tests of the tables of a window's loads."""

import io
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console

from bidbeacon_pipelines.cli.window_output import print_loads
from bidbeacon_pipelines.store.restatements import WindowLoad


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
    print_loads(Console(file=shown, width=120), [load(3, 1), load(5, 2), load(5, 3)])
    heads = next(line for line in shown.getvalue().splitlines() if "T+3" in line)
    assert ["USD", "T+3", "T+5", "T+5", "#2"] == heads.split()
    assert "From T+3 to T+5 #2: " in shown.getvalue()
