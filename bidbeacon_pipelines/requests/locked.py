"""One locked request with everything it concerns: its ads account, countries, and the windows that wait for it."""

from datetime import date, timedelta
from typing import Any

from bidbeacon_pipelines.accounts.ads_account_queries import (
    get_ads_account_by_id,
)
from bidbeacon_pipelines.accounts.queries import list_countries
from bidbeacon_pipelines.amazon_ads.reports import Report
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.entities.queries import find_ad_products
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests import transitions
from bidbeacon_pipelines.requests.gate import note_answer
from bidbeacon_pipelines.requests.lifecycle import (
    RequestState,
)
from bidbeacon_pipelines.requests.policy import LifecyclePolicy
from bidbeacon_pipelines.requests.queries import (
    Request,
    list_ended_reports,
    update_request,
)
from bidbeacon_pipelines.requests.splitting import (
    products_to_request,
)
from bidbeacon_pipelines.requests.states import columns_of, state_of
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.queries import (
    list_windows_of_request,
)
from bidbeacon_pipelines.windows.rules import (
    RETRIED_FOR,
    local_date,
)
from bidbeacon_sessions import Action, SessionRecorder


def lifecycle_policy(settings: Settings, dataset: Dataset) -> LifecyclePolicy:
    """Return the retry policy of a dataset's reports, from the settings."""
    return LifecyclePolicy(
        first_poll_after=settings.first_poll_after(dataset.usual_latency),
        poll_every=settings.poll_every,
    )


class LockedRequest:
    """One locked request, with the windows of all countries that wait for it."""

    def __init__(
        self, context: JobContext, session: SessionRecorder, request: Request, *, loads: bool
    ) -> None:
        self._context = context
        self._loads = loads
        self._session = session
        self._request = request
        self._dataset = get_dataset(request.dataset)
        self._policy = lifecycle_policy(context.settings, self._dataset)
        self._state = state_of(request)
        self._report: Report | None = None
        self._refused = False
        with context.engine.begin() as connection:
            self._ads_account = get_ads_account_by_id(connection, request.account_id)
            countries = list_countries(connection, request.account_id)
            self._windows = list_windows_of_request(connection, request.id)
            has = find_ad_products(connection, request.account_id)
            self._ended = list_ended_reports(
                connection,
                request.account_id,
                request.dataset,
                request.ad_products,
                since=context.now() - RETRIED_FOR - timedelta(days=1),
            )
        self._products = products_to_request(self._dataset, has)
        self._countries = {account.account_key: account for account in countries}

    def _store(
        self,
        state: RequestState,
        action: Action | None = None,
        answer: transitions.Answer | None = None,
    ) -> None:
        """Store a state, its action, and the effect of a create on the gate, in one transaction."""
        with self._context.engine.begin() as connection:
            update_request(
                connection,
                self._request.id,
                self._session.session_id,
                **columns_of(state, self._context.now()),
            )
            if action is not None:
                self._session.add_in(connection, action)
            if answer is not None:
                note_answer(
                    connection,
                    self._session,
                    self._ads_account,
                    answer,
                    self._context.now(),
                    late_after=self._context.settings.late_after,
                )
        self._state = state

    @property
    def _today(self) -> date:
        """The latest local date in the countries that wait for it."""
        keys = self._windows or self._countries
        return max(local_date(self._context.now(), self._countries[key].time_zone) for key in keys)

    @property
    def _facts(self) -> dict[str, Any]:
        days = {key: [w.window_date for w in windows] for key, windows in self._windows.items()}
        is_one = len(days) == 1
        return {
            "account": next(iter(days)) if is_one else self._ads_account.ads_account_key,
            "accounts": {} if is_one else days,
            "dataset": self._dataset.name,
            "windows": sorted({day for alike in days.values() for day in alike}),
            "request_id": self._request.id,
        }
