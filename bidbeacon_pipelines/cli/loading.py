"""The command that loads windows now."""

from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from bidbeacon_pipelines.cli.frame import (
    BadOptionError,
    Json,
    console,
    database_url,
    plain_errors,
    print_json,
)
from bidbeacon_pipelines.cli.sessions import session_with_actions
from bidbeacon_pipelines.settings import get_settings

AccountKey = Annotated[
    str, typer.Option("--account", help="The account's key, as `bidbeacon accounts list` shows it.")
]


@plain_errors
def refresh(
    account: AccountKey,
    dataset: Annotated[str, typer.Option(help="The dataset's name.")] = "daily_targets",
    window: Annotated[
        list[str] | None,
        typer.Option(
            help="A day (2026-11-23) or days (2026-11-01..2026-11-07), repeatable; absent: what is due now."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Load report windows now, and print the session's timeline as it happens; exits 0 when all were loaded, else 1."""
    from bidbeacon_pipelines.cli.session_output import following
    from bidbeacon_pipelines.reports.datasets import get_dataset
    from bidbeacon_pipelines.services.by_hand import drive_windows
    from bidbeacon_pipelines.services.dispatch import create_reports
    from bidbeacon_pipelines.services.refresh import refresh_account, step_requests
    from bidbeacon_pipelines.services.waiting import job_session
    from bidbeacon_pipelines.services.workbench import open_workbench
    from bidbeacon_pipelines.store.accounts import get_account

    days = [day for value in window or [] for day in parse_days(value)]
    chosen = get_dataset(dataset)
    settings = get_settings()
    given = {
        "account": account,
        "dataset": dataset,
        "windows": [str(day) for day in days],
        "via": "command line",
    }
    quiet = Console(quiet=True) if as_json else console
    with open_workbench(settings, database_url(settings)) as bench:
        with bench.engine.begin() as connection:
            found = get_account(connection, account)
        job_name = "load-windows" if days else "refresh-account"
        try:
            with job_session(
                bench,
                job_name,
                input=given,
                account=found.ref,
                watched_by=lambda session: following(quiet, bench.sessions, session.session_id),
            ) as session:
                if days:
                    drive_windows(bench, session, found, chosen, days)
                else:
                    step_requests(bench, session, account_id=found.account_id)
                    refresh_account(bench, session, bench.ads_account(account))
                    create_reports(bench, session)
        finally:
            _show_end(bench.sessions, session.session_id, as_json=as_json)


def _show_end(store: Any, session_id: UUID, *, as_json: bool) -> None:
    from bidbeacon_pipelines.cli.session_output import session_line
    from bidbeacon_sessions.presentation import session_json
    from bidbeacon_sessions.queries import find_session

    if as_json:
        print_json(session_with_actions(store, session_id))
        return
    with store.begin() as connection:
        header = find_session(connection, session_id)
    if header is not None:
        console.print(session_line(session_json(header)))


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
