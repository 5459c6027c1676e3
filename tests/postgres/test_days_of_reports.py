"""The views of days: one row for each day of a dataset, and what rows say of their day."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES, products_of
from bidbeacon_pipelines.states.window_states import WindowState
from bidbeacon_pipelines.views import REPORT_VIEWS
from tests.support.report_rows import store_rows
from tests.support.rows import add_account, add_windows

DAY, DATASET = date(2026, 3, 8), "daily_campaigns"
NOW = datetime.now(UTC)
OLD, NEW = datetime(2026, 5, 10, tzinfo=UTC), datetime(2026, 5, 20, tzinfo=UTC)
SOON, LATER, PAST = NOW + timedelta(hours=5), NOW + timedelta(days=90), NOW - timedelta(hours=1)
SP, SB, SD = SHORT_NAMES
Window = dict[str, Any]


def loaded(as_of: datetime = OLD, **changes: Any) -> Window:
    """Return the columns of a window that was loaded for the last time."""
    return {"status": "loaded", "last_loaded_at": as_of, "data_as_of": as_of, **changes}


FINAL, PROVISIONAL = loaded(), loaded(NEW, next_refresh_at=SOON)
DUE = {"next_refresh_at": PAST}
FAILED = {"status": "failed", "next_refresh_at": SOON, "cause": {"code": "report-failed"}}
EXPIRED = {"status": "expired", "expires_at": PAST}
REFUSED = {"status": "not_served", "not_served_since": PAST, "cause": {"code": "report-too-old"}}
UNPROVEN = {"not_served_since": PAST, "cause": {"code": "history-not-proven"}}
ASKED_AGAIN = REFUSED | {"next_refresh_at": PAST, "wanted_by": "Ann", "wanted_at": PAST}


@dataclass(frozen=True)
class Case:
    """The windows of a day by report, and the day's row that they make."""

    windows: dict[str, Window]
    state: WindowState
    is_complete: bool
    is_final: bool
    as_of: datetime | None
    not_served: tuple[str, ...] = ()
    cause: str | None = None
    next_at: datetime | None = None


