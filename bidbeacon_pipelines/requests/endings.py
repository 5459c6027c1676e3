"""What the end of a request means for its windows: when they are due again, and what was learned of Amazon."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import (
    forget_plans,
    get_ads_account_by_id,
    set_longest_period,
    split_dataset,
)
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import (
    ProductHistoryLearned,
    ReportFailed,
    ReportSplit,
    ReportSplitByProduct,
)
from bidbeacon_pipelines.datasets.histories import (
    SURELY_SERVED_DAYS,
    History,
    can_be_short,
    soon_after_refusal,
)
from bidbeacon_pipelines.datasets.learned import list_histories, set_history, split_report
from bidbeacon_pipelines.requests.histories import (
    days_back,
    learn_from_refused,
)
from bidbeacon_pipelines.requests.locked import LockedRequest
from bidbeacon_pipelines.requests.queries import lock_planning, update_request
from bidbeacon_pipelines.requests.refusals import is_surely_served
from bidbeacon_pipelines.requests.rules import FailureKind, GiveUp, failure_of
from bidbeacon_pipelines.requests.splitting import (
    is_refused_union,
    longest_period,
    shorter_period,
    should_split_by_product,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.due import replan_released
from bidbeacon_pipelines.windows.product_states import (
    ProductState,
    WindowAfter,
    after_report,
    failed,
    product_name,
    states_before,
)
from bidbeacon_pipelines.windows.queries import (
    Window,
    release_windows,
)
from bidbeacon_pipelines.windows.rules import (
    again_after_failure,
    failing_since,
)


class EndingRequest(LockedRequest):
    """A locked request that ends without its report."""

    def _give_up(self, step: GiveUp) -> None:
        """End the request: its windows are due again at their next offset, or stay failed with the reason."""
        now = self._context.now()
        state = self._after(step)
        if (days := self._shorter_period(state)) is not None:
            self._split(state, step, days)
            return
        if self._may_come_by_product(state):
            self._split_by_product(state, step)
            return
        if (history := self._shorter_history(state)) is not None:
            self._learn_history(state, step, history)
            return
        action = ReportFailed(
            **self._facts, report_id=state.report_id, code=state.failure_code, reason=step.reason
        )
        with self._context.engine.begin() as connection:
            update_request(connection, self._request, state, self._session.session_id)
            self._fail_windows(
                connection, self._windows, step.reason, self._due_again(state, step, now)
            )
            self._replan_released(connection)
            self._session.add_in(connection, action)
        self._request = state

    def _is_too_long(self, request: ReportRequest) -> bool:
        """Return whether a plan is longer than the limit learned since; it is planned again."""
        return _days(request) > self._longest_period(self._ads_account)

    def _is_too_old(self, connection: Connection, request: ReportRequest) -> bool:
        """Return whether a plan begins before its ad product is served, as learned since; it is planned again."""
        now = self._context.now()
        histories = list_histories(connection, self._ads_account.region, request.dataset, now=now)
        own = [histories[product] for product in request.ad_products if product in histories]
        back = days_back(request, now.date())
        return len(own) == len(request.ad_products) and all(
            back >= history.refused and not history.is_on_trial for history in own
        )

    def _shorter_period(self, state: ReportRequest) -> int | None:
        """Return the new longest period in days, if the report was too large."""
        with self._context.engine.begin() as connection:
            ads_account = get_ads_account_by_id(connection, self._request.account_id)
        longest = self._longest_period(ads_account)
        return shorter_period(failure_of(state), days=_days(self._request), longest_days=longest)

    def _longest_period(self, ads_account: AdsAccount) -> int:
        return longest_period(
            self._dataset, ads_account.longest_periods, self._context.now().date()
        )

    def _split(self, state: ReportRequest, step: GiveUp, days: int) -> None:
        """End a request that was too large: its windows, of all countries, are due at once, in shorter periods, and this is remembered."""
        now = self._context.now()
        with self._context.engine.begin() as connection:
            lock_planning(connection, self._request.account_id)
            update_request(connection, self._request, state, self._session.session_id)
            self._learn_longest_period(connection, days)
            self._release_to_split(connection, step.reason, now)
            self._session.add_in(
                connection, ReportSplit(**self._facts, reason=step.reason, days=days)
            )
        self._request = state

    def _may_come_by_product(self, state: ReportRequest) -> bool:
        """Return whether Amazon may make a report for each ad product, though not one for all."""
        products, days = self._request.ad_products, _days(self._request)
        return (
            is_refused_union(failure_of(state), products)
            or should_split_by_product(failure_of(state), days=days, ad_products=products)
            or (len(products) > 1 and self._is_doubtfully_old(state))
        )

    def _is_doubtfully_old(self, state: ReportRequest) -> bool:
        """Return whether Amazon calls days too old that it serves of Sponsored Products, and may not serve of others."""
        is_too_old = state.failure_kind == FailureKind.TOO_OLD
        back = days_back(self._request, self._context.now().date())
        is_served = is_surely_served(self._dataset, self._request.start_date, self._today)
        return is_too_old and is_served and back > SURELY_SERVED_DAYS

    def _shorter_history(self, state: ReportRequest) -> History | None:
        """Return how far back the report's ad product is served, where the refusal shows that this is less than was known."""
        now = self._context.now()
        can_be = can_be_short(self._request.ad_products, days_back(self._request, now.date()))
        if not can_be or not self._is_doubtfully_old(state):
            return None
        with self._context.engine.begin() as connection:
            return learn_from_refused(connection, self._ads_account.region, self._request, now)

    def _learn_history(self, state: ReportRequest, step: GiveUp, history: History) -> None:
        """End a request that began before its ad product is served: that is remembered for the region, and the other days are due at once."""
        now, product = self._context.now(), self._request.ad_products[0]
        with self._context.engine.begin() as connection:
            lock_planning(connection, self._request.account_id)
            update_request(connection, self._request, state, self._session.session_id)
            set_history(
                connection,
                self._ads_account.region,
                self._dataset.name,
                product,
                history,
                at=now,
            )
            forget_plans(connection, self._request.account_id)
            self._release_to_split(connection, step.reason, now)
            facts = {
                "reason": step.reason,
                "ad_product": product_name(product),
                "days": history.refused,
            }
            self._session.add_in(connection, ProductHistoryLearned(**self._facts, **facts))
        self._request = state

    def _split_by_product(self, state: ReportRequest, step: GiveUp) -> None:
        """End a request of several ad products: its windows are due at once, with a report for each product.

        That is remembered: of refused fields for the region, of a size or of days that are called
        too old for the ads account.
        """
        now, dataset = self._context.now(), self._dataset.name
        with self._context.engine.begin() as connection:
            lock_planning(connection, self._request.account_id)
            update_request(connection, self._request, state, self._session.session_id)
            if is_refused_union(failure_of(state), self._request.ad_products):
                split_report(connection, self._ads_account.region, dataset, step.reason)
            else:
                split_dataset(connection, self._request.account_id, dataset)
            forget_plans(connection, self._request.account_id)
            self._release_to_split(connection, step.reason, now)
            products = ", ".join(map(product_name, self._request.ad_products))
            action = ReportSplitByProduct(**self._facts, reason=step.reason, ad_products=products)
            self._session.add_in(connection, action)
        self._request = state

    def _release_to_split(self, connection: Connection, reason: str, now: datetime) -> None:
        """Release all windows: due and manually requested ones stay so.

        Windows that were only bridged need no report and stay loaded.
        """
        after = {}
        for key, windows in self._windows.items():
            for window in windows:
                due = min(window.next_refresh_at or now, now)
                needed = replace(
                    window.state, status="failed", next_refresh_at=due, failure_reason=reason
                )
                place = self._countries[key].country_code, window.window_date
                after[place] = WindowAfter(
                    state=needed
                    if _needs_report(window, now)
                    else replace(window.state, status="loaded"),
                    products_due=tuple(window.products_due) if window.products_due else None,
                    product_states=window.states,
                    is_still_wanted=window.wanted_by is not None,
                )
        release_windows(connection, self._request.id, after)

    def _fail_windows(
        self,
        connection: Connection,
        released: Mapping[str, Sequence[Window]],
        reason: str,
        due_again: Callable[[str, Window, ProductState], datetime | None],
    ) -> None:
        """End the wait of windows whose report gave no data: its ad products have failed, the others are as before."""
        after, now = {}, self._context.now()
        reported, products = self._request.ad_products, self._products
        for key, windows in released.items():
            for window in windows:
                before = states_before(window.states, window.state, products, reported)
                own = before[reported[0]]
                outcome = failed(own, reason, due_again(key, window, own))
                wanted = () if window.wanted_by is None else window.products_due or products
                place = self._countries[key].country_code, window.window_date
                after[place] = after_report(before, reported, outcome, now, wanted=wanted)
        release_windows(connection, self._request.id, after)

    def _learn_longest_period(self, connection: Connection, days: int) -> None:
        """Store how many days a report may span, unless fewer are known; plan due windows again.

        The caller has locked planning.
        """
        account_id, today = self._request.account_id, self._context.now().date()
        if days < self._longest_period(get_ads_account_by_id(connection, account_id)):
            set_longest_period(connection, account_id, self._dataset.name, days, since=today)
        forget_plans(connection, account_id)

    def _replan_released(self, connection: Connection) -> None:
        """Plan windows that were released in this transaction and fell due while they waited for the report."""
        lock_planning(connection, self._request.account_id)
        replan_released(connection, self._request.account_id, self._request.id)

    def _due_again(
        self, state: ReportRequest, step: GiveUp, now: datetime
    ) -> Callable[[str, Window, ProductState], datetime | None]:
        """Return the function that computes when a window is due again after its request has ended."""
        is_too_old = state.failure_kind == FailureKind.TOO_OLD

        def due_again(key: str, window: Window, own: ProductState) -> datetime | None:
            # Where a person is needed nothing is asked until somebody acted, and then all of it at
            # once.
            if step.needs_attention:
                return now
            soon = self._soon_after_refusal(window, now) if is_too_old else None
            again = self._again_after_failure(self._countries[key])
            return soon or again(window.window_date, own.data_as_of is not None)

        return due_again

    def _soon_after_refusal(self, window: Window, now: datetime) -> datetime | None:
        """Return when a window is asked for again, sooner than usual, since its report was refused as too old: a report without its oldest days may be accepted."""
        request = self._request
        is_at_edge = not is_surely_served(self._dataset, request.start_date, self._today)
        can_be = can_be_short(request.ad_products, days_back(request, now.date()))
        if not (is_at_edge or can_be) or not _needs_report(window, now):
            return None
        return soon_after_refusal(
            window.window_date, request.start_date, now, is_at_edge=is_at_edge
        )

    def _again_after_failure(self, account: Account) -> Callable[[date, bool], datetime | None]:
        """Return the function that computes when a failed window of a country is due again, by its day and whether it has data."""
        now, zone, dataset = self._context.now(), account.time_zone, self._dataset

        def again(day: date, has_data: bool) -> datetime | None:  # noqa: FBT001 - as `LoadRules` calls it
            first = failing_since(dataset, day, zone, self._ended)
            return again_after_failure(
                dataset, day, zone, now, has_data=has_data, failing_since=first
            )

        return again


def _needs_report(window: Window, now: datetime) -> bool:
    """Return whether a window is due, requested manually, or without data; others are only bridged."""
    is_due = window.next_refresh_at is not None and window.next_refresh_at <= now
    return is_due or window.wanted_by is not None or window.data_as_of is None


def _days(request: ReportRequest) -> int:
    """Return how many days a request covers."""
    return (request.end_date - request.start_date).days + 1
