"""What Amazon serves, by the sandbox's calendar and not by the product's: the days that must have data, and those given up without cause."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, Dataset
from bidbeacon_pipelines.sandbox.report_request import first_day_of
from bidbeacon_pipelines.windows.rules import due_at, local_date
from tests.faults.ads.simulated_office import Office

GIVEN_UP_AHEAD = timedelta(days=2)
"""The product may give a day up so long before Amazon does: it leaves a day unused, and another country's day may begin a day earlier."""

PATIENCE = timedelta(hours=8)
"""A refresh may be under way for so long: six hours it waits for other countries."""


def days_without_data(
    office: Office, account: Account, end: datetime, dataset: Dataset = DAILY_TARGETS
) -> list[date]:
    """Return the days that were over at an instant in the account's calendar, that are served now, and that were never loaded."""
    days = office.rows(
        _WITHOUT_DATA,
        first=_first_day(office, account, dataset, office.clock.now()),
        end=local_date(end, account.time_zone),
        dataset=dataset.name,
        **account.identity,
    )
    return [row["day"] for row in days]


def given_up_too_early(
    office: Office,
    account: Account,
    given_up: Mapping[tuple[str, str, date], datetime],
    dataset: Dataset = DAILY_TARGETS,
) -> list[date]:
    """Return the days that the product gave up though Amazon went on serving them for longer than its margin.

    Args:
        office: where.
        account: whose days.
        given_up: when each day was given up, by account key, dataset and day.
        dataset: of which dataset.
    """
    return [
        day
        for (key, name, day), at in given_up.items()
        if (key, name) == (account.account_key, dataset.name)
        and day >= _first_day(office, account, dataset, at + GIVEN_UP_AHEAD)
    ]


def not_fresh(office: Office, account: Account, dataset: Dataset) -> list[tuple[date, str]]:
    """Return the served days that are over whose last report was made before their newest refresh fell due, and no reason is stated; each with its status."""
    now, zone = office.clock.now(), account.time_zone
    windows = office.rows(_WINDOWS, now=now, zone=zone, dataset=dataset.name, **account.identity)
    first = _first_day(office, account, dataset, now)
    return [
        (window["window_date"], window["status"])
        for window in windows
        if window["window_date"] >= first
        and not window["failure_reason"]
        and not _is_fresh(window, dataset, zone, now)
    ]


def _is_fresh(window: Mapping[str, Any], dataset: Dataset, zone: str, now: datetime) -> bool:
    due = [due_at(window["window_date"], offset, zone) for offset in dataset.refresh_offsets]
    newest = max((at for at in due if at <= now - PATIENCE), default=None)
    return newest is None or (window["data_as_of"] is not None and window["data_as_of"] >= newest)


def _first_day(office: Office, account: Account, dataset: Dataset, at: datetime) -> date:
    first = office.owner(account.account_id).first_day(at)
    config, hourly = office.sandbox.state.config, dataset.grain == "hour"
    return first_day_of("SPONSORED_PRODUCTS", first, config, hourly=hourly)


_WITHOUT_DATA = """
    SELECT CAST(day AS date) AS day
      FROM generate_series(CAST(:first AS date), CAST(:end AS date) - 1, interval '1 day') AS days (day)
     WHERE NOT EXISTS (SELECT FROM report_windows w
                        WHERE (w.account_id, w.country_code, w.dataset) = (:account_id, :country_code, :dataset)
                          AND w.window_date = day AND w.load_count > 0)
     ORDER BY day"""
_WINDOWS = """
    SELECT window_date, status, data_as_of, failure_reason FROM report_windows
     WHERE (account_id, country_code, dataset) = (:account_id, :country_code, :dataset)
       AND window_date < CAST(CAST(:now AS timestamptz) AT TIME ZONE :zone AS date)
     ORDER BY window_date"""
