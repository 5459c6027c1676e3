"""The map of windows: the state that is read of many windows at once, and that `explain` says the same of each."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from bidbeacon_pipelines.problems.explain import explain_window
from bidbeacon_pipelines.problems.verdicts import Cause
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.coverage import STATE_LETTERS, UnknownDatasetError, WindowCoverage
from bidbeacon_pipelines.windows.coverage_rules import WindowState
from bidbeacon_sessions import SessionStore
from tests.postgres.load_world import add_account

NOW = datetime(2026, 7, 25, 12, tzinfo=UTC)
FIRST = date(2026, 7, 1)
SOON, HOUR_AGO, LONG_AGO = (
    NOW + timedelta(hours=5),
    NOW - timedelta(hours=1),
    NOW - timedelta(hours=13),
)
LOADED = {
    "status": "loaded",
    "last_loaded_at": NOW,
    "data_as_of": NOW,
    "load_count": 1,
    "row_count": 7,
}
CASES: list[tuple[Mapping[str, Any], WindowState, Cause]] = [
    (LOADED | {"next_refresh_at": SOON}, WindowState.FRESH, Cause.FRESH),
    (LOADED, WindowState.FRESH, Cause.FINAL),
    (LOADED | {"next_refresh_at": HOUR_AGO}, WindowState.DUE, Cause.DUE),
    ({"status": "missing", "next_refresh_at": SOON}, WindowState.NOT_DUE, Cause.NOT_DUE_YET),
    ({"status": "missing", "next_refresh_at": HOUR_AGO}, WindowState.DUE, Cause.DUE),
    ({"status": "missing", "next_refresh_at": LONG_AGO}, WindowState.LATE, Cause.DUE),
    ({"status": "requested", "request": "quick"}, WindowState.REQUESTED, Cause.IN_FLIGHT),
    ({"status": "requested", "request": "slow"}, WindowState.LATE, Cause.LATE_AT_AMAZON),
    (
        LOADED
        | {
            "next_refresh_at": SOON,
            "suspicious_digest": "d",
            "suspicious_rows": 1,
            "suspicious_count": 1,
        },
        WindowState.SUSPICIOUS,
        Cause.SUSPICIOUS,
    ),
    (
        {
            "status": "unconfirmed",
            "failure_reason": "no rows",
            "next_refresh_at": SOON,
            "suspicious_digest": "d",
        },
        WindowState.UNCONFIRMED,
        Cause.UNCONFIRMED,
    ),
    (
        {"status": "failed", "failure_reason": "no", "next_refresh_at": SOON},
        WindowState.FAILED,
        Cause.FAILED,
    ),
    ({"status": "expired", "expires_at": HOUR_AGO}, WindowState.EXPIRED, Cause.EXPIRED),
]


@pytest.fixture
def coverage(session_store: SessionStore) -> WindowCoverage:
    """The map of one account, with one window of each kind from the first of July on, and a second account without any."""
    with session_store.begin() as connection:
        for number, key in enumerate(("US.one", "US.two")):
            identity = {
                "account_id": f"amzn1.ads-account.g.{number}",
                "account_key": key,
                "name": f"Shop {number}",
            }
            add_account(connection, seen_at=NOW - timedelta(days=30), **identity)
        requests = {name: _add_request(connection, name) for name in ("quick", "slow")}
        for place, (columns, _, _) in enumerate(CASES):
            _add_window(connection, FIRST + timedelta(days=place), dict(columns), requests)
    return WindowCoverage(session_store, clock=lambda: NOW)


def _add_request(connection: Connection, name: str) -> int:
    sent = NOW - (timedelta(minutes=1) if name == "quick" else timedelta(hours=3))
    statement = text("""
        INSERT INTO report_requests (account_id, dataset, report, start_date, end_date, status, report_id, amazon_status,
                                     attempts, created_at, sent_at, next_step_at)
        VALUES ('amzn1.ads-account.g.0', 'daily_targets', 'SP+SB+SD', :day, :day, 'in_flight', :name, 'PENDING', 1, :sent, :sent, :soon)
        RETURNING id""")
    values = {
        "day": FIRST,
        "name": name,
        "sent": sent,
        "soon": NOW + timedelta(minutes=1),
    }
    return int(connection.execute(statement, values).scalar_one())


def _add_window(
    connection: Connection, day: date, columns: dict[str, Any], requests: Mapping[str, int]
) -> None:
    if "request" in columns:
        columns["request_id"] = requests[columns.pop("request")]
    values = {
        "account_id": "amzn1.ads-account.g.0",
        "country_code": "US",
        "dataset": "daily_targets",
        "report": "SP+SB+SD",
        "expires_at": NOW + timedelta(days=600),
    }
    row = values | {"window_date": day} | columns
    names = ", ".join(row)
    connection.execute(
        text(
            f"INSERT INTO report_windows ({names}) VALUES ({', '.join(f':{name}' for name in row)})"
        ),
        row,
    )


def test_each_kind_of_window_has_its_state(coverage: WindowCoverage) -> None:
    """One letter a day, in the order of days; a day without a window, and an account without any, have a dash."""
    told = coverage.read_coverage("daily_targets", 14, date(2026, 7, 13))
    expected = "-" + "".join(STATE_LETTERS[state] for _, state, _ in CASES) + "-"
    assert [("US.one", expected), ("US.two", "-" * 14)] == [
        (one["key"], one["cells"]) for one in told["accounts"]
    ]
    assert ("2026-06-30", "2026-07-13") == (told["from"], told["to"])


def test_explain_says_the_same_of_each_window(
    coverage: WindowCoverage, session_store: SessionStore
) -> None:
    """What a cell shows is what its own explanation is about."""
    with session_store.snapshot() as connection:
        causes = [
            explain_window(
                connection,
                Settings(),
                "US.one",
                "daily_targets",
                FIRST + timedelta(days=place),
                now=NOW,
            ).verdict.cause
            for place in range(len(CASES))
        ]
    assert [cause for _, _, cause in CASES] == causes


def test_nothing_of_a_stopped_account_is_late(
    coverage: WindowCoverage, session_store: SessionStore
) -> None:
    """Its windows are due, it says why nothing is asked for it, and that is no lateness."""
    with session_store.begin() as connection:
        connection.execute(
            text("UPDATE advertiser_accounts SET paused = true WHERE account_key = 'US.one'")
        )
    told = coverage.read_coverage("daily_targets", 1, FIRST + timedelta(days=5))
    assert ("d", "paused") == (told["accounts"][0]["cells"], told["accounts"][0]["stopped"])


def test_an_unknown_dataset_is_named(coverage: WindowCoverage) -> None:
    """The error says which datasets there are; without a name it is the first."""
    with pytest.raises(UnknownDatasetError, match="There is no dataset 'hours'") as caught:
        coverage.read_coverage("hours", 1, None)
    assert "Use one of: daily_campaigns, hourly_campaigns" in caught.value.what_to_do
    assert "daily_campaigns" == coverage.read_coverage(None, 1, None)["dataset"]


def test_accounts_come_with_their_zones(coverage: WindowCoverage) -> None:
    """What the page needs to tell times in an account's own zone."""
    expected = [
        {
            "key": f"US.{key}",
            "label": f"Shop {number} · US",
            "time_zone": "America/Los_Angeles",
            "stopped": None,
        }
        for number, key in enumerate(("one", "two"))
    ]
    assert expected == coverage.list_accounts()
