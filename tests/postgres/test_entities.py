"""Entities in the tables: what a sync adds, changes, keeps and sets aside."""

import gzip
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.datasets.digests import digest_of_row
from bidbeacon_pipelines.entities.queries import count_entities
from bidbeacon_pipelines.entities.read import EntityProblems
from bidbeacon_pipelines.entities.sync import store_entities
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.values.decode import iter_values
from tests.support.rows import add_account, add_entities, remove_accounts
from tests.support.world import query

ENTITIES_PAGE = PROJECT_ROOT / "docs" / "reference" / "entities.md"
CAMPAIGN = {"campaignId": "3", "state": "ENABLED", "name": "Shirts"}
OTHER = CAMPAIGN | {"campaignId": "33"}
AD_GROUP = {"adGroupId": "4", "campaignId": "3", "state": "ENABLED"}
TARGET = {"targetId": "6", "adGroupId": "4", "state": "ENABLED", "negative": False}
GONE_LAST = "campaigns ORDER BY gone_since NULLS FIRST"


class Shelf:
    """An account, and entities that are stored for it as a sync does."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.account = add_account(engine)

    def store(
        self, kind: str, *raw: Any, account: Account | None = None
    ) -> tuple[int, EntityProblems]:
        """Write a file of entities and store what is in it; return how many were, and what could not be read."""
        path = self.folder / f"{kind}.json.gz"
        path.write_bytes(gzip.compress(json.dumps(raw).encode()))
        with self.engine.begin() as connection:
            return store_entities(connection, account or self.account, kind, iter_values(path))

    def rows(self, table: str) -> list[Mapping[str, Any]]:
        """Return the rows of a table."""
        return query(self.engine, f"SELECT * FROM {table}")

    def row(self, table: str) -> Mapping[str, Any]:
        """Return the only row of a table."""
        [row] = self.rows(table)
        return row

    def counts(self) -> dict[str, Mapping[str, Any]]:
        """Return what the account has, by kind."""
        with self.engine.begin() as connection:
            return {count["kind"]: count for count in count_entities(connection)}


@pytest.fixture
def shelf(engine: Engine, tmp_path: Path) -> Shelf:
    """Return an account without entities."""
    return Shelf(engine, tmp_path)


def test_entities_of_every_kind_are_stored_exactly(shelf: Shelf) -> None:
    """Amounts keep their digits, ids of 19 digits too, and details are JSON."""
    budget = {"currencyCode": "USD", "amount": 1234567890.123456}
    caps = {"budgetValue": {"monetaryBudget": budget}}
    big = {
        "campaignId": 9007199254740993001,
        "budgetCaps": caps,
        "tags": [{"weight": 0.1}],
        "x": "a\0",
    }
    shelf.store("campaigns", CAMPAIGN | big | {"deliveryReasons": ["A"], "startDate": "2025-01-15"})
    shelf.store("adGroups", AD_GROUP | {"bid": {"defaultBid": 0.005, "currencyCode": "JPY"}})
    shelf.store("ads", {"adId": 5, "adGroupId": 4, "state": "PAUSED", "creative": {"products": []}})
    shelf.store("targets", TARGET | {"targetDetails": {"matchType": "EXACT", "keyword": "dog"}})
    shelf.store("portfolios", {"portfolioId": 1, "state": "ENABLED", "inBudget": False})
    campaign, group, target = (shelf.row(table) for table in ("campaigns", "ad_groups", "targets"))
    assert campaign["campaign_id"] == "9007199254740993001"
    assert campaign["budget"] == Decimal(str(budget["amount"]))
    assert campaign["details"] == {"tags": [{"weight": 0.1}], "x": "a␀"}
    assert (campaign["delivery_reasons"], campaign["start_date"]) == (["A"], date(2025, 1, 15))
    assert (group["default_bid"], group["currency_code"]) == (Decimal("0.005"), "JPY")
    assert bytes(target["match_digest"]) == digest_of_row("EXACT", "Dog")
    assert (shelf.row("ads")["asins"], shelf.row("portfolios")["in_budget"]) == ([], False)


def test_entity_that_comes_again_is_updated(shelf: Shelf) -> None:
    """Every column is as Amazon sent it last, also one that it no longer sends."""
    shelf.store("campaigns", CAMPAIGN | {"endDate": "2026-01-01", "tags": ["x"]})
    shelf.store("campaigns", CAMPAIGN | {"state": "ARCHIVED"})
    row = shelf.row("campaigns")
    assert (row["state"], row["end_date"], row["details"]) == ("ARCHIVED", None, {})


def test_entity_that_no_longer_comes_keeps_its_row(shelf: Shelf) -> None:
    """`seen_at` says when it came last; an export without it may be a fault of Amazon's."""
    shelf.store("campaigns", CAMPAIGN, OTHER)
    first = shelf.rows("campaigns")[0]["seen_at"]
    shelf.store("campaigns", OTHER)
    seen = {row["campaign_id"]: row["seen_at"] for row in shelf.rows("campaigns")}
    assert (seen["3"], seen["33"] > first) == (first, True)
    count = shelf.counts()["campaigns"]
    assert (count["stored"], count["gone"], count["seen_at"]) == (2, 0, seen["33"])


