"""One locked request with everything it concerns: its ads account, countries, and the windows that wait for it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import get_ads_account_by_id, list_countries
from bidbeacon_pipelines.datasets.registry import DatasetReport
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.queries import list_ended_reports, update_request
from bidbeacon_pipelines.requests.rules import Polling, Result, Step, apply
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contracts import read_contract
from bidbeacon_pipelines.windows.queries import list_windows_of_request
from bidbeacon_pipelines.windows.rules import RETRIED_FOR
from bidbeacon_sessions import Action, SessionRecorder


class LockedRequest:
    """One locked request, with the windows of all countries that wait for it."""

    def __init__(
        self, context: JobContext, session: SessionRecorder, request: ReportRequest
    ) -> None:
        self._context = context
        self._session = session
        self._request = request
        self._dataset = request.asked.dataset
        self._polling = Polling(
            context.settings.first_poll_after(self._dataset.usual_latency),
            context.settings.poll_every,
        )
        with context.engine.begin() as connection:
            self._ads_account = get_ads_account_by_id(connection, request.account_id)
            countries = list_countries(connection, request.account_id)
            self._windows = list_windows_of_request(connection, request.id)
            self._ended = list_ended_reports(
                connection,
                request.account_id,
                request.dataset,
                request.report,
                since=context.now() - RETRIED_FOR - timedelta(days=1),
            )
        self._countries = {account.account_key: account for account in countries}

    def _known(self, connection: Connection) -> DatasetReport:
        """Return what is requested, with what is known of it by now."""
        contract = read_contract(connection, self._request.account_id)
        return contract.report(self._dataset, self._request.asked.ad_products)

    def _after(self, change: Step | Result) -> ReportRequest:
        """Return the request after a step was begun or decided, or after its result."""
        return apply(self._request, change, self._context.now(), self._polling)

    def _store(self, after: ReportRequest, action: Action | None = None) -> None:
        """Store the request as it is now, with its action, in one transaction."""
        with self._context.engine.begin() as connection:
            update_request(connection, self._request, after, self._session.session_id)
            if action is not None:
                self._session.add_in(connection, action)
        self._request = after

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
