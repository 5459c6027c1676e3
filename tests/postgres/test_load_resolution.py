"""Rows of targets that nobody knew when they came, and what becomes of them once an export names the target."""

from bidbeacon_pipelines.loading.merging import resolve_targets
from tests.postgres.load_world import KEYWORD, LoadWorld, report_row, target

LATE = "4100"


def resolve(shelf: LoadWorld) -> int:
    """Assign rows to the targets that are known now, as the entity sync does; return how many."""
    with shelf.engine.begin() as connection:
        return resolve_targets(connection, shelf.account.id)


def test_rows_get_their_target_once_it_is_known(shelf: LoadWorld) -> None:
    """The row stays the row that it is, and the window has no unresolved one any more."""
    shelf.load([report_row("late deal")])
    [before] = shelf.rows("row_key, target_value, spend")
    assert (None, 1) == (shelf.row()["target_id"], shelf.window().unresolved_count)
    shelf.add_targets(target(LATE, keyword="late deal"))
    assert 1 == resolve(shelf)
    assert LATE == shelf.row()["target_id"]
    assert before == shelf.row("row_key, target_value, spend")
    assert (0, 1) == (shelf.window().unresolved_count, shelf.window().row_count)


def test_load_and_sync_find_the_same(shelf: LoadWorld) -> None:
    """A row that came before its targets gets the one that a row that came after them got."""
    texts = ["hunde hemd", "Hunde  Hemd", "never seen"]
    shelf.load([report_row(text) for text in texts])
    twins = [
        target("4101", keyword="Hunde Hemd", state="PAUSED"),
        target("4102", keyword="hunde hemd"),
        target("41020", keyword="HUNDE HEMD"),
        target("1", keyword="hunde hemd", negative=True),
        target("2", keyword="hunde hemd", ad_group_id="2002"),
    ]
    shelf.add_targets(*twins)
    assert 2 == resolve(shelf)
    synced = shelf.rows("target_value, target_id")
    shelf.execute("TRUNCATE daily_target_performance")
    shelf.load([report_row(text) for text in texts], age=2)
    assert synced == shelf.rows("target_value, target_id")
    assert {"4102", None} == {row["target_id"] for row in synced}
    assert 1 == shelf.window().unresolved_count


def test_a_new_twin_takes_over_no_history(shelf: LoadWorld) -> None:
    """A row that has its target keeps it, whatever is made later."""
    shelf.load([report_row()])
    shelf.add_targets(target("1", state="ENABLED"), target(KEYWORD, state="ARCHIVED"))
    assert 0 == resolve(shelf)
    shelf.load([report_row(clicks=9)], age=2)
    assert (KEYWORD, 9) == tuple(shelf.row("target_id, clicks").values())


def test_rows_that_name_no_target_are_not_missed(shelf: LoadWorld) -> None:
    """An audience is told by no text that we know: no sync is made for its sake."""
    shelf.load([report_row() | {"target.value": None, "target.matchType": None}])
    row = shelf.row()
    assert (None, None, None) == (row["target_value"], row["target_match"], row["target_id"])
    assert 0 == shelf.window().unresolved_count


def test_the_next_report_agrees_with_resolved_rows(shelf: LoadWorld) -> None:
    """A reload after the rows have been resolved writes nothing."""
    shelf.load([report_row("late deal")])
    shelf.add_targets(target(LATE, keyword="late deal"))
    resolve(shelf)
    merge = shelf.load([report_row("late deal")], age=2).merge
    assert (merge.written, merge.vanished, merge.restated) == (0, 0, 0)