def test_entity_is_gone_when_two_exports_in_a_row_lack_it(shelf: Shelf) -> None:
    """It stays as Amazon sent it last; the second export is when it went, however many follow."""
    shelf.store("campaigns", CAMPAIGN, OTHER)
    for _ in range(2):
        shelf.store("campaigns", OTHER)
    gone_since = shelf.counts()["campaigns"]["seen_at"]
    shelf.store("campaigns", OTHER)
    gone = {row["campaign_id"]: (row["state"], row["gone_since"]) for row in shelf.rows(GONE_LAST)}
    assert {"33": ("ENABLED", None), "3": ("ENABLED", gone_since)} == gone
    assert (2, 1) == (shelf.counts()["campaigns"]["stored"], shelf.counts()["campaigns"]["gone"])


def test_entity_that_comes_back_exists(shelf: Shelf) -> None:
    """It takes two exports again until it is gone."""
    for raw in ([CAMPAIGN, OTHER], [OTHER], [OTHER], [CAMPAIGN, OTHER], [OTHER]):
        shelf.store("campaigns", *raw)
    assert 0 == shelf.counts()["campaigns"]["gone"]
    assert [None, None] == [row["gone_since"] for row in shelf.rows("campaigns")]


def test_only_exports_of_its_kind_and_account_make_an_entity_gone(shelf: Shelf) -> None:
    """Two of another kind, or of another country, say nothing about it."""
    other = add_account(shelf.engine, "CA")
    shelf.store("campaigns", CAMPAIGN)
    for _ in range(2):
        shelf.store("targets", TARGET)
        shelf.store("campaigns", OTHER, account=other)
    assert [None, None] == [row["gone_since"] for row in shelf.rows("campaigns")]


def test_entity_that_was_set_aside_is_not_gone(shelf: Shelf) -> None:
    """Amazon sent it. Where its id can't be read, it may be any: then no other one is missing."""
    shelf.store("campaigns", CAMPAIGN, OTHER)
    for unreadable in (CAMPAIGN | {"state": None}, {"state": "ENABLED"}):
        for _ in range(2):
            shelf.store("campaigns", OTHER, unreadable)
        assert 0 == shelf.counts()["campaigns"]["gone"]


def test_gone_target_leaves_its_name_to_one_that_exists(shelf: Shelf) -> None:
    """Even to one that is archived; a name that no existing target has stays with the gone one."""
    keyword = {"targetDetails": {"matchType": "EXACT", "keyword": "dog"}}
    first, later = TARGET | keyword, TARGET | keyword | {"targetId": "7", "state": "ARCHIVED"}
    named = []
    for raw in ([first], [first, later], [later], [later], []):
        shelf.store("targets", *raw)
        named.append(shelf.row("target_names")["target_id"])
    assert ["6", "6", "6", "7", "7"] == named


def test_entity_that_comes_twice_in_a_file_is_stored_once(shelf: Shelf) -> None:
    """The key is unique."""
    assert 1 == shelf.store("campaigns", CAMPAIGN, CAMPAIGN)[0]
    assert len(shelf.rows("campaigns")) == 1


