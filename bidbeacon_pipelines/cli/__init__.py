"""The command `bidbeacon`: everything that can be done without Dagster's UI."""

import sys
import traceback

import typer

from bidbeacon_pipelines.cli.accounts import accounts_app
from bidbeacon_pipelines.cli.alerts import alerts_app
from bidbeacon_pipelines.cli.checkup import doctor
from bidbeacon_pipelines.cli.contract import contract_app
from bidbeacon_pipelines.cli.credentials import credentials_app
from bidbeacon_pipelines.cli.database import db_app
from bidbeacon_pipelines.cli.entities import entities_app
from bidbeacon_pipelines.cli.errors import BadOptionError, ExitCode, check_arguments, report_error
from bidbeacon_pipelines.cli.loading import load, parse_days, refresh
from bidbeacon_pipelines.cli.output import errors, safe_output
from bidbeacon_pipelines.cli.probe import probe
from bidbeacon_pipelines.cli.quarantine import quarantine_app
from bidbeacon_pipelines.cli.safe_console import safe_text
from bidbeacon_pipelines.cli.services import dev, stream
from bidbeacon_pipelines.cli.sessions import sessions_app
from bidbeacon_pipelines.cli.windows import explain, restatements
from bidbeacon_pipelines.private_files import keep_new_files_private

__all__ = ["BadOptionError", "app", "main", "parse_days"]

app = typer.Typer(no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
for command in (dev, stream, probe, refresh, load, explain, restatements, doctor):
    app.command()(command)
app.add_typer(accounts_app, name="accounts")
app.add_typer(alerts_app, name="alerts")
app.add_typer(contract_app, name="contract")
app.add_typer(credentials_app, name="credentials")
app.add_typer(entities_app, name="entities")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(sessions_app, name="sessions")
app.add_typer(db_app, name="db")


def main() -> None:
    """Run the command; what goes wrong is one clear line and an exit code (`ExitCode`)."""
    keep_new_files_private()
    try:
        with safe_output():
            check_arguments(sys.argv[1:])
            app(args=[safe_text(argument) for argument in sys.argv[1:]])
    except (BadOptionError, OSError) as error:
        sys.exit(report_error(error))
    except Exception as error:  # noqa: BLE001 - a bug keeps its traceback, without secrets
        from bidbeacon_sessions.errors import mask_error

        trace = "".join(traceback.format_exception(mask_error(error)))
        errors.print(trace, markup=False, highlight=False, soft_wrap=True, end="")
        sys.exit(ExitCode.FAILED)
