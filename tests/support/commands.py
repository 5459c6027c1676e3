"""How tests run commands in their own process."""

from typer.testing import CliRunner, Result

from bidbeacon_pipelines.cli import app


def run(*arguments: str, code: int = 0) -> Result:
    """Run `bidbeacon` with arguments; it must end with an exit code."""
    result = CliRunner().invoke(app, list(arguments))
    assert code == result.exit_code, result.output
    return result
