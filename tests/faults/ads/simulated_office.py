"""Where a simulation takes place: a database, a sandbox over HTTP, and one clock for both that only sleeping moves on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
from sqlalchemy import Engine, create_engine, text

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Endpoints
from bidbeacon_pipelines.amazon_ads.throttle import LaneGaps, LocalLanes
from bidbeacon_pipelines.sandbox.accounts import Account as SandboxAccount
from bidbeacon_pipelines.sandbox.entities import Catalog
from bidbeacon_pipelines.sandbox.server import SandboxHandle
from bidbeacon_pipelines.sandbox.state import SandboxClock
from bidbeacon_pipelines.services.workbench import Workbench
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.accounts import Account, list_accounts


class SimulatedClock:
    """The sandbox's frozen clock, which sleeping moves on at once; for the client too. Safe between threads."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._lock = Lock()

    def now(self) -> datetime:
        """Give the simulated instant, UTC."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Let so many simulated seconds pass."""
        with self._lock:
            self._clock.advance(max(0.0, seconds))

    def jump(self, instant: datetime) -> None:
        """Go to an instant, never back."""
        with self._lock:
            self._clock.set(max(instant, self._clock.now()))


@dataclass(frozen=True)
class SentCreate:
    """A create of a report as it went out: when, for which request, and whether the answer told what became of it.

    What it asks for doesn't tell them apart: two countries of an ads account ask for the very same report, each for itself.
    """

    at: datetime
    request_id: int
    answered: bool


class _KeptTransport(httpx.BaseTransport):
    """Connections that outlive the client of one run: opening a pool takes longer than most runs. Notes each create of a report."""

    def __init__(self, now: Callable[[], datetime], sender: Callable[[], int]) -> None:
        self._network = httpx.HTTPTransport(verify=False)
        self._now = now
        self._sender = sender
        self.creates: list[SentCreate] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/create/reports"):
            return self._network.handle_request(request)
        at, sender, answered = self._now(), self._sender(), False
        try:
            response = self._network.handle_request(request)
            response.read()
            answered = _tells_outcome(response)
        finally:
            self.creates.append(SentCreate(at, sender, answered))
        return response

    def close_network(self) -> None:
        """End the connections, which `close` does not."""
        self._network.close()


def _tells_outcome(response: httpx.Response) -> bool:
    """Tell whether an answer to a create says what became of it: a refusal does, and a success that can be read."""
    if not response.is_success:
        return response.is_client_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS
    try:
        errors = response.json().get("error") or []
    except ValueError:
        return False
    return not any(error["code"].startswith("5") for item in errors for error in item["errors"])


def _without_pings(engine: Engine) -> Engine:
    """Give an engine that doesn't ask a connection whether it lives before each use: nobody ends one here."""
    return create_engine(engine.url, pool_size=3, connect_args={"options": "-c timezone=UTC"})


class Office:
    """Database, sandbox, settings and clock of one simulation, and the questions that checks ask of them."""

    def __init__(self, engine: Engine, sandbox: SandboxHandle, home: Path, **settings: Any) -> None:
        self.engine = _without_pings(engine)
        self.sandbox = sandbox
        self.clock = SimulatedClock(sandbox.state.clock)
        as_with_amazon = {"report_first_poll_seconds": 180, "report_poll_seconds": 60}
        self.settings = Settings(home=home, **as_with_amazon | settings)
        self._transport = _KeptTransport(self.clock.now, lambda: int(self.value(_SENDER)))
        self._lanes = LocalLanes(LaneGaps(), self.clock.now)

    @contextmanager
    def open_bench(self) -> Iterator[Workbench]:
        """Give the tools of one run: each run of the product has a client and a token of its own, and shares the lanes."""
        endpoints = Endpoints.sandbox(self.sandbox.url)
        with AdsApiClient(
            SANDBOX_CREDENTIALS, endpoints, transport=self._transport, clock=self.clock, lanes=self._lanes
        ) as client:
            yield Workbench(self.engine, client, self.settings, self.clock.now, self.clock.sleep)

    @property
    def creates(self) -> Sequence[SentCreate]:
        """Every create of a report so far, in the order in which they went out."""
        return self._transport.creates

    def close(self) -> None:
        """End the connections."""
        self.engine.dispose()
        self._transport.close_network()

    def accounts(self) -> list[Account]:
        """Give the stored accounts, by key."""
        with self.engine.begin() as connection:
            return list_accounts(connection)

    def rows(self, statement: str, **values: Any) -> Sequence[Mapping[str, Any]]:
        """Give the rows of a query."""
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def value(self, statement: str, **values: Any) -> Any:
        """Give the only value of a query."""
        [row] = self.rows(statement, **values)
        [value] = row.values()
        return value

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def owner(self, account_id: str) -> SandboxAccount:
        """Give the sandbox's side of an ads account."""
        owner = self.sandbox.state.world.accounts.find(account_id)
        assert owner is not None
        return owner

    def catalog(self, account: Account) -> Catalog:
        """Give what the sandbox knows that an account has in its country."""
        owner = self.owner(account.account_id)
        country = owner.find_country(account.country_code)
        assert country is not None
        return self.sandbox.state.world.catalog(owner, country)


# Runs follow one another, so only one request is being sent: the one that is stored as sent, in the hands of a run.
_SENDER = "SELECT id FROM report_requests WHERE status = 'sent' AND claimed_by IS NOT NULL"
