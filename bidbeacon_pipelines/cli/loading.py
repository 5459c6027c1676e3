"""The command that loads windows now."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from bidbeacon_pipelines.accounts.ads_account_queries import read_ads_account
from bidbeacon_pipelines.cli.account_names import AccountOption, CountryOption
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import (
    BadOptionError,
    ExitCode,
    plain_errors,
    report_error,
)
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.cli.sessions import session_with_actions
from bidbeacon_pipelines.settings import get_settings

if TYPE_CHECKING:
    from bidbeacon_pipelines.accounts.queries import Account
    from bidbeacon_pipelines.datasets.registry import Dataset


@plain_errors
def refresh(
    account: AccountOption,
    country: CountryOption = None,
    dataset: Annotated[str, typer.Option(help="The dataset's name.")] = "daily_targets",
    window: Annotated[
        list[str] | None,
        typer.Option(
            help="A day (2026-11-23) or days (2026-11-01..2026-11-07), repeatable; absent: what is due now."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Load report windows now, and print the session's timeline live.

    Exits with 0 if all were loaded, 1 if a day was not, and 2 if the account is paused or disabled,
    or Amazon serves a day no longer: then nothing is requested. Ctrl-C and SIGTERM cancel its
    session (exit codes 130 and 143); the next run continues its requests.
    """
    from bidbeacon_pipelines.accounts.changes import COMMAND_LINE
    from bidbeacon_pipelines.accounts.names import get_named_account
    from bidbeacon_pipelines.cli.recorded import recorded
    from bidbeacon_pipelines.datasets.registry import get_dataset
    from bidbeacon_pipelines.job_context import open_job_context
    from bidbeacon_pipelines.requests.backfill import Progress, drive_windows
    from bidbeacon_pipelines.requests.dispatch import create_reports
    from bidbeacon_pipelines.requests.load_checks import check_active
    from bidbeacon_pipelines.requests.refresh import refresh_account, step_requests

    asked = sorted({day for value in window or [] for day in parse_days(value)})
    chosen = get_dataset(dataset)
    settings = get_settings()
    with open_job_context(settings, database_url(settings)) as context:
        with context.engine.begin() as connection:
            found = get_named_account(connection, account, country)
        check_active(found)
        days = _days_to_load(found, chosen, asked, context.now())
        given = {
            "account": found.account_key,
            "dataset": dataset,
            "windows": [str(day) for day in days],
            "via": "command line",
        }
        job_name = "load-windows" if days else "refresh-account"
        session_id = None
        try:
            with recorded(context, job_name, input=given, account=found.ref, as_json=as_json) as (
                session,
                status,
            ):
                session_id = session.session_id

                def show(progress: Progress) -> None:
                    status.text = f"{progress.done} of {progress.total} loaded, waiting for {progress.waiting_for}"

                if days:
                    drive_windows(
                        context, session, found, chosen, days, by=COMMAND_LINE, on_progress=show
                    )
                else:
                    step_requests(context, session, account_id=found.account_id)
                    refresh_account(
                        context, session, read_ads_account(context.engine, found.account_key)
                    )
                    create_reports(context, session)
        finally:
            if session_id is not None:
                _show_end(context.sessions, session_id, as_json=as_json)
    if len(days) < len(asked):
        raise typer.Exit(ExitCode.FAILED)


def _days_to_load(
    account: "Account", dataset: "Dataset", asked: Sequence[date], now: datetime
) -> list[date]:
    """Return the days that are over in the account's time zone; print which are not.

    Raises:
        DaysNotServedError: Amazon no longer serves some of the days.
        DaysNotOverError: none of the days is over.
    """
    from bidbeacon_pipelines.requests.load_checks import (
        DaysNotOverError,
        check_served,
        split_at_today,
    )
    from bidbeacon_pipelines.windows.rules import local_date

    today = local_date(now, account.time_zone)
    check_served(dataset, asked, today)
    over, not_over = split_at_today(asked, today)
    if not_over:
        error = DaysNotOverError(account, not_over)
        if not over:
            raise error
        report_error(error)
    return over


def _show_end(store: Any, session_id: UUID, *, as_json: bool) -> None:
    from bidbeacon_pipelines.cli.session_output import print_hanging, session_line
    from bidbeacon_sessions.presentation import session_json
    from bidbeacon_sessions.queries import find_session

    if as_json:
        print_json(session_with_actions(store, session_id))
        return
    with store.begin() as connection:
        header = find_session(connection, session_id)
    if header is not None:
        print_hanging(console, Text(), session_line(session_json(header)), indent=2)


def parse_days(value: str) -> list[date]:
    """Return the days of `2026-11-23` or `2026-11-01..2026-11-07` (both ends included)."""
    from bidbeacon_sessions.clock import read_day

    first, dots, last = value.partition("..")
    try:
        start = read_day(first)
        end = read_day(last) if dots else start
    except ValueError:
        raise BadOptionError(
            f"--window: expected 2026-11-23 or 2026-11-01..2026-11-07, got: {value!r}."
        ) from None
    if end < start:
        raise BadOptionError(f"--window: expected the earlier day first, got: {value!r}.")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]
