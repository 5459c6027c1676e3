"""Dagster's webserver, as `dg dev` starts it, and the sandbox's own pages refuse what web pages of other sites ask for."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets
from dagster import AssetKey, AssetMaterialization, DagsterInstance

from bidbeacon_pipelines.dagster_storage import upgrade_dagster
from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.sandbox.server import running_sandbox
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from tests.dagster.world import wait_until

ASSET = AssetKey("precious")
WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["precious"]}}]) { __typename } }'
EVIL = "http://evil.example"
PUBLIC_URL = "https://dagster.example.com"


class Webserver:
    """A running webserver of Dagster's on our storage, and what its instance knows."""

    def __init__(self, port: int, instance: DagsterInstance) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.instance = instance

    def answers(self) -> bool:
        """Return whether it has started."""
        try:
            return self.request("GET", "/server_info") == httpx.codes.OK
        except httpx.TransportError:
            return False

    def remembers(self) -> bool:
        """Return whether the asset's materialization is still there."""
        return self.instance.get_latest_materialization_event(ASSET) is not None

    def materialize(self) -> None:
        """Record a materialization of the asset."""
        self.instance.report_runless_asset_event(AssetMaterialization(ASSET))

    def request(self, method: str, path: str = "/graphql", **options: Any) -> int:
        """Send a request, and return its status."""
        return httpx.request(
            method, self.url + path, timeout=30, trust_env=False, **options
        ).status_code

    def connect(self, **headers: str) -> None:
        """Open a WebSocket as Dagster's page does, and close it."""

        async def connect() -> None:
            address = self.url.replace("http", "ws") + "/graphql"
            async with websockets.connect(
                address,
                subprotocols=[websockets.Subprotocol("graphql-ws")],
                additional_headers=headers,
            ) as socket:
                await socket.send('{"type": "connection_init"}')
                assert "connection_ack" in str(await socket.recv())

        asyncio.run(connect())


