"""Commands of `bidbeacon`, run in this process."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from bidbeacon_pipelines.cli import app


def run_command(*arguments: str, code: int | None = 0) -> Result:
    """Run a command; it must end with an exit code, or with any if that is None."""
    result = CliRunner().invoke(app, list(arguments))
    assert code in {None, result.exit_code}, result.output
    return result


def json_of(*arguments: str, code: int | None = 0) -> Any:
    """Run a command with `--json`, as `run_command` does; return the document that it prints."""
    return json.loads(run_command(*arguments, "--json", code=code).stdout)


def unwrapped(printed: str) -> str:
    """Return what was printed, without line breaks and repeated spaces."""
    return " ".join(printed.split())
