"""The command `bidbeacon-sandbox`, whose options are the fields of `SandboxConfig`."""

import sys

from pydantic import Field, ValidationError
from pydantic_settings import CliApp, SettingsError

from bidbeacon_sandbox.rulebook import RuleError, describe_invalid
from bidbeacon_sandbox.server import SandboxError, serve
from bidbeacon_sandbox.settings import SandboxConfig

USAGE, FAILED = 2, 1


class Command(
    SandboxConfig,
    cli_prog_name="bidbeacon-sandbox",
    cli_kebab_case=True,
    cli_hide_none_type=True,
    cli_avoid_json=True,
    cli_exit_on_error=False,
    cli_implicit_flags=True,
):
    """Imitate the Amazon Ads API over HTTP, with seeded data and rules that inject faults.

    Each option can also be set by an environment variable: SANDBOX_SEED sets --seed.
    """

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(3040, ge=0, le=65_535, description="Port to listen on; 0: any free port.")


def main() -> None:
    """Run the command; exit with 2 for an invalid option, with 1 if the sandbox can't start."""
    try:
        command = CliApp.run(Command, sys.argv[1:])
        serve(command, command.host, command.port)
    except (ValidationError, SettingsError, RuleError, SandboxError) as error:
        text = describe_invalid(error) if isinstance(error, ValidationError) else error
        sys.stderr.write(f"bidbeacon-sandbox: {text}\n")
        sys.exit(FAILED if isinstance(error, SandboxError) else USAGE)


if __name__ == "__main__":
    main()
