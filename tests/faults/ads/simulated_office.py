"""Where a simulation takes place: a database, a sandbox over HTTP, and one clock for both that only sleeping moves on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
from sqlalchemy import Engine, create_engine, text

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimits
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.rules import due_at
from bidbeacon_sandbox.accounts import Account as SandboxAccount
from bidbeacon_sandbox.clock import SandboxClock
from bidbeacon_sandbox.entities import AdProduct, Catalog
from bidbeacon_sandbox.server import SandboxHandle
from tests.faults.ads.accounting import SentCreate, count_at_amazon

GivenUp = dict[tuple[str, str, date, str], datetime]
"""When each day was first seen `expired`, or `not_served` without a load, by account key, dataset, day and report."""


class SimulatedClock:
    """The sandbox's frozen clock, which sleeping moves on at once, also for the client; safe between threads."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._lock = Lock()

    def now(self) -> datetime:
        """Return the simulated instant, UTC."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Let so many simulated seconds pass."""
        with self._lock:
            self._clock.advance(max(0.0, seconds))

    def jump(self, instant: datetime) -> None:
        """Go to an instant, never back."""
        with self._lock:
            self._clock.set(max(instant, self._clock.now()))


class _KeptTransport(httpx.BaseTransport):
    """Connections that outlive the client of one run, since opening a pool takes longer than most runs; records each create of a report."""

    def __init__(self, office: "Office") -> None:
        self.network = httpx.HTTPTransport(verify=False)
        self._office = office
        self.creates: list[SentCreate] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/create/reports"):
            return self.network.handle_request(request)
        create, reports = self._office.describe_create(request), self._office.sandbox.state.reports
        made_before = len(reports)
        try:
            response = self.network.handle_request(request)
            response.read()
            create = replace(create, **_read_answer(response))
        finally:
            made = next(islice(reports, made_before, None), None)
            self.creates.append(replace(create, made_id=made.id if made else None))
        return response


def _read_answer(response: httpx.Response) -> dict[str, Any]:
    """Return what an answer to a create says: a refusal tells what became of it, and so does a success that can be read."""
    after = response.headers.get("retry-after", "")
    said = {
        "status": response.status_code,
        "retry_after": float(after) if after.isdigit() else None,
    }
    if not response.is_success:
        is_refusal = (
            response.is_client_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS
        )
        return said | {"is_told": is_refusal}
    try:
        answer = response.json()
    except ValueError:
        return said
    codes = [error["code"] for item in answer.get("error") or () for error in item["errors"]]
    made = [item["report"]["reportId"] for item in answer.get("success") or ()]
    told = not any(code.startswith("5") for code in codes)
    return said | {"is_told": told, "report_id": made[0] if made else None}


def _without_pings(engine: Engine) -> Engine:
    """Return an engine that doesn't ask a connection whether it lives before each use: nobody ends one here."""
    return create_engine(engine.url, pool_size=3, connect_args={"options": "-c timezone=UTC"})


