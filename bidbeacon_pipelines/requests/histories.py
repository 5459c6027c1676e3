"""Learns how far back ad products are served, ends older windows, so that they are not requested again, and reopens them where that no longer holds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import get_ads_account_by_id, list_countries
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import SkipReason, WindowSkipped, WindowsReopened
from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS
from bidbeacon_pipelines.datasets.histories import (
    TRIED_AGAIN_AFTER,
    Histories,
    History,
    Outcome,
    after_loaded,
    learn,
    was_served,
)
from bidbeacon_pipelines.datasets.learned import (
    delete_history,
    find_longest_served,
    list_histories,
    list_outcomes,
    set_served,
)
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.entities.queries import find_ad_products
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.splitting import products_to_request
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.product_states import (
    WindowAfter,
    after_report,
    product_name,
    served_again,
    states_before,
    unserved,
)
from bidbeacon_pipelines.windows.queries import (
    Window,
    list_unserved_windows,
    list_windows_to_end,
    set_window_states,
)
from bidbeacon_pipelines.windows.rules import local_date, oldest_served
from bidbeacon_sessions import SessionRecorder


def days_back(request: ReportRequest, today: date) -> int:
    """Return how many days ago a request's first day was."""
    return (today - request.start_date).days


def learn_from_loaded(
    connection: Connection, region: str, request: ReportRequest, now: datetime
) -> bool:
    """Record how far back a completed report reached, where the limit was learned; return whether that was new.

    A report that reached beyond it ends what was learned: windows are reopened once a day.
    """
    for product, history in list_histories(connection, region, request.dataset, now=now).items():
        learned = after_loaded(history, days_back(request, now.date()))
        if request.ad_products != [product] or learned == history:
            continue
        if learned is None:
            delete_history(connection, region, request.dataset, product)
        else:
            set_served(connection, region, request.dataset, product, learned.served)
        return True
    return False


def learn_from_refused(
    connection: Connection, region: str, request: ReportRequest, now: datetime
) -> History | None:
    """Return how far back a region serves the ad product of a report that was refused as too old; None where that shows nothing.

    An ads account that is refused everything shows nothing, and neither does one that is refused
    what another one of the region was given.
    """
    product, since = request.ad_products[0], now - TRIED_AGAIN_AFTER
    refused = Outcome(days_back(request, now.date()), is_refused=True)
    before = list_outcomes(connection, request.account_id, request.dataset, product, since=since)
    known = list_histories(connection, region, request.dataset, now=now).get(product)
    if known is not None and refused.days_back >= known.refused:
        return replace(known, is_on_trial=False) if was_served(before) else None
    found = learn([*before, refused])
    longest = find_longest_served(connection, region, request.dataset, product, since=since)
    if found is None or longest >= found.refused:
        return None
    is_narrower = known is not None and known.served < found.refused
    return (
        replace(found, served=max(found.served, known.served)) if known and is_narrower else found
    )


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
    now = context.now()
    histories = list_histories(connection, ads_account.region, dataset.name, now=now)
    for product, history in histories.items():
        if history.is_on_trial:
            continue
        oldest = now.date() - timedelta(days=history.refused - 1)
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
    set_window_states(connection, account.account_id, dataset.name, after)


def reopen_unserved(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    now: datetime,
) -> None:
    """Make windows due again that lack an ad product which Amazon may serve.

    These are all of them where what was learned no longer holds, and the newest one where it is on
    trial.
    """
    region = get_ads_account_by_id(connection, account.account_id).region
    products = products_to_request(dataset, find_ad_products(connection, account.account_id))
    histories = list_histories(connection, region, dataset.name, now=now)
    reopened: set[date] = set()
    for product in products:
        history = histories.get(product)
        if product == SPONSORED_PRODUCTS or (history is not None and not history.is_on_trial):
            continue
        oldest = oldest_served(dataset, local_date(now, account.time_zone))
        windows = list_unserved_windows(connection, account, dataset.name, product, since=oldest)
        if history is not None:
            windows = windows[-1:]
        if not windows:
            continue
        after = {
            (account.country_code, window.window_date): _reopened(window, product, products, now)
            for window in windows
        }
        set_window_states(connection, account.account_id, dataset.name, after)
        reopened |= {window.window_date for window in windows}
    if reopened:
        facts = {"account": account.account_key, "dataset": dataset.name}
        session.add_in(connection, WindowsReopened(**facts, windows=sorted(reopened)))


def _reopened(window: Window, product: str, products: Sequence[str], now: datetime) -> WindowAfter:
    before = states_before(window.states, window.state, products, [product])
    wanted = () if window.wanted_by is None else window.products_due or products
    return after_report(before, [product], served_again(before[product], now), now, wanted=wanted)
