"""The metadata of the summary asset: a table of the last days of all accounts by day and currency, and a plot of spend."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
from sqlalchemy import Engine

from bidbeacon_pipelines.views import ACCOUNT_DAYS_VIEW
from bidbeacon_pipelines.views.frames import read_frame

DAYS = 30
_WIDTH, _HEIGHT, _MARGIN = 600, 60, 6


def read_recent(engine: Engine, today: date) -> pd.DataFrame:
    """Return spend and sales of the last days before today, all ad products together.

    Columns: window_date, currency_code, accounts (how many have the day loaded), spend, sales; in
    this order of rows, the newest day first.
    """
    days = today - timedelta(days=DAYS), today - timedelta(days=1)
    frame = read_frame(ACCOUNT_DAYS_VIEW.name, None, days, engine=engine)
    sums = frame.groupby(["window_date", "currency_code"], as_index=False).agg(
        accounts=("account_key", "nunique"), spend=("spend", "sum"), sales=("sales", "sum")
    )
    return sums.sort_values(["window_date", "currency_code"], ascending=[False, True])


def list_records(recent: pd.DataFrame) -> list[dict[str, str | int]]:
    """Return the rows as a table of Dagster takes them; amounts are exact, as text."""
    return [
        {
            "day": str(day),
            "currency": currency,
            "accounts": accounts,
            "spend": f"{spend:,.2f}",
            "sales": f"{sales:,.2f}",
            "ACOS": f"{spend / sales:.1%}" if sales else "",
        }
        for day, currency, accounts, spend, sales in recent.itertuples(index=False)
    ]


def plot_spend(recent: pd.DataFrame) -> str:
    """Return a line of spend by day for each currency, each on its own scale, as an image in Markdown."""
    lines = []
    for place, (currency, days) in enumerate(recent.groupby("currency_code")):
        top = place * _HEIGHT
        points = _points(days.sort_values("window_date")["spend"].tolist(), top)
        lines.append(
            f'<text x="0" y="{top + 12}" font-size="11" font-family="sans-serif" fill="#777">{currency}</text>'
            f'<polyline points="{points}" fill="none" stroke="#3367d6" stroke-width="2"/>'
        )
    size = f'width="{_WIDTH}" height="{max(1, len(lines)) * _HEIGHT}"'
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(lines)}</svg>'
    return f"![Spend by day](data:image/svg+xml;base64,{b64encode(drawing.encode()).decode()})"


def _points(amounts: Sequence[Decimal], top: int) -> str:
    """Return the points of a line from left to right whose highest amount is at the top."""
    highest = max(amounts) or 1
    step = _WIDTH / max(1, len(amounts) - 1)
    room = _HEIGHT - 2 * _MARGIN
    return " ".join(
        f"{place * step:.1f},{top + _MARGIN + room * float(1 - amount / highest):.1f}"
        for place, amount in enumerate(amounts)
    )
