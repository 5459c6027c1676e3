import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

import bidbeacon_pipelines
from bidbeacon_pipelines.amazon_ads import (
    AdsApiClient,
    Endpoints,
    connect,
    create_export,
    create_report,
    get_export,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.errors import AuthError, Rejected
from bidbeacon_pipelines.amazon_ads.rate_limits import LocalRateLimits
from bidbeacon_pipelines.settings import Region, Settings
from tests.unit.amazon_ads.fakes import (
    CREDENTIALS,
    FakeAmazon,
    FakeClock,
    FakeLog,
    open_bench,
    report_answer,
)


def test_without_credentials_the_sandbox_is_spoken_to() -> None:
    """No credentials mean the sandbox at its port, with a path for each region."""
    with connect(Settings(sandbox_port=4040, _env_file=None)) as client:
        assert client.endpoints.api["EU"] == "http://127.0.0.1:4040/eu"
        assert client.endpoints.token["FE"] == "http://127.0.0.1:4040/fe/auth/o2/token"
        assert client.client_id == "sandbox-client"


def test_with_credentials_amazon_is_spoken_to() -> None:
    """Credentials mean Amazon's own hosts."""
    settings = Settings(
        ads_api_client_id="id",
        ads_api_client_secret=SecretStr("secret"),
        ads_api_refresh_token=SecretStr("Atzr|x"),
        _env_file=None,
    )
    with connect(settings) as client:
        assert client.endpoints == Endpoints.amazon()
        assert client.client_id == "id"


def test_half_credentials_are_an_error() -> None:
    """A client id without its secret is named, instead of falling back to the sandbox."""
    with pytest.raises(AuthError, match="CLIENT_SECRET"):
        connect(Settings(ads_api_client_id="id", _env_file=None))


def test_secrets_are_not_shown() -> None:
    """Credentials can be printed."""
    assert "secret-1" not in repr(CREDENTIALS)
    assert "refresh-1" not in repr(CREDENTIALS)


def test_client_closes_its_connections() -> None:
    """The end of the `with` block is the end of the connections."""
    with AdsApiClient(CREDENTIALS, Endpoints.amazon()) as client:
        assert not client.http.is_closed
    assert client.http.is_closed


def test_proxies_count_for_amazon_only() -> None:
    """The environment's proxy doesn't come between us and a sandbox on this machine."""
    assert Endpoints.amazon().uses_proxy
    assert not Endpoints.sandbox("http://127.0.0.1:3040").uses_proxy


def test_connect_hands_on_its_tools() -> None:
    """What a job connects with is what its client works with."""
    log, clock, rate_limits = FakeLog(), FakeClock(), LocalRateLimits()
    settings = Settings(sandbox_port=4040, _env_file=None)
    with connect(settings, rate_limits=rate_limits, log=log, clock=clock) as client:
        assert client.log is log
        assert client.clock is clock
        assert client._rate_limiter._rate_limits is rate_limits


def test_hosts_are_named_in_one_place() -> None:
    """Amazon's addresses stand in the endpoints alone: everywhere else the host comes from the region."""
    package = Path(bidbeacon_pipelines.__file__).parent
    literal = re.compile(r"advertising-api(-eu|-fe)?\.amazon|api\.amazon\.co|\.amazonaws\.com")
    named = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if literal.search(path.read_text())
    }
    assert named == {"amazon_ads/credentials.py"}


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("NA", "advertising-api.amazon.com"),
        ("EU", "advertising-api-eu.amazon.com"),
        ("FE", "advertising-api-fe.amazon.com"),
    ],
)
def test_every_call_goes_to_its_region(region: Region, host: str) -> None:
    """Reports and exports are asked for, and looked at, on the host of the account's region."""
    bench = open_bench(attempts=1)
    day = date(2025, 12, 29)
    for ask in (
        lambda: create_report(bench.client, region, "a", fields=["x"], start=day, end=day),
        lambda: retrieve_report(bench.client, region, "r"),
        lambda: create_export(bench.client, region, "1", "ads"),
        lambda: get_export(bench.client, region, "1", "ads", "e"),
    ):
        bench.amazon.plays(httpx.Response(400))
        with pytest.raises(Rejected):
            ask()
    assert {call.url.host for call in bench.amazon.calls} == {host}


@pytest.mark.parametrize(
    ("region", "host"),
    [("NA", "api.amazon.com"), ("EU", "api.amazon.co.uk"), ("FE", "api.amazon.co.jp")],
)
def test_tokens_come_from_the_credentials_region(region: Region, host: str) -> None:
    """The token endpoint is that of the region that issued the refresh token, whatever region is called."""
    amazon = FakeAmazon()
    amazon.plays(report_answer(reportId="r"))
    transport = httpx.MockTransport(amazon.handle)
    with AdsApiClient(
        replace(CREDENTIALS, region=region),
        Endpoints.amazon(),
        transport=transport,
        clock=FakeClock(),
    ) as client:
        retrieve_report(client, "NA", "r")
    assert [call.url.host for call in amazon.token_calls] == [host]
