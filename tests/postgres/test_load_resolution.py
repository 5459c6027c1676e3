"""Rows of targets that nobody knew when they came, and what becomes of them once an export names the target."""

from decimal import Decimal

from bidbeacon_pipelines.ingest.targets import PLACEHOLDER_PREFIX, TargetIndex
from bidbeacon_pipelines.store.entities import list_targets
from bidbeacon_pipelines.store.resolution import list_unresolved_targets, move_resolved_rows
from tests.postgres.load_world import KEYWORD, LoadWorld, report_row, target

LATE = "4100"


def resolve(shelf: LoadWorld) -> int:
    """Give rows to the targets that are known now, as the entity sync does; give how many rows were written."""
    with shelf.engine.begin() as connection:
        index = TargetIndex(list_targets(connection, shelf.account))
        unresolved = list_unresolved_targets(connection, shelf.account)
        known = [(row.entity_id, found) for row in unresolved if (found := index.resolve(row)) is not None]
        return move_resolved_rows(connection, shelf.account, known)


def test_an_unknown_target_keeps_its_rows_under_a_stable_placeholder(shelf: LoadWorld) -> None:
    """The same texts give the same placeholder in every report, so that nothing is restated."""
    shelf.load([report_row("late deal")])
    first = shelf.row("entity_id")["entity_id"]
    shelf.load([report_row("late deal")], age=2)
    assert first == shelf.row("entity_id")["entity_id"]
    assert first.startswith(PLACEHOLDER_PREFIX)
    assert shelf.query("SELECT * FROM restatements") == []


def test_rows_move_to_their_target_once_it_is_known(shelf: LoadWorld) -> None:
    """Placeholder, metrics and counts: the row is the target's, and the window has no unresolved one."""
    shelf.load([report_row("late deal")])
    shelf.add_targets(target(LATE, keyword="late deal"))
    assert resolve(shelf) == 1
    row = shelf.row()
    assert (row["entity_id"], row["resolved"], row["spend"]) == (LATE, True, Decimal("1.234567"))
    assert (shelf.window().unresolved_count, shelf.window().row_count) == (0, 1)


def test_rows_are_added_to_those_that_their_target_has_already(shelf: LoadWorld) -> None:
    """Three spellings, one of them known from the first: one row, the sum of all, and one row counted."""
    shelf.add_targets(target(LATE, keyword="late deal", state="ARCHIVED", match_type="PHRASE"))
    shelf.load([report_row(), report_row("hunde hemd"), report_row("Hunde Hemd", sales=None)])
    assert (shelf.window().row_count, shelf.window().unresolved_count) == (3, 2)
    shelf.execute(f"UPDATE targets SET keyword = 'hunde hemd' WHERE target_id = '{KEYWORD}'")
    assert resolve(shelf) == 1
    row = shelf.row()
    assert (row["entity_id"], row["clicks"], row["sales"]) == (KEYWORD, 15, Decimal("39.98"))
    assert (row["spend"], shelf.window().spend) == (Decimal("3.703701"), Decimal("3.703701"))
    assert (shelf.window().unresolved_count, shelf.window().row_count) == (0, 1)


def test_what_is_still_unknown_stays_where_it_is(shelf: LoadWorld) -> None:
    """Resolving one of two unknown targets leaves the other one's row untouched."""
    shelf.load([report_row("late deal"), report_row("never seen")])
    shelf.add_targets(target(LATE, keyword="late deal"))
    resolve(shelf)
    assert {LATE: True, "other": False} == {
        row["entity_id"] if row["resolved"] else "other": row["resolved"] for row in shelf.rows()
    }
    assert shelf.window().unresolved_count == 1


def test_the_next_report_agrees_with_resolved_rows(shelf: LoadWorld) -> None:
    """A reload after the rows have moved writes nothing."""
    shelf.load([report_row("late deal")])
    shelf.add_targets(target(LATE, keyword="late deal"))
    resolve(shelf)
    merge = shelf.load([report_row("late deal")], age=2).merge
    assert (merge.written, merge.vanished, merge.restated) == (0, 0, 0)
