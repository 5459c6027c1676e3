"""The sessions that tests of the Event Stream look at."""

from datetime import UTC, date, datetime
from enum import StrEnum

import pytest

from bidbeacon_sessions import Action, SessionStore, Subject, with_job_session
from bidbeacon_sessions.tables import SessionHeader
from tests.support.rows import add_account, change_sessions

TOKYO = Subject("JP.tokyo")
JOBS = ["queue", "idle", "breaks", "old-job"]
OLD = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
"""When `old-job` ran."""


class WindowsLined(Action):
    """Windows stand in line."""

    sentence = "Lined up {windows:count:report window} {windows:windows}"

    windows: list[date]


class Why(StrEnum):
    """Why nothing was done."""

    FRESH = "fresh already"


class NothingSkipped(Action):
    """Nothing was to do."""

    sentence = "Skipped: {why}"

    why: Why


def tell(store: SessionStore) -> None:
    """Record four sessions: an old one, a failed one, one that only skipped, one of Tokyo with a run of 14 actions."""
    with with_job_session("old-job", store=store) as session:
        pass
    with store.begin() as connection:
        shop = {"account_key": TOKYO.key, "name": "Tokyo Shop"}
        add_account(connection, "JP", "amzn1.ads-account.g.tokyo", **shop)
        is_old = SessionHeader.id == session.session_id
        change_sessions(connection, is_old, started_at=OLD, finished_at=OLD)
    with pytest.raises(OSError, match="throttled"), with_job_session("breaks", store=store):
        raise OSError("throttled by Amazon")
    with with_job_session("idle", store=store) as session:
        session.add(NothingSkipped(why=Why.FRESH))
    with with_job_session("queue", store=store, account=TOKYO) as session:
        for day in range(1, 15):
            session.add(WindowsLined(windows=[date(2025, 7, day)]))
