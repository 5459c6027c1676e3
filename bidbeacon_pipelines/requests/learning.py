"""Requests parts of refused reports, and learns from those that come."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.datasets.contract import LEARNED, PERIOD
from bidbeacon_pipelines.requests.queries import get_request, insert_request
from bidbeacon_pipelines.requests.refusals import Days
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


def learn_from_part(
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    given: ReportRequest,
    now: datetime,
) -> None:
    """Learn from a report that came for a part of the days of a refused one, and request the part that waited for it.

    Where the refused one was too large, the ads account's longest period is learned.
    """
    if given.narrows is None:
        return
    refused, dataset = get_request(connection, given.narrows), given.asked.dataset
    if refused.failure_kind != FailureKind.TOO_OLD:
        half = (refused.days + 1) // 2
        contract = read_contract(connection, given.account_id)
        if half < contract.report(dataset, given.asked.ad_products).longest_period_days:
            change_contract(
                connection,
                session,
                ads_account.region,
                dataset.name,
                f"{PERIOD}:{given.report}",
                str(half),
                ads_account=ads_account,
                by=LEARNED,
                at=now,
            )
    while refused.start_date == given.start_date and refused.narrows is not None:
        refused = get_request(connection, refused.narrows)
    rest = refused.start_date, given.start_date - timedelta(days=1)
    if refused.failure_kind == FailureKind.TOO_OLD and refused.start_date < given.start_date:
        request_part(connection, session, refused, rest, now)
