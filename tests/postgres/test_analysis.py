"""The questions of docs/analysis.md: each query runs as it stands there, as the analysts' role, and its answer is checked."""

import re
import secrets
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.settings import PROJECT_ROOT
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
    return {
        1: [
            ("DE", SP, 14, "EUR", amount("2.5"), amount("12.5"), amount("0.2")),
            ("US", SB, 14, "USD", amount("20"), amount("100"), amount("0.2")),
            ("US", SD, 14, "USD", amount("8"), amount("0"), None),
            ("US", SP, 7, "USD", amount("20"), amount("80"), amount("0.25")),
        ],
        2: [
            ("One", "US", RETARGETING, SD, amount("8"), "USD", None),
            ("One", "US", SHIRTS, SP, amount("20"), "USD", amount("0.25")),
            ("One", "US", BRAND, SB, amount("20"), "USD", amount("0.2")),
            ("One", "DE", SHIRTS_DE, SP, amount("2.5"), "EUR", amount("0.2")),
        ],
        3: [
            (SB, "USD", amount("25"), amount("100"), amount("0.25")),
            (SD, "USD", amount("0"), amount("0"), None),
            (SP, "EUR", None, amount("12.5"), None),
            (SP, "USD", None, amount("80"), None),
        ],
        4: [("US", SHIRTS, "cheap dog shirt", 6, amount("3"), "USD")],
        5: [
            (
                SB,
                "TOP_OF_SEARCH",
                "USD",
                amount("20"),
                amount("0.005"),
                amount("0.8"),
                amount("0.2"),
            ),
            (
                SP,
                "TOP_OF_SEARCH",
                "USD",
                amount("15"),
                amount("0.02"),
                amount("0.75"),
                amount("0.3"),
            ),
            (
                SP,
                "PRODUCT_PAGE",
                "USD",
                amount("5"),
                amount("0.01"),
                amount("0.25"),
                amount("0.1667"),
            ),
        ],
        6: [
            (9, "USD", 12, amount("6"), amount("30"), amount("5")),
            (21, "USD", 8, amount("4"), amount("0"), amount("0")),
        ],
        7: [(DOG, CHEAP, "US", 1, amount("10"), "USD")],
        8: [
            (DOG, "DOG-M", "USD", amount("20"), amount("80"), amount("0.25")),
            ("ads without a product", None, "USD", amount("19"), amount("100"), amount("0.19")),
        ],
        10: [("US", SHIRTS, today - timedelta(days=2), amount("15"), amount("15"), amount("1"))],
        11: [
            (
                "DE",
                today - timedelta(days=2),
                "SPONSORED_PRODUCTS",
                2,
                2,
                amount("0"),
                amount("12.5"),
                "EUR",
            )
        ],
        9: [
            ("US", SHIRTS, "dog shirt xxl", "EXACT", today - timedelta(days=3), amount("4"), "USD")
        ],
    }


@pytest.fixture
def today(engine: Engine) -> date:
    """The day that the database calls today."""
    with engine.begin() as connection:
        return connection.execute(text("SELECT current_date")).scalar_one()  # type: ignore[no-any-return]


@pytest.fixture
def ask(
    engine: Engine, database_url: str, today: date, tmp_path: Path
) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Return a function that asks, about a small world, as the role that the document creates."""
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

    def answer(query: str) -> list[tuple[Any, ...]]:
        with analysts.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    yield answer
    analysts.dispose()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")


def test_every_question_is_answered(
    ask: Callable[[str], list[tuple[Any, ...]]], today: date
) -> None:
    """Each answer is what was computed by hand; there are ten questions at least."""
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
