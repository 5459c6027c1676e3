"""The questions of docs/how-to/answer-business-questions.md, asked by the analysts' role.

The accounts have three currencies, and lack some days. One is stopped: its newest days have no
windows.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from bidbeacon_pipelines.views.frames import read_frame
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.analysis_answers import Answers, group, total
from tests.postgres.analysis_reports import SB, SD, Reports, load_reports
from tests.support.rows import add_account, add_windows, as_loaded, change_windows, days_until

DAY = timedelta(days=1)
Ask = Callable[[str], list[tuple[Any, ...]]]
PAGE = (PROJECT_ROOT / "docs" / "how-to" / "answer-business-questions.md").read_text(
    encoding="utf-8"
)
FLAGS = re.MULTILINE | re.DOTALL
QUERIES = {
    int(number): query
    for number, query in re.findall(r"^## (\d+)\. .+?```sql\n(.*?)```", PAGE, FLAGS)
}
[WEEKS] = re.findall(r"^## How did the last week .+?```sql\n(.*?)```", PAGE, FLAGS)
DAY_VIEWS = ("days", "report_days")
RANKINGS = (2, 4, 7, 8, 9, 11)
"""The questions that ask for the first of each currency."""


@pytest.fixture(scope="module")
def owner(shared_database_url: str) -> Iterator[Engine]:
    """Yield the connections of the tables' owner."""
    engine = make_engine(shared_database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def today(owner: Engine) -> date:
    """The day that the database calls today."""
    with owner.begin() as connection:
        return connection.execute(text("SELECT current_date")).scalar_one()  # type: ignore[no-any-return] # a date


@pytest.fixture(scope="module")
def filled(owner: Engine, today: date, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Return the reports that are loaded."""
    return load_reports(owner, tmp_path_factory.mktemp("reports"), today)


@pytest.fixture(scope="module")
def analysts(owner: Engine, filled: Reports) -> Iterator[Engine]:
    """Yield the connections of the role that the document creates."""
    [grants] = [
        block
        for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
        if "CREATE ROLE" in block
    ]
    name, password = f"analyst_{secrets.token_hex(4)}", secrets.token_hex(8)
    with owner.begin() as connection:
        connection.exec_driver_sql(
            grants.replace("analyst", name).replace("a-long-random-text", password)
        )
    url = owner.url.set(username=name, password=password).render_as_string(hide_password=False)
    analysts = make_engine(url, pool_size=1)
    yield analysts
    analysts.dispose()
    with owner.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")


@pytest.fixture(scope="module")
def ask(analysts: Engine) -> Ask:
    """Return a function that asks as the analysts' role."""

    def answer(query: str) -> list[tuple[Any, ...]]:
        with analysts.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    return answer


def test_every_question_is_answered(ask: Ask, filled: Reports) -> None:
    """Each answer is what Python computes from the loaded rows; a ranking has the places of each currency in order."""
    expected = Answers(filled).all()
    assert expected.keys() == QUERIES.keys()
    for number, query in QUERIES.items():
        answer = ask(query)
        assert sorted(expected[number], key=_texts) == sorted(answer, key=_texts), number
        if number in RANKINGS:
            places = [row[:2] for row in answer]
            assert sorted(places) == places, number


def _texts(row: tuple[Any, ...]) -> list[str]:
    return [str(value) for value in row if isinstance(value, (str, date)) or value is None]


def test_two_weeks_are_compared_by_equal_sets_of_days(ask: Ask, filled: Reports) -> None:
    """A day that one of the weeks lacks is left out of both."""
    answer = ask(WEEKS)
    assert Answers(filled).weeks() == answer
    compared = {row[0]: row[2] for row in answer}
    assert {"DE.two": 6, "FR.three": 6, "JP.four": 6, "US.one": 7} == compared


@pytest.mark.parametrize("other_day", [None, 3, 8])
def test_a_complete_day_without_rows_counts_as_zero(
    owner: Engine, filled: Reports, today: date, other_day: int | None
) -> None:
    """An account whose only rows would be of Brands has none: it spent nothing.

    Days are compared only where the same ad products are not served.
    """
    with owner.connect() as connection:
        account = add_account(connection, "CA", "amzn1.six", currency_code="USD")
        days, loaded = days_until(today - DAY, 14), as_loaded(filled.as_of)
        ended = {"status": "not_served", "not_served_since": filled.as_of}
        add_windows(connection, account, days, "daily_campaigns", "SP", **ended)
        loaded["product_totals"] = {SB: {}, SD: {}}
        add_windows(connection, account, days, "daily_campaigns", "SB+SD", **loaded)
        if other_day is not None:
            is_other = ReportWindow.window_date == today - other_day * DAY
            change_windows(connection, is_other, ReportWindow.report == "SB+SD", not_served=[SD])
        weeks = {row[0]: tuple(row[1:]) for row in connection.execute(text(WEEKS))}
        yesterday = {row[0]: tuple(row[1:]) for row in connection.execute(text(QUERIES[12]))}
    assert ("USD", 7 if other_day is None else 6, 0, 0) == weeks["CA.six"]
    assert ((2, 0) if other_day != 8 else (1, 1)) == yesterday["USD"][:2]


@pytest.mark.usefixtures("filled")
def test_a_comparison_without_any_row_is_of_zeros(owner: Engine) -> None:
    """Only where no account is compared, the sums are null."""
    with owner.connect() as connection:
        connection.execute(text("DELETE FROM daily_campaigns"))
        change_windows(connection, product_totals={})
        answer = {row[0]: tuple(row[1:]) for row in connection.execute(text(QUERIES[12]))}
    assert {"EUR": (1, 2, 0, 0), "JPY": (0, 1, None, None), "USD": (1, 0, 0, 0)} == answer


def test_missing_days_are_listed_with_their_reason(ask: Ask, today: date) -> None:
    """A report of each failed, expired or is still to come; what is not served is not missing.

    Days of the stopped account after its last refresh have no row, as the document says.
    """
    [query] = re.findall(r"^## Which days are missing\?\n.+?```sql\n(.*?)```", PAGE, FLAGS)
    of_campaigns = [row for row in ask(query) if row[1] in {"daily_campaigns", "daily_products"}]
    assert [
        ("DE.two", "daily_campaigns", today - 1 * DAY, "failed", "report-failed"),
        ("DE.two", "daily_products", today - 4 * DAY, "missing", None),
        ("FR.three", "daily_campaigns", today - 10 * DAY, "expired", "expired"),
        ("JP.four", "daily_campaigns", today - 8 * DAY, "missing", None),
    ] == of_campaigns
    assert "Days after an account's last refresh have no row yet" in PAGE
    assert ("FR.three", 5) in [(row[0], (today - row[2]).days) for row in ask(query)]
    assert ("JP.four", 6) not in [(row[0], (today - row[2]).days) for row in ask(query)]


def test_analysts_see_the_views_only(ask: Ask, owner: Engine) -> None:
    """Their role reads every view, no table, and changes nothing."""
    with owner.begin() as connection:
        found = text(
            "SELECT c.relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('public', 'reports') AND relkind IN ('r', 'p', 'v')"
        )
        names = [tuple(row) for row in connection.execute(found)]
    assert len(names) > 30
    for name, schema in names:
        if schema == "reports":
            ask(f"SELECT * FROM reports.{name} LIMIT 1")
        else:
            with pytest.raises(ProgrammingError) as refused:
                ask(f"SELECT 1 FROM public.{name}")
            assert isinstance(refused.value.orig, InsufficientPrivilege)


def test_the_notebook_finds_holes_and_compares_nothing_with_them(
    analysts: Engine, filled: Reports, today: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs as the analysts' role; only the account with all 14 days is compared."""
    url = analysts.url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", url)
    get_settings.cache_clear()
    [notebook] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(notebook, "docs/how-to/answer-business-questions.md", "exec"), names)
    assert [
        ("DE.two", today - DAY),
        ("FR.three", today - 10 * DAY),
        ("JP.four", today - 8 * DAY),
    ] == [(hole["account_key"], hole["window_date"]) for hole in names["holes"].to_dict("records")]
    of_us = group(filled.rows_of("daily_campaigns", "US"), "window_date")
    spent = {day: total(rows, "spend") for (day,), rows in of_us}
    assert spent[today - DAY] == names["by_day"].loc[today - DAY, ("US.one", "USD")]
    weeks = names["weeks"]
    assert [("US.one", "USD")] == weeks.index.tolist()
    for is_recent, last in ((False, today - 8 * DAY), (True, today - DAY)):
        week = sum(spent[day] or 0 for day in days_until(last, 7))
        assert week == weeks.loc[("US.one", "USD"), is_recent]


def test_a_frame_is_typed_with_and_without_rows(
    analysts: Engine, filled: Reports, today: date
) -> None:
    """Money is exact, ids are strings, days are dates, instants are in UTC; a frame without rows has the same dtypes."""
    days = today - 3 * DAY, today - DAY
    for dataset in ("daily_campaigns", "hourly_campaigns", "account_daily_summaries", *DAY_VIEWS):
        frame = read_frame(dataset, ["US.one"], days, engine=analysts)
        empty = read_frame(dataset, ["US.one"], (date(2020, 1, 1),) * 2, engine=analysts)
        assert (len(frame) > 0, len(empty)) == (True, 0)
        assert frame.dtypes.to_dict() == empty.dtypes.to_dict()
    frame = read_frame("daily_campaigns", ["US.one"], days, engine=analysts)
    assert {"string"} == {str(frame[name].dtype) for name in ("campaign_id", "account_key")}
    dtypes = [str(frame[name].dtype) for name in ("as_of", "clicks", "is_complete")]
    assert ["datetime64[us, UTC]", "Int64", "boolean"] == dtypes
    of_us = filled.rows_of("daily_campaigns", "US")
    loaded = [row for row in of_us if days[0] <= row["window_date"] <= days[1]]
    assert sorted(row["window_date"] for row in loaded) == frame["window_date"].tolist()
    assert total(loaded, "spend") == frame["spend"].sum()
    assert {Decimal} == {type(spend) for spend in frame["spend"]}
    everybody = read_frame("daily_campaigns", None, days, engine=analysts)
    assert {"US.one", "DE.two", "FR.three", "JP.four"} == set(everybody["account_key"])


@pytest.mark.parametrize(
    ("dataset", "accounts", "back", "error"),
    [
        ("daily_typos", None, 0, UnknownDatasetError),
        ("campaigns", None, 0, UnknownDatasetError),
        ("daily_campaigns", ["US.two"], 0, UnknownAccountError),
        ("daily_campaigns", None, 1, ValueError),
    ],
)
def test_a_frame_that_cannot_be_read_says_why(
    analysts: Engine,
    today: date,
    dataset: str,
    accounts: list[str] | None,
    back: int,
    error: type[Exception],
) -> None:
    """A typo is no frame without rows."""
    with pytest.raises(error, match=r"expected|No account"):
        read_frame(dataset, accounts, (today, today - back * DAY), engine=analysts)
