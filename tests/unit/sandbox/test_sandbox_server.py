"""The sandbox as a process of its own, and in a thread."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import running_sandbox

PROGRAM = """
import sys
from bidbeacon_sandbox import SandboxConfig, serve
serve(SandboxConfig(export_seconds=0, report_seconds=0), port=int(sys.argv[1]))
"""


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_process_ends_cleanly(stop: signal.Signals, tmp_path: Path) -> None:
    """A sandbox process ends with code 0 and without a word on SIGINT and on SIGTERM, and leaves no files."""
    port = free_port()
    root = Path(__file__).parents[3]
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(port)],
        env=environment,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as process:
        with httpx.Client(transport=httpx.HTTPTransport(retries=6)) as http:
            make_a_file(http, f"http://127.0.0.1:{port}")
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(stop)
        _, errors = process.communicate(timeout=20)
    assert (0, b"") == (process.returncode, errors)
    assert list(tmp_path.iterdir()) == []


def make_a_file(http: httpx.Client, url: str) -> None:
    """Have the sandbox export something, so that it keeps a file."""
    form = {
        "grant_type": "refresh_token",
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
    }
    token = http.post(
        f"{url}/na/auth/o2/token", data=form | {"refresh_token": "Atzr|sandbox"}
    ).json()
    headers = {
        "Authorization": f"Bearer {token['access_token']}",
        "Amazon-Advertising-API-ClientId": "sandbox-client",
    }
    profile = http.get(f"{url}/na/v2/profiles", headers=headers).json()[0]["profileId"]
    media = "application/vnd.adsexport.v1+json"
    headers |= {
        "Amazon-Advertising-API-Scope": str(profile),
        "Content-Type": media,
        "Accept": media,
    }
    body = {"adProductFilter": ["SPONSORED_PRODUCTS"]}
    export = http.post(f"{url}/na/ads/export", headers=headers, json=body).json()
    assert http.get(f"{url}/na/exports/{export['exportId']}", headers=headers).json()["url"]


def test_files_go_with_the_sandbox() -> None:
    """The generated files of a sandbox in a thread are gone when its block ends."""
    with running_sandbox(SandboxConfig(rows_per_day=5)) as handle:
        account = handle.state.world.accounts.accounts[0]
        catalog = handle.state.world.catalog(account, account.countries[0])
        paths = handle.state.files._write(
            "some", lambda: [f'"{ad.ad_id}"' for ad in catalog.ads], None
        )
        assert [True] == [path.exists() for path in paths]
    assert [False] == [path.exists() for path in paths]


def test_two_sandboxes_side_by_side(start: Callable[..., Any]) -> None:
    """Two sandboxes run side by side, each on its own port with its own state."""
    one, other = start(), start()
    one.fault("throttle")
    statuses = [
        caller.http.get(f"{caller.url}/na/v2/profiles", headers=caller.headers).status_code
        for caller in (one, other)
    ]
    assert (statuses, one.url == other.url) == ([429, 200], False)