class Office:
    """Database, sandbox, settings and clock of one simulation, and the questions that checks ask of them."""

    def __init__(self, engine: Engine, sandbox: SandboxHandle, home: Path, **settings: Any) -> None:
        self.engine = _without_pings(engine)
        self.sandbox = sandbox
        self.clock = SimulatedClock(sandbox.state.clock)
        as_with_amazon = {"report_first_poll_seconds": 180, "report_poll_seconds": 60}
        self.settings = Settings(home=home, **as_with_amazon | settings)
        self._transport = _KeptTransport(self)
        self._rate_limits = RateLimits(now=self.clock.now)

    @contextmanager
    def open_context(self) -> Iterator[JobContext]:
        """Yield the tools of one run: each run of the product has a client and a token of its own, and shares the rate_limits."""
        endpoints = Endpoints.sandbox(self.sandbox.url)
        with AdsApiClient(
            SANDBOX_CREDENTIAL,
            endpoints,
            transport=self._transport,
            now=self.clock.now,
            sleep=self.clock.sleep,
            limits=self._rate_limits,
        ) as client:
            yield JobContext(
                self.engine, lambda _: client, self.settings, self.clock.now, self.clock.sleep
            )

    def describe_create(self, request: httpx.Request) -> SentCreate:
        """Return a create that is about to go out, with its windows and the state of its gate."""
        now = self.clock.now()
        [sender] = self.rows(_SENDER, now=now)
        windows = self.rows(_WAITING, id=sender["request_id"])
        region, reports = request.url.path.split("/")[1].upper(), self.sandbox.state.reports
        assert region == sender["region"]
        return SentCreate(
            at=now,
            region=region,
            request_id=sender["request_id"],
            account_id=sender["account_id"],
            places=sender["places"],
            counted=sender["counted"],
            at_amazon=count_at_amazon(
                self.creates, region, reports, now, set(sender["others"] or ())
            ),
            due_windows=sum(
                _is_due(window, now) or _is_unanswered(window, sender["refused_at"])
                for window in windows
            ),
        )

    @property
    def creates(self) -> Sequence[SentCreate]:
        """Every create of a report so far, in the order in which they went out."""
        return self._transport.creates

    def close(self) -> None:
        """End the connections."""
        self.engine.dispose()
        self._transport.network.close()

    def accounts(self) -> list[Account]:
        """Return the stored accounts, by key."""
        with self.engine.begin() as connection:
            return list_accounts(connection)

    def rows(self, statement: str, **values: Any) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a query."""
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def value(self, statement: str, **values: Any) -> Any:
        """Return the only value of a query."""
        [row] = self.rows(statement, **values)
        [value] = row.values()
        return value

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def owner(self, account_id: str) -> SandboxAccount:
        """Return the sandbox's side of an ads account."""
        owner = self.sandbox.state.world.accounts.find(account_id)
        assert owner is not None
        return owner

    def catalog(self, account: Account, product: AdProduct) -> Catalog:
        """Return what the sandbox knows that an account has of an ad product in its country."""
        owner = self.owner(account.account_id)
        country = owner.find_country(account.country_code)
        assert country is not None
        return self.sandbox.state.world.catalog(owner, country, product)


# Runs follow one another, so only one request is being sent: the one that is stored as sent, in the
# hands of a run.
_SENDER = """
    SELECT r.id AS request_id, r.account_id, o.region, floor(g.in_flight_limit)::integer AS places,
           (SELECT count(*) FROM report_requests s JOIN ads_accounts a USING (account_id)
             WHERE (a.client_id, a.region) = (o.client_id, o.region) AND s.id <> r.id
               AND (s.status = 'in_flight' OR s.status = 'sent' AND s.next_step_at > :now)) AS counted,
           (SELECT s.sent_at FROM report_requests s WHERE s.id = r.narrows) AS refused_at,
           (SELECT array_agg(s.id) FROM report_requests s WHERE s.status IN ('sent', 'in_flight') AND s.id <> r.id) AS others
      FROM report_requests r JOIN ads_accounts o USING (account_id) JOIN report_gates g USING (client_id, region)
     WHERE r.status = 'sent' AND r.locked_by IS NOT NULL"""
_WAITING = """
    SELECT w.dataset, w.window_date, w.data_as_of, w.wanted_by, w.suspicious_digest, a.time_zone
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code) WHERE w.request_id = :id"""


def _is_due(window: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a window needs a report: by hand, for the first time, once more for good, or since numbers are restated at an offset."""
    if window["wanted_by"] or window["suspicious_digest"] or window["data_as_of"] is None:
        return True
    offsets = get_dataset(window["dataset"]).refresh_offsets
    instants = [due_at(window["window_date"], offset, window["time_zone"]) for offset in offsets]
    return any(window["data_as_of"] < at <= now for at in instants)


def _is_unanswered(window: Mapping[str, Any], refused_at: datetime | None) -> bool:
    """Return whether no report has brought a window since a longer one was refused, of which this is a part: it shows what Amazon serves."""
    return refused_at is not None and window["data_as_of"] < refused_at
