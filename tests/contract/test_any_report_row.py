"""Whatever rows Amazon's catalogue allows, each is stored with its values, set aside with its cause, or counted as another's."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.loading.rows import RequestedAccount, RowCheck
from bidbeacon_pipelines.loading.staging import RowCounter, stage_report
from tests.contract.answers import MADE_QUICKLY
from tests.contract.catalogue import needs_documents
from tests.contract.spellings import COUNTRY, DAY, OTHER_DAY, TIME_ZONE, Row, rows
from tests.support.report_rows import to_json

pytestmark = needs_documents

few = settings(MADE_QUICKLY, max_examples=MADE_QUICKLY.max_examples // 10)


@pytest.fixture(name="rows_engine", scope="module")
def _rows_engine(shared_database_url: str) -> Iterator[Engine]:
    engine = make_engine(shared_database_url)
    yield engine
    engine.dispose()


@pytest.fixture(name="part", scope="module")
def _part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "part.json.gz"


@pytest.mark.parametrize("dataset", ALL_DATASETS, ids=lambda dataset: dataset.name)
@few
@given(data=st.data())
def test_every_row_is_stored_or_set_aside_or_counted(
    dataset: Dataset, rows_engine: Engine, part: Path, data: st.DataObject
) -> None:
    """Those that come are those that are good, bad or other; good ones have the values that came, bad ones name their field."""
    ad_products = data.draw(st.sampled_from(dataset.groups))
    report = data.draw(st.lists(rows(dataset, ad_products), min_size=1, max_size=8))
    for number, row in enumerate(report):
        with_own_key(row, number)
    part.write_bytes(gzip.compress(to_json([row.values for row in report]).encode()))

    account = RequestedAccount(1, COUNTRY, TIME_ZONE, frozenset([DAY]))
    period = (OTHER_DAY, DAY)
    check = RowCheck(
        dataset, [account], ad_products=ad_products, period=period, has_one_country=False
    )
    with rows_engine.connect() as connection:
        counter = stage_report(connection, dataset, check, [part])
        are_counted(report, counter)
        are_stored([row for row in report if not row.fault and not row.is_other], connection)
        are_set_aside(report, connection)


def with_own_key(row: Row, number: int) -> None:
    """Give a row a campaign of its own, as a number or as text as it is, so that no two of them are summed."""
    if row.fault == "campaign.id":
        return
    id_ = 9_007_199_254_740_993 + number
    is_number = isinstance(row.values["campaign.id"], int)
    row.values["campaign.id"] = id_ if is_number else str(id_)
    row.stored["campaign_id"] = str(id_)


def are_counted(report: list[Row], counter: RowCounter) -> None:
    """Assert that the counts of rows are right."""
    bad, others = (sum(some.values()) for some in (counter.bad, counter.others))
    assert len(report) == counter.total
    assert (sum(row.fault is not None for row in report), sum(row.is_other for row in report)) == (
        bad,
        others,
    )


def are_stored(good: list[Row], connection: Connection) -> None:
    """Assert that the stage has exactly these rows, with these values."""
    staged = connection.execute(text("SELECT * FROM report_rows")).mappings()
    found = {row["campaign_id"]: row for row in staged}
    assert {row.stored["campaign_id"] for row in good} == found.keys()
    for row in good:
        one = found[row.stored["campaign_id"]]
        assert row.stored == {column: one[column] for column in row.stored}


def are_set_aside(report: list[Row], connection: Connection) -> None:
    """Assert that the stage has each bad row as it came, with the field at fault."""
    staged = connection.execute(text("SELECT row_number, cause, raw FROM report_bad"))
    found = {number: (cause["field"], json.loads(raw).keys()) for number, cause, raw in staged}
    assert {
        number: (row.fault, row.values.keys()) for number, row in enumerate(report) if row.fault
    } == found
