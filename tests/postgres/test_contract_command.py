"""The commands on what is overridden of the registry."""

import json

import pytest
from sqlalchemy import Engine, func

from tests.postgres.load_world import LoadWorld
from tests.support.commands import run_command
from tests.support.rows import change_ads_accounts
from tests.support.world import execute, query

CHANGED = ("NA", "daily_products", "history:SB")
OWN = ("NA", "daily_targets", "period:SP+SB+SD")


@pytest.fixture(autouse=True)
def _one_account(monkeypatch: pytest.MonkeyPatch, database_url: str, shelf: LoadWorld) -> None:
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)


def contract(*arguments: str, code: int = 0) -> str:
    """Run a command; return what it printed."""
    return " ".join(run_command("contract", *arguments, code=code).output.split())


def test_overrides_are_set_listed_and_forgotten(engine: Engine) -> None:
    """Each in a session, with who did it; the windows concerned are made again by the next refresh."""
    assert "The registry has no overrides." == contract("list")
    execute(
        engine,
        "INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date)"
        " SELECT account_id, country_code, 'daily_products', 'SB', now() FROM advertiser_accounts",
    )
    change_ads_accounts(engine, planned_at=func.now())
    contract("set", *CHANGED, "60")
    assert [] == query(engine, "SELECT FROM dataset_windows WHERE through_date >= current_date - 1")
    assert [] == query(engine, "SELECT FROM ads_accounts WHERE planned_at IS NOT NULL")
    contract("set", *OWN, "30", "--account", "One")
    listed = contract("list")
    assert "NA daily_products: history:SB 60 (command line, " in listed
    assert "NA daily_targets of one: period:SP+SB+SD 30 (command line, " in listed
    told = json.loads(contract("list", "--json"))
    assert ["60", "30"] == [one["value"] for one in told]
    contract("forget", *OWN, code=2)
    contract("forget", *OWN, "--account", "One")
    contract("forget", *CHANGED)
    assert "The registry has no overrides." == contract("list")
    rows = query(engine, "SELECT payload ->> 'value' AS value FROM session_actions ORDER BY at")
    assert ["60", "30", *["the registry's value"] * 2] == [row["value"] for row in rows]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("NA", "weather", "grouping", "SP"), "expected a dataset"),
        (("NA", "daily_products", "grouping", "SP,SB"), "expected each of SP, SD, SB once"),
        *(
            (("NA", "daily_products", what, "--", days), "expected a number of days, 1 to 9999")
            for what in ("history:SB", "period:SB")
            for days in ("some", "", "0", "-1", "1.5", "007", "10000", "9" * 5_000, "\u0663")
        ),
        (("EU", "daily_products", "history:SB", "9", "--account", "One"), "is in region NA"),
    ],
)
def test_override_that_is_not_possible(
    engine: Engine, arguments: tuple[str, ...], expected: str
) -> None:
    """One line says what is expected, and no session is opened."""
    assert expected in contract("set", *arguments, code=2)
    assert [] == query(engine, "SELECT FROM session_headers")


def test_two_fields_never_have_one_name() -> None:
    """A name that was set for another field of the dataset is refused; its own field may have it."""
    field = ("NA", "daily_targets", "field:metric.clicks")
    contract("set", *field, "metric.charged")
    other = contract("set", "NA", "daily_targets", "field:metric.sales", "metric.charged", code=2)
    assert (
        "expected a name that no other field of daily_targets has, got: 'metric.charged'" in other
    )
    contract("set", "EU", "daily_targets", "field:metric.sales", "metric.charged")
    contract("set", *field, "metric.charged")
