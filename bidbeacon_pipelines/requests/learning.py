"""Learns the limits of Amazon's reports: by what a report was refused, and then given for fewer days."""

from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.datasets.contract import HISTORY, LEARNED, PERIOD
from bidbeacon_pipelines.requests.narrowing import Days, days_to_ask
from bidbeacon_pipelines.requests.queries import get_request, insert_request
from bidbeacon_pipelines.requests.refusals import is_surely_served
from bidbeacon_pipelines.requests.rules import FailureKind
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contracts import change_contract, read_contract
from bidbeacon_sessions import SessionRecorder


def request_part(
    connection: Connection,
    session: SessionRecorder,
    refused: ReportRequest,
    days: Days,
    now: datetime,
    *,
    by_hand: bool = False,
) -> None:
    """Plan a request for a part of the days of a refused one."""
    start, end = days
    insert_request(
        connection,
        account_id=refused.account_id,
        dataset=refused.dataset,
        report=refused.report,
        start_date=start,
        end_date=end,
        by_hand=by_hand,
        requested_by=session.session_id,
        created_at=now,
        narrows=refused.id,
    )


def learn_from_loaded(
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    given: ReportRequest,
    now: datetime,
) -> None:
    """Learn from a report that came for a part of the days of a refused one.

    A longest period is an ads account's, a history its region's.
    """
    if given.narrows is None:
        return
    refused, dataset = get_request(connection, given.narrows), given.asked.dataset
    change = partial(
        change_contract, connection, session, ads_account.region, dataset.name, by=LEARNED, at=now
    )
    if refused.failure_kind != FailureKind.TOO_OLD:
        half = (refused.days + 1) // 2
        contract = read_contract(connection, given.account_id)
        if half < contract.report(dataset, given.asked.ad_products).longest_period_days:
            change(f"{PERIOD}:{given.report}", str(half), ads_account=ads_account)
    elif given.start_date > refused.start_date and is_surely_served(
        dataset, refused.start_date, now.date()
    ):
        # One of a single day was requested because a longer one was too old.
        is_sure = refused.days == 1 and refused.narrows is not None
        if days := days_to_ask(refused.start_date, given.start_date, is_sure=is_sure):
            request_part(connection, session, refused, days, now)
        else:
            change(f"{HISTORY}:{given.report}", str((now.date() - given.start_date).days))