CASES = {
    "all final": Case(
        {"SP": FINAL, "SB": loaded(NEW), "SD": FINAL}, WindowState.FRESH, True, True, OLD
    ),
    "one never loaded": Case(
        {"SP": FINAL, "SB": loaded(NEW), "SD": FAILED},
        *(WindowState.FAILED, False, False, OLD, (), "report-failed", SOON),
    ),
    "one not due yet": Case(
        {"SP": FINAL, "SB": FINAL, "SD": {"next_refresh_at": SOON}},
        *(WindowState.MISSING, False, False, OLD, (), None, SOON),
    ),
    "one provisional": Case(
        {"SP": FINAL, "SB": PROVISIONAL, "SD": FINAL},
        *(WindowState.FRESH, True, False, OLD, (), None, SOON),
    ),
    "one refused as too old": Case(
        {"SP": FINAL, "SB": FINAL, "SD": REFUSED},
        *(WindowState.NOT_SERVED, True, True, OLD, (SD,), "report-too-old"),
    ),
    "one refused, and wanted again": Case(
        {"SP+SB": FINAL, "SD": ASKED_AGAIN},
        *(WindowState.NOT_SERVED, True, True, OLD, (SD,), "report-too-old", PAST),
    ),
    "two refused": Case(
        {"SP": loaded(NEW), "SB+SD": REFUSED},
        *(WindowState.NOT_SERVED, True, True, NEW, (SB, SD), "report-too-old"),
    ),
    "a product not served in a loaded report": Case(
        {"SP+SB+SD": loaded(not_served=[SB])}, WindowState.FRESH, True, True, OLD, (SB,)
    ),
    "a report not served, whose load is not proven": Case(
        {
            "SP": loaded(NEW),
            "SB+SD": FINAL | UNPROVEN | {"status": "not_served", "not_served": [SB]},
        },
        *(WindowState.NOT_SERVED, True, True, NEW, (SB,), "history-not-proven"),
    ),
    "nothing served": Case(
        {"SP+SB+SD": FINAL | UNPROVEN | {"status": "not_served", "not_served": [SP, SD]}},
        *(WindowState.NOT_SERVED, False, False, None, (SP, SD), "history-not-proven"),
    ),
    "one expired before it was loaded": Case(
        {"SP": FINAL, "SB": FINAL, "SD": EXPIRED},
        *(WindowState.EXPIRED, False, False, OLD, (), "expired"),
    ),
    "nothing loaded": Case(
        {"SP": DUE | {"next_refresh_at": SOON}, "SB": EXPIRED, "SD": REFUSED},
        *(WindowState.EXPIRED, False, False, None, (SD,), "expired", SOON),
    ),
    "two failed": Case(
        {"SP": FAILED | {"cause": {"code": "field-refused"}}, "SB": FAILED, "SD": FINAL},
        *(WindowState.FAILED, False, False, OLD, (), "report-failed", SOON),
    ),
}


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection to a database with an account, whose changes are not committed."""
    with engine.connect() as connection:
        add_account(connection)
        yield connection


def add_window(connection: Connection, day: date, report: str, **columns: Any) -> Sequence[str]:
    """Store a window; return the ad products of which it has data."""
    products = products_of(report) if "data_as_of" in columns else ()
    usual = {"expires_at": LATER, "product_totals": {product: {} for product in products}}
    account = get_account(connection, "US.one")
    add_windows(connection, account, [day], DATASET, report, **usual | columns)
    return products


def add_day(connection: Connection, windows: dict[str, Window]) -> None:
    """Store the windows of the day, and a row of each ad product of those that have data."""
    for report, columns in windows.items():
        for product in add_window(connection, DAY, report, **columns):
            row = {"window_date": DAY, "ad_product": product, "campaign_id": "1", "spend": 5}
            store_rows(connection, DATASET, "US.one", row)


def read(connection: Connection, query: str) -> list[dict[str, Any]]:
    """Return the rows of a query."""
    return [dict(row) for row in connection.execute(text(query)).mappings()]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_day_has_one_row(connection: Connection, case: Case) -> None:
    """State and cause are those of the worst report; final and complete go by those served."""
    add_day(connection, case.windows)
    [day] = read(connection, "SELECT * FROM reports.days")
    told = asdict(case) | {"not_served": list(case.not_served)}
    del told["windows"]
    assert told == {name: day[name] for name in told}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rows_say_of_their_day_what_the_day_does(connection: Connection, case: Case) -> None:
    """Rows of Sponsored Products are not final while Display of the day was never loaded.

    `as_of` is that of the row's own report.
    """
    add_day(connection, case.windows)
    own = {
        product: None if "not_served_since" in columns else columns["data_as_of"]
        for report, columns in case.windows.items()
        if "data_as_of" in columns
        for product in products_of(report)
    }
    told = [(product, own[product], case.is_final, case.is_complete) for product in sorted(own)]
    for view in (DATASET, "account_daily_summaries"):
        rows = connection.execute(
            text(f"SELECT ad_product, as_of, is_final, is_complete FROM reports.{view} ORDER BY 1")
        )
        assert told == [tuple(row) for row in rows]
    loads = read(connection, "SELECT is_final, is_complete FROM reports.restatements")
    assert {(case.is_final, case.is_complete)} >= {tuple(load.values()) for load in loads}
    assert bool(loads) == bool(case.as_of)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_report_of_a_day_has_a_row(connection: Connection, case: Case) -> None:
    """`report_days` names what is not served of each report; where all of it is, it has no age."""
    add_day(connection, case.windows)
    rows = read(connection, "SELECT * FROM reports.report_days ORDER BY report")
    assert sorted(case.windows) == [row["report"] for row in rows]
    assert set(case.not_served) == {product for row in rows for product in row["not_served"]}
    for row in rows:
        columns = case.windows[row["report"]]
        as_of = None if "not_served_since" in columns else columns.get("data_as_of")
        is_final = as_of is not None and "next_refresh_at" not in columns
        assert (as_of, is_final) == (row["as_of"], row["is_final"])
        assert set(row["not_served"]) <= set(products_of(row["report"]))


def test_a_join_by_account_dataset_and_day_multiplies_nothing(connection: Connection) -> None:
    """A sum over rows joined with their days is the sum over the rows."""
    add_day(connection, CASES["all final"].windows)
    joined = """SELECT sum(t.spend) AS spend FROM reports.daily_campaigns t
                  JOIN reports.days d USING (account_key, window_date)
                 WHERE d.dataset = 'daily_campaigns'"""
    assert [{"spend": 15}] == read(connection, joined)


def test_days_are_found_by_index(connection: Connection) -> None:
    """Conditions on account, dataset and day reach the windows before these are grouped."""
    add_day(connection, CASES["all final"].windows)
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    explained = connection.execute(
        text("""EXPLAIN SELECT is_complete FROM reports.days
                 WHERE account_key = 'US.one' AND dataset = 'daily_campaigns'
                   AND window_date BETWEEN '2026-03-01' AND '2026-03-31'""")
    ).scalars()
    [condition] = [line for line in explained if "Index Cond" in line and "dataset" in line]
    assert {"account_id", "window_date"} <= set(re.findall(r"\w+", condition))


def test_a_day_that_is_not_served_is_no_zero(connection: Connection) -> None:
    """Daily summaries have a zero for a loaded day without rows, unless it is not served."""
    unproven = FINAL | UNPROVEN | {"status": "not_served", "not_served": [SB]}
    windows = (FINAL, loaded(not_served=[SB]), loaded(not_served=[SP]), unproven)
    for ago, columns in enumerate(windows):
        add_window(connection, DAY - timedelta(days=ago), "SP+SB+SD", **columns)
    rows = read(connection, "SELECT * FROM reports.account_daily_summaries ORDER BY window_date")
    assert [(DAY - timedelta(days=1), SP, 0), (DAY, SP, 0)] == [
        (row["window_date"], row["ad_product"], row["spend"]) for row in rows
    ]


def test_every_dataset_says_whether_a_rows_day_is_complete() -> None:
    """The views with `as_of` and `is_final` of a row have `is_complete` beside them."""
    views = {view.name: [column.name for column in view.columns] for view in REPORT_VIEWS}
    for name, columns in views.items():
        if "is_final" in columns and name != "report_days":
            assert "is_complete" == columns[columns.index("is_final") + 1], name
