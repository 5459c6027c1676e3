"""The questions of docs/analysis.md: each query runs as it stands there, as the analysts' role, and its answer is checked."""

import re
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from bidbeacon_pipelines.summaries.frames import read_frame
from tests.postgres.analysis_world import (
    BRAND,
    CHEAP,
    DOG,
    RETARGETING,
    SHIRTS,
    SHIRTS_DE,
    AnalysisWorld,
)

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
DAY = timedelta(days=1)
PAGE = (PROJECT_ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
QUERIES = {
    int(number): query
    for number, query in re.findall(
        r"^## (\d+)\. .+?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL
    )
}


def amount(text: str) -> Decimal:
    """Return an exact amount."""
    return Decimal(text)


def answers(today: date) -> dict[int, list[tuple[Any, ...]]]:
    """Return the answer to each question about the world, computed by hand."""
    now = datetime.combine(today, time(), UTC)  # when all of it was requested
    return {
        1: [
            ("DE", SP, 14, "EUR", amount("6.5"), amount("20.5"), amount("0.3171"), now, False),
            ("US", SB, 14, "USD", amount("20"), amount("100"), amount("0.2"), now, False),
            ("US", SD, 14, "USD", amount("8"), amount("0"), None, now, False),
            ("US", SP, 7, "USD", amount("31"), amount("120"), amount("0.2583"), now, False),
        ],
        2: [
            ("One", "US", RETARGETING, SD, amount("8"), "USD", None, False),
            ("One", "DE", SHIRTS_DE, SP, amount("6.5"), "EUR", amount("0.3171"), False),
            ("One", "US", SHIRTS, SP, amount("31"), "USD", amount("0.2583"), False),
            ("One", "US", BRAND, SB, amount("20"), "USD", amount("0.2"), False),
        ],
        3: [
            (SB, "USD", amount("25"), amount("100"), amount("0.25"), False),
            (SD, "USD", amount("0"), amount("0"), None, False),
            (SP, "EUR", None, amount("20.5"), None, False),
            (SP, "USD", None, amount("120"), None, False),
        ],
        4: [("US", SHIRTS, "cheap dog shirt", 6, amount("3"), "USD", True)],
        5: [
            (SB, "TOP_OF_SEARCH", "USD", *map(amount, ("20", "0.005", "0.8", "0.2")), True),
            (SP, "TOP_OF_SEARCH", "USD", *map(amount, ("15", "0.02", "0.75", "0.3")), True),
            (SP, "PRODUCT_PAGE", "USD", *map(amount, ("5", "0.01", "0.25", "0.1667")), True),
        ],
        6: [
            (9, "USD", 12, amount("6"), amount("30"), amount("5"), now),
            (21, "USD", 8, amount("4"), amount("0"), amount("0"), now),
        ],
        7: [(DOG, CHEAP, "US", 1, amount("10"), "USD", False)],
        8: [
            (DOG, "DOG-M", "USD", *map(amount, ("20", "80", "0.25")), False),
            ("ads without a product", None, "USD", *map(amount, ("19", "100", "0.19")), False),
        ],
        9: [("US", SHIRTS, "dog shirt xxl", "EXACT", today - 3 * DAY, amount("4"), "USD", now)],
        10: [("US", SHIRTS, today - 2 * DAY, *map(amount, ("15", "15", "1")), False)],
        11: [("DE", today - 2 * DAY, SP, 2, 2, amount("0"), amount("12.5"), "EUR", now, False)],
        12: [("EUR", 0, 1, None, None), ("USD", 1, 0, amount("6"), amount("5"))],
    }


@pytest.fixture
def today(engine: Engine) -> date:
    """The day that the database calls today."""
    with engine.begin() as connection:
        return connection.execute(text("SELECT current_date")).scalar_one()  # type: ignore[no-any-return]


@pytest.fixture
def analysts(engine: Engine, database_url: str, today: date, tmp_path: Path) -> Iterator[Engine]:
    """Yield the connections of the role that the document creates, to the database of a small world."""
    AnalysisWorld(engine, tmp_path, today).fill()
    [grants] = [
        block
        for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
        if "CREATE ROLE" in block
    ]
    name, password = f"analyst_{secrets.token_hex(4)}", secrets.token_hex(8)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            grants.replace("analyst", name).replace("a-long-random-text", password)
        )
    url = (
        make_url(database_url)
        .set(username=name, password=password)
        .render_as_string(hide_password=False)
    )
    analysts = make_engine(url, pool_size=1)
    yield analysts
    analysts.dispose()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")


@pytest.fixture
def ask(analysts: Engine) -> Callable[[str], list[tuple[Any, ...]]]:
    """Return a function that asks as the analysts' role."""

    def answer(query: str) -> list[tuple[Any, ...]]:
        with analysts.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    return answer


def test_every_question_is_answered(
    ask: Callable[[str], list[tuple[Any, ...]]], today: date
) -> None:
    """Each answer is what was computed by hand."""
    expected = answers(today)
    assert expected.keys() == QUERIES.keys()
    assert {number: ask(query) for number, query in QUERIES.items()} == expected


def test_analysts_see_the_views_only(
    ask: Callable[[str], list[tuple[Any, ...]]], engine: Engine
) -> None:
    """Their role reads every view, no table, and changes nothing."""
    with engine.begin() as connection:
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


def test_the_notebook_finds_the_hole_and_compares_nothing_with_it(
    analysts: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs as the analysts' role; no account has all 14 days, so none is compared."""
    url = analysts.url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", url)
    get_settings.cache_clear()
    [notebook] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(notebook, "docs/analysis.md", "exec"), names)
    [hole] = names["holes"].to_dict("records")
    assert ("DE.one", names["last"], "failed") == (
        *(hole["account_key"], hole["window_date"]),
        hole["state"],
    )
    assert Decimal(6) == names["by_day"].loc[names["last"], ("US.one", "USD")]
    assert names["weeks"].empty


def test_a_frame_is_typed_with_and_without_rows(analysts: Engine, today: date) -> None:
    """Money is exact, ids are strings, days are dates, instants are in UTC; a frame without rows has the same dtypes."""
    days = today - 3 * DAY, today - DAY
    for dataset in ("daily_campaigns", "hourly_campaigns", "account_daily_summaries", "days"):
        frame = read_frame(dataset, ["US.one"], days, engine=analysts)
        empty = read_frame(dataset, ["US.one"], (date(2020, 1, 1),) * 2, engine=analysts)
        assert (len(frame) > 0, len(empty)) == (True, 0)
        assert frame.dtypes.to_dict() == empty.dtypes.to_dict()
    frame = read_frame("daily_campaigns", ["US.one"], days, engine=analysts)
    assert {"string"} == {str(frame[name].dtype) for name in ("campaign_id", "account_key")}
    assert "datetime64[us, UTC]" == frame["as_of"].dtype
    assert ("Int64", "boolean") == (frame["clicks"].dtype, frame["is_final"].dtype)
    assert [today - 3 * DAY, *[today - 2 * DAY] * 3, today - DAY] == frame["window_date"].tolist()
    assert Decimal(54) == frame["spend"].sum()
    assert {Decimal} == {type(spend) for spend in frame["spend"]}
    everybody = read_frame("daily_campaigns", None, days, engine=analysts)
    assert {"US.one", "DE.one"} == set(everybody["account_key"])


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
