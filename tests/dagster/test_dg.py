"""Dagster's own command line finds the project and what it defines."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.dev.services import choose_port, is_free
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.dagster.world import World, wait_until

DG = Path(sys.executable).with_name("dg")
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"


def dg(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dg` in the project's folder."""
    command = [str(DG), *arguments]
    return subprocess.run(
        command, check=False, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=280
    )


def names(listed: list[dict[str, Any]], field: str) -> set[str]:
    """Return the names of what `dg list defs` lists."""
    return {each[field] for each in listed}


def test_dg_lists_what_the_modules_of_defs_define(real: World) -> None:
    """Assets, jobs, schedules and sensors, each once."""
    result = dg("list", "defs", "--json")
    assert result.returncode == 0, result.stderr
    listed = json.loads(result.stdout)
    expected = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert expected == names(listed["assets"], "asset_key")
    assert {each.name for each in defs.jobs or ()} == names(listed["jobs"], "name")
    assert {each.name for each in defs.schedules or ()} == names(listed["schedules"], "name")
    assert {each.name for each in defs.sensors or ()} == names(listed["sensors"], "name")
    for kind in ("assets", "jobs", "schedules", "sensors"):
        assert len(listed[kind]) == len({str(each) for each in listed[kind]}), kind


def test_dg_finds_no_fault_in_the_definitions(real: World) -> None:
    """`dg check defs` loads them as Dagster does."""
    result = dg("check", "defs")
    assert result.returncode == 0, result.stdout + result.stderr


def test_dg_dev_serves_the_definitions_until_it_is_interrupted(real: World, tmp_path: Path) -> None:
    """Its webserver answers with our definitions loaded; Ctrl-C ends it and everything that it has started."""
    port = choose_port()
    with (
        dg_dev(port, tmp_path / "printed") as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as web,
    ):
        wait_until(
            lambda: process.poll() is not None or _answers(web), "`dg dev` answers", seconds=120
        )
        assert process.poll() is None, (tmp_path / "printed").read_text()[-2_000:]
        [location] = web.post("/graphql", json={"query": LOCATIONS}).json()["data"][
            "workspaceOrError"
        ]["locationEntries"]
        assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation"
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        _, left = psutil.wait_procs(started, timeout=60)
        assert left == []
    assert is_free(port)


@contextmanager
def dg_dev(port: int, printed: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `dg dev` in a process group of its own, of which nothing is left at the end."""
    command = [str(DG), "dev", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    with (
        printed.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        started = psutil.Process(process.pid)
        try:
            yield process
        finally:
            for each in [*_children(started), started]:
                if each.is_running():
                    each.kill()


def _children(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True) if process.is_running() else []


def _answers(web: httpx.Client) -> bool:
    try:
        return web.get("/server_info").is_success
    except httpx.TransportError:
        return False
