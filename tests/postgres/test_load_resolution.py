"""Rows of targets that nobody knew when they came, and what becomes of them once an export names the target."""

from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS
from tests.postgres.load_world import LoadWorld, report_row, target
from tests.support.report_rows import with_target_ids

LATE = "4100"


def test_rows_have_their_target_once_it_is_known(shelf: LoadWorld) -> None:
    """Days and hours at once; nothing is written, and the next report agrees. The window says what was unknown at the load."""
    day, hours = [report_row("late deal")], [report_row("late deal") | {"hour.value": 3}]
    shelf.load(day)
    shelf.load(hours, dataset=HOURLY_TARGETS)
    written = "SELECT xmin, row_key, spend FROM daily_targets"
    before = shelf.query(written)
    assert (None, 1) == (shelf.row()["target_id"], shelf.window().unresolved_count)
    shelf.add_targets(target(LATE, keyword="late deal"))
    [hour] = shelf.query(f"SELECT target_id FROM {with_target_ids(HOURLY_TARGETS)}")
    assert LATE == shelf.row()["target_id"] == hour["target_id"]
    assert before == shelf.query(written)
    merge = shelf.load(day, age=2).merge
    assert (merge.vanished, merge.restated) == (0, 0)
    assert 0 == shelf.window().unresolved_count


def test_of_targets_with_one_name_the_enabled_one_counts(shelf: LoadWorld) -> None:
    """In whatever order they came; a paused one goes before an archived one, then the lowest id."""
    shelf.load([report_row(text) for text in ("hunde hemd", "Hunde  Hemd", "never seen")])
    twins = [
        target("4101", keyword="Hunde Hemd", state="PAUSED"),
        target("4102", keyword="hunde hemd"),
        target("41020", keyword="HUNDE HEMD"),
        target("1", keyword="hunde hemd", negative=True),
        target("2", keyword="hunde hemd", ad_group_id="2002"),
    ]
    for number in (1, 2, len(twins)):
        shelf.add_targets(*twins[:number])
    assert ["4102", "4102", None] == [row["target_id"] for row in shelf.rows()]


def test_a_negative_target_receives_nothing(shelf: LoadWorld) -> None:
    """A row that only a negative keyword matches has no target."""
    shelf.add_targets(target("3998", negative=True, keyword="cat shirt"))
    shelf.load([report_row("cat shirt")])
    assert (None, 1) == (shelf.row()["target_id"], shelf.window().unresolved_count)


def test_rows_that_name_no_target_are_not_missed(shelf: LoadWorld) -> None:
    """An audience is told by no text that we know: no sync is made for its sake."""
    shelf.load([report_row() | {"target.value": None, "target.matchType": None}])
    row = shelf.row()
    assert (None, None, None) == (row["target_value"], row["target_match"], row["target_id"])
    assert 0 == shelf.window().unresolved_count
