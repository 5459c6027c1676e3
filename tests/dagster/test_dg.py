"""Dagster's own command line finds the project and what it defines."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.dagster.world import World


def dg(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dg` in the project's folder."""
    command = [str(Path(sys.executable).with_name("dg")), *arguments]
    return subprocess.run(command, check=False, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=280)


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
