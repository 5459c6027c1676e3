"""Counts of windows by state: the same as those of `window_states`, whatever becomes of windows and accounts."""

from collections import Counter
from datetime import date

from sqlalchemy import func, text

from bidbeacon_pipelines.windows.states import STOPPED, WindowState, state_values
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.totals import summarize_windows
from bidbeacon_sessions import SessionStore
from tests.postgres.test_window_states import CASES, HOUR_AGO, NOW, TOLERANCE, add_window
from tests.support.rows import change_windows

MADE = """
    INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date, windows)
    SELECT account_id, country_code, dataset, report, max(window_date), count(*) FROM report_windows GROUP BY 1, 2, 3, 4"""


def test_counts_are_those_of_the_states(session_store: SessionStore) -> None:
    """Of each case, stopped accounts included; what is not as it should be comes by cause, with one cause as an example."""
    with session_store.begin() as connection:
        for place, (columns, _) in enumerate(CASES.values()):
            add_window(connection, place, columns)
        connection.execute(text(MADE))
        detail = func.jsonb_build_object("n", ReportWindow.window_date)
        alike = func.jsonb_build_object("code", "report-failed", "detail", detail)
        change_windows(connection, ReportWindow.status == "failed", cause=alike)
        summary = summarize_windows(connection, NOW, TOLERANCE)
        rows = connection.execute(
            text("SELECT dataset, state FROM window_states(:at, :late_after)"),
            state_values(NOW, TOLERANCE),
        )
        counted = Counter((row.dataset, WindowState(row.state)) for row in rows)
    found = {(name, state): n for name, of in summary.counts.items() for state, n in of.items()}
    assert counted == found
    assert {state for _, state in found} >= {*STOPPED, WindowState.FRESH, WindowState.EXPIRED}
    problems = {WindowState(row["state"]): row for row in summary.unsettled}
    said = {"failed", "late", "late at Amazon", "not served", "suspicious", "unconfirmed"}
    assert said == set(problems)
    for state in problems:
        told = sum(row["windows"] for row in summary.unsettled if row["state"] == state)
        assert sum(n for (_, of), n in counted.items() if of == state) == told
    failed = problems[WindowState.FAILED]
    assert ("report-failed", date) == (failed["cause"]["code"], type(failed["newest"]))
    assert HOUR_AGO == problems[WindowState.NOT_SERVED]["since"]