@pytest.fixture(scope="module")
def webserver(
    shared_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Webserver]:
    """Yield the webserver of `dg dev` with our `dagster.yaml`; an interrupt ends it and all that it has started."""
    home, port = tmp_path_factory.mktemp("home"), choose_port()
    shutil.copy(PROJECT_ROOT / "dagster.yaml", home)
    upgrade_dagster(shared_database_url)
    command = [Path(sys.executable).with_name("dg"), "dev", "--port", str(port)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        patch.setenv("BIDBEACON_DATABASE_URL", shared_database_url)
        patch.setenv("BIDBEACON_DAGSTER_PUBLIC_URL", PUBLIC_URL)
        get_settings.cache_clear()
        with (
            DagsterInstance.get() as instance,
            subprocess.Popen(command, cwd=PROJECT_ROOT, start_new_session=True) as process,
        ):
            started: list[psutil.Process] = []
            try:
                server = Webserver(port, instance)
                wait_until(
                    lambda: process.poll() is not None or server.answers(), "it answers", 120
                )
                started = psutil.Process(process.pid).children(recursive=True)
                yield server
                process.send_signal(signal.SIGINT)
                process.wait(60)
                assert [] == psutil.wait_procs(started, timeout=60)[1]
            finally:
                for each in filter(psutil.Process.is_running, started):
                    each.kill()
                process.kill()


def test_our_definitions_are_loaded(webserver: Webserver) -> None:
    """`dg dev` finds the code location."""
    query = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
    answer = httpx.post(f"{webserver.url}/graphql", json={"query": query}, timeout=30).json()
    [location] = answer["data"]["workspaceOrError"]["locationEntries"]
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation"


@pytest.mark.parametrize(
    ("method", "options"),
    [
        pytest.param("GET", {}, id="image"),
        pytest.param("HEAD", {}, id="head"),
        pytest.param("POST", {"headers": {"Origin": EVIL}}, id="form"),
        pytest.param(
            "POST",
            {"headers": {"Origin": EVIL, "Content-Type": "text/plain"}},
            id="simple content type",
        ),
        pytest.param("POST", {"headers": {"Origin": "null"}}, id="sandboxed frame"),
        pytest.param(
            "POST", {"headers": {"Host": "evil.example", "Origin": EVIL}}, id="DNS rebinding"
        ),
        pytest.param(
            "GET", {"headers": {"Host": "evil.example", "Accept": "text/html"}}, id="rebound page"
        ),
    ],
)
def test_a_page_of_another_site_wipes_nothing(
    webserver: Webserver, method: str, options: dict[str, Any]
) -> None:
    """Each way in which a browser lets a page send a mutation ends with 403, and the materialization is still there."""
    webserver.materialize()
    assert 403 == webserver.request(method, params={"query": WIPE}, **options)
    assert webserver.remembers()


def test_a_page_of_another_site_opens_no_websocket(webserver: Webserver) -> None:
    """The handshake ends with 403 for a foreign origin, and for a foreign host."""
    port = webserver.url.rpartition(":")[2]
    for headers in ({"Origin": EVIL}, {"Origin": f"{EVIL}:{port}", "Host": f"evil.example:{port}"}):
        with pytest.raises(websockets.InvalidStatus) as refused:
            webserver.connect(**headers)
        assert 403 == refused.value.response.status_code


def test_a_page_of_another_site_reports_no_materialization(webserver: Webserver) -> None:
    """Dagster's endpoint for assets of other systems refuses it too."""
    options = {"json": {"partition": "forged"}, "headers": {"Origin": EVIL}}
    assert 403 == webserver.request("POST", "/report_asset_materialization/forged", **options)
    assert webserver.instance.get_latest_materialization_event(AssetKey("forged")) is None


@pytest.mark.parametrize("origin", [None, "own", PUBLIC_URL])
def test_dagsters_own_page_and_programs_go_on_working(
    webserver: Webserver, origin: str | None
) -> None:
    """Programs, Dagster's page at its own address and at its public one may wipe, and open WebSockets."""
    webserver.materialize()
    headers = {} if origin is None else {"Origin": webserver.url if origin == "own" else origin}
    webserver.connect(**headers)
    assert webserver.remembers()
    assert 200 == webserver.request("POST", json={"query": WIPE}, headers=headers)
    assert not webserver.remembers()


def test_pages_open(webserver: Webserver) -> None:
    """Dagster's page, its GraphQL console and the look of a health check are served."""
    page = {"Accept": "text/html,application/xhtml+xml"}
    assert 200 == webserver.request("GET", "/runs", headers=page)
    assert 200 == webserver.request("GET", "/graphql", headers=page)
    assert 200 == webserver.request("GET", "/server_info", headers={"Host": "10.1.2.3:3000"})
    assert 200 == webserver.request("GET", "/server_info", headers={"Host": "dagster-webserver"})
    assert 200 == webserver.request("GET", "/server_info", headers={"Host": "dagster.example.com"})


def test_a_page_of_another_site_controls_no_sandbox() -> None:
    """Faults can't be added by a foreign page, nor by a page whose name points here; programs can, and Amazon's part is not guarded."""
    fault = '[{"fault": "throttle", "probability": 1}]'
    with running_sandbox() as sandbox:
        for headers in ({"Origin": EVIL}, {"Origin": "null"}, {"Host": "evil.example"}):
            answer = httpx.post(f"{sandbox.url}/sandbox/faults", content=fault, headers=headers)
            assert 403 == answer.status_code
        assert {"faults": []} == httpx.get(f"{sandbox.url}/sandbox/faults").json()
        assert 404 == httpx.get(f"{sandbox.url}/nothing", headers={"Origin": EVIL}).status_code
        assert httpx.post(f"{sandbox.url}/sandbox/faults", content=fault).is_success
        assert httpx.get(f"{sandbox.url}/sandbox/faults").json()["faults"]
