"""What Amazon serves, by the sandbox's calendar and not by the product's: the days that must have data, and those given up without cause."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from bidbeacon_pipelines.reports.windows import local_date
from bidbeacon_pipelines.sandbox.report_request import first_served
from bidbeacon_pipelines.store.accounts import Account
from tests.faults.ads.simulated_office import Office

GIVEN_UP_AHEAD = timedelta(days=2)
"""The product may give a day up so long before Amazon does: it leaves a day unused, and another country's day may begin a day earlier."""


def days_without_data(office: Office, account: Account, end: datetime) -> list[date]:
    """Give the days that were over at an instant in the account's calendar, that are served now, and that were never loaded."""
    days = office.rows(
        _WITHOUT_DATA,
        first=_first_day(office, account, office.clock.now()),
        end=local_date(end, account.time_zone),
        **account.identity,
    )
    return [row["day"] for row in days]


def given_up_too_early(
    office: Office, account: Account, given_up: Mapping[tuple[str, date], datetime]
) -> list[date]:
    """Give the days that the product gave up though Amazon went on serving them for longer than its margin.

    Args:
        office: where.
        account: whose days.
        given_up: when each day was given up, by account key and day.
    """
    return [
        day
        for (key, day), at in given_up.items()
        if key == account.account_key and day >= _first_day(office, account, at + GIVEN_UP_AHEAD)
    ]


def _first_day(office: Office, account: Account, at: datetime) -> date:
    return first_served(office.owner(account.account_id).first_day(at), hourly=False)


_WITHOUT_DATA = """
    SELECT CAST(day AS date) AS day
      FROM generate_series(CAST(:first AS date), CAST(:end AS date) - 1, interval '1 day') AS days (day)
     WHERE NOT EXISTS (SELECT FROM report_windows w
                        WHERE (w.account_id, w.country_code, w.dataset) = (:account_id, :country_code, 'daily_targets')
                          AND w.window_date = day AND w.load_count > 0)
     ORDER BY day"""
