"""How many bad rows are kept: all that a replay may need, and of a refused report enough to look at."""

from datetime import timedelta

import pytest

from bidbeacon_pipelines.loading import load_queries as loads
from bidbeacon_pipelines.loading.load_queries import MOST_ROWS_OF_A_REFUSED_WINDOW
from tests.postgres.load_world import DAY, LoadWorld, many_rows, report_row
from tests.support.reading import tuples

MANY = MOST_ROWS_OF_A_REFUSED_WINDOW + 50
NEXT_DAY = DAY + timedelta(days=1)


def test_of_a_refused_window_a_thousand_rows_are_kept_and_all_are_counted(shelf: LoadWorld) -> None:
    """The first ones of the file; cause and result tell how many there were."""
    result = shelf.load([report_row(clicks=-1)] * MANY)
    kept = tuples(shelf.engine, "SELECT count(*), max(row_number) + 1 FROM quarantined_rows")
    assert [(MOST_ROWS_OF_A_REFUSED_WINDOW, MOST_ROWS_OF_A_REFUSED_WINDOW)] == kept
    assert result.quarantined == MANY
    assert MANY == (shelf.window().cause or {})["detail"]["bad"]


def test_of_a_loaded_window_every_row_is_kept(
    shelf: LoadWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each can be replayed, also one whose day can't be read; of the refused window of the same report only the first are kept."""
    monkeypatch.setattr(loads, "MOST_ROWS_OF_A_REFUSED_WINDOW", 2)
    undated = [report_row() | {"date.value": "someday"}] * 3
    refused = [report_row(day=NEXT_DAY, clicks=-1)] * 3
    result = shelf.load(
        [*many_rows(400), *[report_row(clicks=-1)] * 4, *undated, *refused], days=[DAY, NEXT_DAY]
    )
    assert ([DAY], [NEXT_DAY]) == (result.loaded, list(result.refused))
    kept = "SELECT window_date, count(*) FROM quarantined_rows GROUP BY window_date"
    assert {DAY: 4, NEXT_DAY: 2, None: 3} == dict(tuples(shelf.engine, kept))
    assert result.quarantined == 10


@pytest.mark.parametrize("gone", [True, False])
def test_a_report_that_is_not_accepted_releases_no_row_of_the_data_that_stays(
    shelf: LoadWorld, *, gone: bool
) -> None:
    """Whether it is suspicious or refused; bad rows of such reports replace each other, and a report that is taken replaces all."""
    bad, undated = [report_row(clicks=-1)], report_row(day="someday")
    shelf.load([*many_rows(398), *bad * 4, undated])
    lost = [[], many_rows(1)]
    for age in (2, 3):
        report = lost[age - 2] if gone else [*many_rows(398), *bad * 30, undated]
        assert [] == shelf.load(report, age=age).loaded
        kept = shelf.query("SELECT request_id, window_date FROM quarantined_rows ORDER BY id")
        first = [row["window_date"] for row in kept if row["request_id"] == kept[0]["request_id"]]
        assert [DAY, DAY, DAY, DAY, None] == first
        assert (5 if gone else 36, 4) == (len(kept), shelf.window().quarantined_count)
    assert [DAY] == shelf.load(many_rows(398), age=4).loaded
    assert [] == shelf.query("SELECT * FROM quarantined_rows")
