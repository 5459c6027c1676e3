"""The state of windows: `window_states` decides it, `windows_in` finds the same windows by indexes, and totals count them."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, func, text

from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.states.totals import summarize_windows
from bidbeacon_pipelines.states.window_states import STOPPED, WindowState, state_values, windows_in
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore
from tests.support.rows import (
    Table,
    add_account,
    add_ads_account,
    add_request,
    add_windows,
    change_windows,
)

NOW = datetime(2026, 7, 25, 12, tzinfo=UTC)
SOON, HOUR_AGO, LONG_AGO = (NOW + timedelta(hours=n) for n in (5, -1, -13))
FAR = NOW + timedelta(days=90)
TOLERANCE = timedelta(hours=12)
DAY, ACCOUNT = date(2026, 7, 1), "amzn1.ads-account.g.one"
RARE = [state for state in WindowState if state not in {WindowState.FRESH, *STOPPED}]
LOADED = {"status": "loaded", "last_loaded_at": HOUR_AGO, "data_as_of": HOUR_AGO, "load_count": 1}
UNPROVEN = {
    "status": "not_served",
    "not_served_since": HOUR_AGO,
    "not_served": ["SPONSORED_PRODUCTS"],
    "cause": {"code": "history-not-proven"},
}
SUSPICIOUS = {"suspicious_digest": "d", "suspicious_rows": 1, "suspicious_count": 1}
WANTED = {"wanted_by": "Ann", "wanted_at": HOUR_AGO}
REFUSED = {"needs_attention": {"code": "account-refused"}, "needs_attention_for": "account"}
CASES: dict[str, tuple[dict[str, Any], WindowState]] = {
    "loaded": (LOADED | {"next_refresh_at": SOON}, WindowState.FRESH),
    "final": (LOADED, WindowState.FRESH),
    "loaded, expired and failed": (
        LOADED | {"status": "failed", "expires_at": HOUR_AGO, "next_refresh_at": HOUR_AGO},
        WindowState.FRESH,
    ),
    "not due yet": ({"next_refresh_at": SOON}, WindowState.MISSING),
    "loaded and due": (LOADED | {"next_refresh_at": HOUR_AGO}, WindowState.DUE),
    "wanted": (LOADED | WANTED | {"next_refresh_at": SOON}, WindowState.DUE),
    "overdue": ({"next_refresh_at": LONG_AGO}, WindowState.LATE),
    "overdue before it was seen": (
        {"next_refresh_at": LONG_AGO, "first_seen_at": HOUR_AGO},
        WindowState.DUE,
    ),
    "overdue before its round": (
        {"next_refresh_at": LONG_AGO, "next_run_at": SOON},
        WindowState.DUE,
    ),
    "requested": ({"request": {"late_at": SOON}}, WindowState.REQUESTED),
    "requested long ago": ({"request": {"late_at": HOUR_AGO}}, WindowState.LATE_AT_AMAZON),
    "complete": (
        {"request": {"status": "completed", "late_at": HOUR_AGO}},
        WindowState.LOADING,
    ),
    "requested for other countries": (
        {"request": {"late_at": SOON}, "paused": True},
        WindowState.PAUSED,
    ),
    "requested, then refused": (
        {"request": {"late_at": HOUR_AGO}} | REFUSED,
        WindowState.NEEDS_ATTENTION,
    ),
    "paused": ({"status": "failed", "paused": True}, WindowState.PAUSED),
    "disabled": (LOADED | {"amazon_status": "DISABLED"}, WindowState.DISABLED),
    "refused": ({"next_refresh_at": LONG_AGO} | REFUSED, WindowState.NEEDS_ATTENTION),
    "failed": ({"status": "failed", "next_refresh_at": HOUR_AGO}, WindowState.FAILED),
    "suspicious": (LOADED | SUSPICIOUS | {"next_refresh_at": SOON}, WindowState.SUSPICIOUS),
    "unconfirmed": (
        SUSPICIOUS | {"status": "unconfirmed", "next_refresh_at": SOON},
        WindowState.UNCONFIRMED,
    ),
    "expired": ({"status": "failed", "expires_at": HOUR_AGO}, WindowState.EXPIRED),
    "not served": (
        {"status": "not_served", "not_served_since": HOUR_AGO, "next_refresh_at": LONG_AGO}
        | {"cause": {"code": "not-served"}},
        WindowState.NOT_SERVED,
    ),
    "not served, then expired": (
        {"status": "not_served", "not_served_since": LONG_AGO, "expires_at": HOUR_AGO},
        WindowState.EXPIRED,
    ),
    "loaded, and not served": (LOADED | UNPROVEN, WindowState.NOT_SERVED),
    "loaded, and not served, then expired": (
        LOADED | UNPROVEN | {"expires_at": HOUR_AGO},
        WindowState.NOT_SERVED,
    ),
}


def add_window(connection: Connection, place: int, columns: dict[str, Any]) -> None:
    """Store an account with one window; columns of the tables of both, and those of its request, may be given."""
    account_id = f"{ACCOUNT}{place}"
    long_seen = {"first_seen_at": NOW - timedelta(days=30)}
    add_ads_account(connection, account_id, **long_seen | columns_of(AdsAccount, columns))
    own = {"account_key": f"US.one{place}"} | long_seen | columns_of(Account, columns)
    account = add_account(connection, account_id=account_id, **own)
    window = {"expires_at": FAR} | columns_of(ReportWindow, columns)
    if "request" in columns:
        request = {"status": "in_flight", "report_id": "r"} | columns["request"]
        waits_for = add_request(connection, account_id, DAY, **request)
        window |= {"status": "requested", "request_id": waits_for}
    add_windows(connection, account, [DAY], **window)


def columns_of(table: Table, columns: dict[str, Any]) -> dict[str, Any]:
    """Return those columns that a table has."""
    return {name: columns[name] for name in columns.keys() & table.__table__.c.keys()}


def read_states(connection: Connection, statement: str) -> dict[str, str]:
    """Return the state of each window that a query finds, by the key of its account; no window may be found twice."""
    rows = connection.execute(text(statement), state_values(NOW, TOLERANCE)).all()
    states = {row.account_key: row.state for row in rows}
    assert len(states) == len(rows)
    return states


EVERY = "SELECT account_key, state FROM window_states(:at, :late_after)"


def test_each_window_has_its_state(session_store: SessionStore) -> None:
    """One window of each kind."""
    with session_store.begin() as connection:
        for place, (columns, _) in enumerate(CASES.values()):
            add_window(connection, place, columns)
        states = read_states(connection, EVERY)
    found = {name: states[f"US.one{place}"] for place, name in enumerate(CASES)}
    assert found == {name: state for name, (_, state) in CASES.items()}


def test_rare_states_are_found_by_indexes(session_store: SessionStore) -> None:
    """On windows with random columns the conditions of `windows_in` leave none out, and find none twice."""
    random = Random(29)
    parts = [columns for columns, _ in CASES.values()]
    with session_store.begin() as connection:
        for place in range(300):
            mixed = random.choice(parts) | random.choice(parts)
            loaded = LOADED if mixed.get("status") == "loaded" else {}
            columns = loaded | mixed
            if "last_loaded_at" in columns:
                is_over = columns.get("status") == "not_served"
                columns |= {"next_refresh_at" if is_over else "not_served_since": None}
            add_window(connection, place, columns)
        every = read_states(connection, EVERY)
        rare = {key: state for key, state in every.items() if state in RARE}
        assert set(rare.values()) == set(RARE)
        assert rare == read_states(connection, windows_in(RARE, columns="account_key, state"))


def test_the_function_is_inlined(session_store: SessionStore) -> None:
    """A query on it is a query on the tables, so that it can use their indexes."""
    with session_store.begin() as connection:
        plan = connection.execute(text(f"EXPLAIN {EVERY}"), state_values(NOW, TOLERANCE))
        assert not any("Function Scan" in line for line in plan.scalars())


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
