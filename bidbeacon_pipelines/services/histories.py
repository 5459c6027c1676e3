"""Learns how far back ad products are served, and ends older windows, so that they are not requested again."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.actions import SkipReason, WindowSkipped
from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.reports.histories import Histories, after_loaded
from bidbeacon_pipelines.reports.product_states import (
    WindowAfter,
    after_report,
    product_name,
    states_before,
    unserved,
)
from bidbeacon_pipelines.services.job_context import JobContext
from bidbeacon_pipelines.store.accounts import Account, list_countries
from bidbeacon_pipelines.store.ads_accounts import AdsAccount
from bidbeacon_pipelines.store.learned import list_histories, set_history
from bidbeacon_pipelines.store.requests import Request
from bidbeacon_pipelines.store.windows import Window, end_unserved_windows, list_windows_to_end
from bidbeacon_sessions import SessionRecorder


def days_back(request: Request, today: date) -> int:
    """Return how many days ago a request's first day was."""
    return (today - request.start_date).days


def learn_from_loaded(connection: Connection, region: str, request: Request, today: date) -> bool:
    """Record how far back a completed report reached, while the limit is being searched; return whether that was new."""
    for product, history in list_histories(connection, region, request.dataset).items():
        learned = after_loaded(history, days_back(request, today))
        if request.ad_products == [product] and learned != history:
            set_history(connection, region, request.dataset, product, learned)
            return True
    return False


def end_unserved(
    context: JobContext,
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    dataset: Dataset,
    products: Sequence[str],
) -> Histories:
    """End what Amazon no longer serves of single ad products of a dataset; return how far back they are served.

    Args:
        context: The tools.
        connection: The transaction of the planning, which is locked.
        session: Where it is recorded.
        ads_account: Whose windows.
        dataset: Of which dataset.
        products: The ad products that its windows are asked for.
    """
    histories = list_histories(connection, ads_account.region, dataset.name)
    today = context.now().date()
    for product, history in histories.items():
        oldest = today - timedelta(days=history.refused - 1)
        found = list_windows_to_end(
            connection, ads_account.account_id, dataset.name, product, before=oldest
        )
        for account in list_countries(connection, ads_account.account_id):
            if windows := found.get(account.country_code):
                _end(context, connection, account, dataset, windows, product, products)
                days = [window.window_date for window in windows]
                detail = f"{product_name(product)}, which it serves from {oldest} on at most"
                facts = {"account": account.account_key, "dataset": dataset.name, "windows": days}
                session.add_in(
                    connection,
                    WindowSkipped(**facts, reason=SkipReason.PRODUCT_NOT_SERVED, detail=detail),
                )
    return histories


def _end(
    context: JobContext,
    connection: Connection,
    account: Account,
    dataset: Dataset,
    windows: Sequence[Window],
    product: str,
    products: Sequence[str],
) -> None:
    after: dict[tuple[str, date], WindowAfter] = {}
    for window in windows:
        before = states_before(window.states, window.state, products, [product])
        wanted = () if window.wanted_by is None else window.products_due or products
        after[account.country_code, window.window_date] = after_report(
            before, [product], unserved(before[product]), context.now(), wanted=wanted
        )
    end_unserved_windows(connection, account.account_id, dataset.name, after)
