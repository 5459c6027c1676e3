"""Dagster's webserver with our `dagster.yaml`, and the sandbox's own pages, refuse requests of other sites' pages."""

import shutil
from collections.abc import Iterator

import httpx
import pytest
from websockets import InvalidStatus, Subprotocol
from websockets.sync.client import connect

from bidbeacon_pipelines.dagster_instance.storage import upgrade_dagster
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.processes import running_webserver

WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["precious"]}}]) { __typename } }'
GRAPHQL = Subprotocol("graphql-ws")
EVIL = "http://evil.example"
PUBLIC_URL = "https://dagster.example.com"
PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def webserver(
    shared_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Yield a client of a webserver with our `dagster.yaml`; it needs no definitions to refuse requests."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(PROJECT_ROOT / "dagster.yaml", home)
    upgrade_dagster(shared_database_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        patch.setenv("BIDBEACON_DATABASE_URL", shared_database_url)
        patch.setenv("BIDBEACON_DAGSTER_PUBLIC_URL", PUBLIC_URL)
        with running_webserver("--empty-workspace") as client:
            yield client


def open_websocket(webserver: httpx.Client, headers: dict[str, str]) -> None:
    """Open a WebSocket as Dagster's page does, and close it."""
    address = str(webserver.base_url.copy_with(scheme="ws", path="/graphql"))
    with connect(address, subprotocols=[GRAPHQL], additional_headers=headers) as websocket:
        websocket.send('{"type": "connection_init"}')
        assert "connection_ack" in str(websocket.recv())


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        pytest.param("GET", {}, id="image"),
        pytest.param("HEAD", {}, id="head"),
        pytest.param("POST", {"Origin": EVIL}, id="form"),
        pytest.param("POST", {"Origin": "null"}, id="sandboxed frame"),
        pytest.param("POST", {"Host": "evil.example", "Origin": EVIL}, id="DNS rebinding"),
        pytest.param("GET", PAGE | {"Host": "evil.example"}, id="rebound page"),
    ],
)
def test_a_page_of_another_site_changes_nothing(
    webserver: httpx.Client, method: str, headers: dict[str, str]
) -> None:
    """Each way in which a browser lets a page send a mutation is refused."""
    refused = webserver.request(method, "/graphql", params={"query": WIPE}, headers=headers)
    assert 403 == refused.status_code


def test_other_endpoints_refuse_a_page_of_another_site(webserver: httpx.Client) -> None:
    """The page opens no WebSocket and reports no materialization."""
    host = f"evil.example:{webserver.base_url.port}"
    for headers in ({"Origin": EVIL}, {"Origin": f"http://{host}", "Host": host}):
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            open_websocket(webserver, headers)
    refused = webserver.post("/report_asset_materialization/forged", headers={"Origin": EVIL})
    assert 403 == refused.status_code


@pytest.mark.parametrize("origin", [None, "own", PUBLIC_URL])
def test_programs_and_own_pages_may_change(webserver: httpx.Client, origin: str | None) -> None:
    """Dagster's page works at its own address and at its public one."""
    own = str(webserver.base_url).rstrip("/")
    headers = {} if origin is None else {"Origin": own if origin == "own" else origin}
    open_websocket(webserver, headers)
    report = webserver.post("/report_asset_materialization/precious", json={}, headers=headers)
    assert report.is_success
    answer = webserver.post("/graphql", json={"query": WIPE}, headers=headers).json()
    assert "AssetWipeSuccess" == answer["data"]["wipeAssets"]["__typename"]


def test_pages_and_health_checks_are_served(webserver: httpx.Client) -> None:
    """A health check may name any host that is not of another domain."""
    for path in ("/runs", "/graphql"):
        assert webserver.get(path, headers=PAGE).is_success
    for host in ("10.1.2.3:3000", "dagster-webserver", "dagster.example.com"):
        assert webserver.get("/server_info", headers={"Host": host}).is_success