def test_bad_entity_is_set_aside_with_its_cause_and_the_others_are_stored(shelf: Shelf) -> None:
    """They are counted, and the first cause is known."""
    bad = {"campaignId": None, "name": "\0", "state": "ENABLED"}
    rows, read = shelf.store(
        "campaigns", CAMPAIGN, None, bad, CAMPAIGN | {"campaignId": 7, "startDate": "soon"}
    )
    assert (rows, read.set_aside, read.incomplete) == (2, 2, 1)
    assert read.first_cause == cause("row-unreadable", detail={"got": "nothing"})
    problems = _, nameless, undated = shelf.rows("entity_problems")
    assert [True, True, False] == [problem["set_aside"] for problem in problems]
    assert "campaignId" == nameless["cause"]["field"]
    assert json.loads(nameless["raw"]) == bad | {"name": "␀"}
    assert "7" == undated["entity_id"]
    expected = "startDate: expected a date YYYY-MM-DD, got: 'soon'."
    assert expected == explain(undated["cause"]).sentence
    assert shelf.counts()["campaigns"]["set_aside"] == 2


def test_problems_are_those_of_the_last_sync_of_their_kind(shelf: Shelf) -> None:
    """What is read now is no problem any longer; other kinds keep theirs."""
    shelf.store("campaigns", {}, CAMPAIGN)
    shelf.store("ads", {})
    shelf.store("campaigns", CAMPAIGN)
    assert {"ads"} == {problem["kind"] for problem in shelf.rows("entity_problems")}


def test_bad_entity_leaves_the_row_of_an_earlier_sync(shelf: Shelf) -> None:
    """It stays as it was."""
    shelf.store("targets", TARGET)
    shelf.store("targets", TARGET | {"negative": "perhaps", "state": "PAUSED"})
    assert shelf.row("targets")["state"] == "ENABLED"


@pytest.mark.parametrize(
    ("kind", "entity"),
    [("targets", TARGET), ("ads", {"adId": "5", "adGroupId": "4", "state": "ENABLED"})],
)
def test_campaign_follows_from_the_ad_group(
    shelf: Shelf, kind: str, entity: dict[str, Any]
) -> None:
    """Amazon promises it for targets of a campaign only."""
    shelf.store("adGroups", AD_GROUP)
    shelf.store(kind, entity)
    assert shelf.row(kind)["campaign_id"] == "3"


def test_database_refuses_a_target_that_belongs_nowhere(shelf: Shelf) -> None:
    """Neither ad group nor campaign."""
    row = {"target_id": "6", "state": "ENABLED", "negative": False}
    with pytest.raises(IntegrityError, match="belongs_somewhere"):
        add_entities(shelf.engine, shelf.account, "targets", row)


def test_counts_have_a_line_for_each_kind_that_was_synced(shelf: Shelf) -> None:
    """In the order in which they depend on each other."""
    for kind, entity in (("targets", TARGET), ("campaigns", CAMPAIGN), ("portfolios", {})):
        shelf.store(kind, entity)
    assert ["campaigns", "targets"] == list(shelf.counts())
    assert isinstance(shelf.counts()["targets"]["seen_at"], datetime)


@pytest.mark.parametrize(
    "statement", re.findall(r"```sql\n(.*?)```", ENTITIES_PAGE.read_text(), re.DOTALL)
)
def test_queries_of_the_page_run(shelf: Shelf, statement: str) -> None:
    """docs/reference/entities.md has what people can copy, and each query finds something."""
    shelf.store("targets", TARGET)
    for _ in range(2):
        shelf.store("targets", TARGET | {"targetId": "7"})
    budget = {"recurrenceTimePeriod": "DAILY", "budgetValue": {"monetaryBudget": {"amount": 5}}}
    shelf.store(
        "campaigns", CAMPAIGN | {"deliveryStatus": "NOT_DELIVERING", "budgetCaps": budget}, {}
    )
    products = {"products": [{"productId": "B0EXAMPLE1"}]}
    ad = {"adId": "5", "campaignId": "3", "state": "ENABLED", "adProduct": "SPONSORED_BRANDS"}
    shelf.store("ads", ad | {"creative": products})
    for query_text in filter(str.strip, statement.split(";")):
        assert query(shelf.engine, query_text)


def test_account_with_entities_is_not_deleted(shelf: Shelf) -> None:
    """Entities without an account would be lost to everybody."""
    shelf.store("campaigns", CAMPAIGN)
    with pytest.raises(IntegrityError):
        remove_accounts(shelf.engine)
