"""A locked request with its ads account, countries, attached windows and report."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.attention import record_refusal
from bidbeacon_pipelines.accounts.queries import (
    change_ads_account,
    get_ads_account_by_id,
    list_countries,
)
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import RequestRetried
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.errors import AuthError, CredentialRefused
from bidbeacon_pipelines.amazon_ads.reports import Report, retrieve_report
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.contract.rules import Contract
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.queries import update_request
from bidbeacon_pipelines.requests.results import failure_from
from bidbeacon_pipelines.requests.rules import NoAnswer, NotMade, Polling, Result, Step, apply
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.queries import list_windows_of_request
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import Action, SessionRecorder


@dataclass
class LockedRequest:
    """A request that a session has locked, with the data that its steps need.

    Attributes:
        row: The request as it is stored.
        countries: The ads account's accounts, one per country, by account key.
        windows: The windows attached to the request, by account key, sorted by date.
        report: The report as Amazon last described it.
        was_refused: Whether Amazon has refused the ads account since the request was locked.
    """

    context: JobContext
    session: SessionRecorder
    row: ReportRequest
    ads_account: AdsAccount
    countries: Mapping[str, Account]
    windows: dict[str, list[ReportWindow]]
    report: Report | None = None
    was_refused: bool = False

    @classmethod
    def read(cls, context: JobContext, session: SessionRecorder, row: ReportRequest) -> Self:
        """Read the ads account, countries and windows of a request that the session has locked."""
        with context.engine.begin() as connection:
            ads_account = get_ads_account_by_id(connection, row.account_id)
            countries = list_countries(connection, row.account_id)
            windows = list_windows_of_request(connection, row.id)
        by_key = {account.account_key: account for account in countries}
        return cls(context, session, row, ads_account, by_key, windows)

    @property
    def dataset(self) -> Dataset:
        """The dataset that the report fills."""
        return self.row.dataset_report.dataset

    @cached_property
    def contract(self) -> Contract:
        """The contract of the ads account: what Amazon is known to serve."""
        with self.context.engine.begin() as connection:
            return read_contract(connection, self.row.account_id)

    @property
    def client(self) -> AdsApiClient:
        """The API client that uses the ads account's credential."""
        return self.context.client_for(self.ads_account.credential)

    @property
    def waiting(self) -> list[tuple[Account, ReportWindow]]:
        """The windows attached to the request, each with its account."""
        return [(self.countries[key], one) for key, own in self.windows.items() for one in own]

    @property
    def facts(self) -> dict[str, Any]:
        """The fields that all actions of the request share, such as its account and days."""
        days = {key: [one.window_date for one in own] for key, own in self.windows.items()}
        is_one = len(days) == 1
        return {
            "account": next(iter(days)) if is_one else self.ads_account.ads_account_key,
            "accounts": {} if is_one else days,
            "dataset": self.dataset.name,
            "windows": sorted({day for own in days.values() for day in own}),
            "request_id": self.row.id,
        }

    def after(self, change: Step | Result) -> ReportRequest:
        """Return the request's row as changed by a step, or by the result of a step."""
        settings = self.context.settings
        first_poll_after = settings.first_poll_after(self.dataset.usual_latency)
        polling = Polling(first_poll_after, settings.poll_every)
        return apply(self.row, change, self.context.now(), polling)

    @contextmanager
    def storing(self, after: ReportRequest) -> Iterator[Connection]:
        """Store the request's new row in one transaction with the `with` block's statements."""
        with self.context.engine.begin() as connection:
            update_request(connection, self.row, after, self.session.session_id)
            yield connection
        self.row = after

    def store(self, after: ReportRequest, action: Action | None = None) -> None:
        """Store the request's new row, and record the action in the same transaction."""
        with self.storing(after) as connection:
            if action is not None:
                self.session.add_in(connection, action)

    def retrieve(self) -> Report:
        """Retrieve the report from Amazon, with its current status, and keep it in `report`."""
        account, report_id = self.ads_account, self.row.report_id or ""
        self.report = retrieve_report(
            self.client, account.region, report_id, account_id=account.account_id
        )
        self.reset_refusals()
        return self.report

    def reset_refusals(self) -> None:
        """Reset the ads account's count of refusals, since Amazon accepted a call for it."""
        if self.was_refused or self.ads_account.refusals:
            with self.context.engine.begin() as connection:
                change_ads_account(connection, self.row.account_id, refusals=0)

    def record_refusal(self, error: AuthError, unconfirmed: Result) -> Result:
        """Count Amazon's refusal of the ads account; return the result for the request.

        The result is `unconfirmed` while the refusals are too few to stop the ads account. A
        refused credential stops all its ads accounts; the request waits until the credential is
        renewed.
        """
        self.was_refused = True
        with self.context.engine.begin() as connection:
            stops = record_refusal(connection, self.session, self.ads_account, error)
        now = self.context.now()
        if isinstance(error, CredentialRefused):
            return NotMade(now)
        return failure_from(error, now) if stops else unconfirmed

    def retried(self, result: Result, after: ReportRequest, attempt: int) -> Action | None:
        """Return the action that records why a step is retried; None if `result` has no cause.

        `after` is the request's new row, which has the time of the next attempt.
        """
        if not isinstance(result, NoAnswer | NotMade) or result.cause is None:
            return None
        at = after.next_step_at or self.context.now()
        return RequestRetried(**self.facts, attempt=attempt, cause=result.cause, retry_at=at)
