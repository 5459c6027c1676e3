from datetime import timedelta

import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.ads_api import AdsApiClient, Endpoints, connect
from bidbeacon_pipelines.ads_api.errors import AuthError
from bidbeacon_pipelines.ads_api.throttle import RegionThrottle
from bidbeacon_pipelines.settings import Settings
from tests.unit.ads_api.fakes import CREDENTIALS, FakeClock


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


def test_calls_of_a_region_start_apart() -> None:
    """Calls that come at once start one interval after the other; another region isn't held up."""
    clock = FakeClock()
    throttle = RegionThrottle(clock, interval_seconds=0.5)
    start = clock.now()
    for _ in range(3):
        with throttle.place("NA"):
            pass
    assert clock.now() - start == timedelta(seconds=1)
    with throttle.place("EU"):
        assert clock.now() - start == timedelta(seconds=1)


def test_late_calls_do_not_wait() -> None:
    """A call that comes after the interval starts at once."""
    clock = FakeClock()
    throttle = RegionThrottle(clock, interval_seconds=0.5)
    with throttle.place("NA"):
        clock.instant += timedelta(seconds=5)
    with throttle.place("NA"):
        assert clock.slept == []


def test_clock_set_back_holds_nobody_up() -> None:
    """A clock that jumps back an hour doesn't make the next call wait for an hour."""
    clock = FakeClock()
    throttle = RegionThrottle(clock, interval_seconds=0.5)
    with throttle.place("NA"):
        clock.instant -= timedelta(hours=1)
    with throttle.place("NA"):
        assert sum(clock.slept) <= 50


def test_places_of_a_region_are_bounded() -> None:
    """While a region's places are taken none is left there, and all are in the others."""
    throttle = RegionThrottle(FakeClock(), interval_seconds=0, places=2)
    with throttle.place("NA"), throttle.place("NA"):
        assert not throttle._lanes["NA"].places.acquire(blocking=False)
        assert throttle._lanes["EU"].places.acquire(blocking=False)
    assert throttle._lanes["NA"].places.acquire(blocking=False)


def test_place_is_given_back_after_an_error() -> None:
    """A call that fails leaves its place to the next."""
    throttle = RegionThrottle(FakeClock(), places=1)
    for _ in range(2):
        with pytest.raises(RuntimeError), throttle.place("NA"):
            raise RuntimeError
