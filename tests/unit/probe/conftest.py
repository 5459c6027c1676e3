"""A probe of a sandbox over real HTTP, whose clock moves on whenever the probe waits.

The day is one on which each of the first three ads accounts has rows in every report, of each of
its countries and of each ad product asked for. On most days an account this small has no
conversions of Display, and the tests would depend on the date.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimits
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.probe.calls import Pace, Probe
from bidbeacon_pipelines.probe.compare import Finding, Verdict, compare
from bidbeacon_pipelines.probe.evidence import Evidence
from bidbeacon_pipelines.recordings import Exchange
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import SandboxHandle, running_sandbox

BUSY: dict[str, Any] = {"clock_start": datetime(2026, 1, 24, 12, tzinfo=UTC), "rows_per_day": 40}
BUSY_DAY = date(2026, 1, 22)
PACE = Pace(poll=60, longest_report=1800, throttled=(30, 60))


@dataclass
class SandboxTime:
    """The clock of a client that waits by moving the sandbox's clock on."""

    handle: SandboxHandle

    def now(self) -> datetime:
        """Return the sandbox's present instant."""
        return self.handle.state.clock.now()

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.handle.state.clock.advance(seconds)


@dataclass
class Probed:
    """What a probe of one sandbox came to."""

    findings: list[Finding]
    exchanges: list[Exchange]
    said: list[str]
    handle: SandboxHandle

    @property
    def differences(self) -> dict[tuple[str, str], str]:
        """What was found of each check that differs."""
        return self.of(Verdict.DIFFERS)

    def of(self, verdict: Verdict) -> dict[tuple[str, str], str]:
        """What was found of each check with this verdict."""
        return {
            (one.subject, one.check): one.found for one in self.findings if one.verdict == verdict
        }


def evidence_of(
    url: str,
    clock: SandboxTime,
    said: list[str],
    account: str | None = None,
    day: date | None = BUSY_DAY,
) -> Evidence:
    """Probe what answers at an address."""
    rate_limits = RateLimits(0, clock.now)
    with AdsApiClient(
        SANDBOX_CREDENTIAL,
        Endpoints.sandbox(url),
        now=clock.now,
        sleep=clock.sleep,
        limits=rate_limits,
    ) as client:
        run = Probe(client, PACE, said.append, account=account, day=day)
        run.run()
        return run.evidence


@pytest.fixture
def busy() -> dict[str, Any]:
    """Return the settings of a sandbox whose accounts have rows in every report of `busy_day`."""
    return BUSY


@pytest.fixture
def busy_day() -> str:
    """Return the day to ask for."""
    return BUSY_DAY.isoformat()


@pytest.fixture
def probed() -> Iterator[Callable[..., Probed]]:
    """Probe a sandbox with these settings; `account` names the ads account, and a `day` of None is the probe's own choice."""
    with ExitStack() as stack:

        def probe(account: str | None = None, day: date | None = BUSY_DAY, **config: Any) -> Probed:
            settings = BUSY | {"clock_rate": 0, "token_seconds": 3600} | config
            handle = stack.enter_context(running_sandbox(SandboxConfig.model_validate(settings)))
            said = list[str]()
            evidence = evidence_of(handle.url, SandboxTime(handle), said, account, day)
            return Probed(compare(evidence), list(evidence.exchanges), said, handle)

        yield probe
