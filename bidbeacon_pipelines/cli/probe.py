"""The command `probe`: compares Amazon's answers with the registry before the first load."""

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bidbeacon_pipelines.accounts.queries import list_accounts, list_countries
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.amazon_ads.client import RetryPolicy
from bidbeacon_pipelines.cli.options import OnlyAccount, get_ads_account
from bidbeacon_pipelines.cli.output import Json, console, errors, print_entry, print_json
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.credentials import DEFAULT
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.datasets.registry import DATASETS, get_dataset
from bidbeacon_pipelines.job_context import JobContext, open_job_context
from bidbeacon_pipelines.probe.amazon import Amazon
from bidbeacon_pipelines.probe.answers import Listener
from bidbeacon_pipelines.probe.comparisons import APPLIED, DIFFERS, EXPECTED, UNCHECKED, Comparison
from bidbeacon_pipelines.probe.probe import Probe
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import with_job_session
from bidbeacon_sessions.clock import read_day
from bidbeacon_sessions.errors import ExpectedError, UsageError

_MARKS = {EXPECTED: "fine", APPLIED: "waiting", DIFFERS: "error", UNCHECKED: "warning"}


def _parse_day(value: str) -> date:
    try:
        return read_day(value)
    except ValueError:
        raise UsageError(f"--day: expected a day like 2026-11-23, got: {value!r}.") from None


def probe(
    account: OnlyAccount = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Probe this dataset; repeatable (default: all).")
    ] = None,
    day: Annotated[
        date | None,
        typer.Option(
            parser=_parse_day, metavar="DAY", help="Day to request (default: two days ago)."
        ),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="The recording's file (default: a new one in this folder).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Store differences as overrides of the registry.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare Amazon's answers with BidBeacon's expectations, after a confirmation.

    Exits with 0 if nothing differs or `--apply` stored all differences, 1 if not, and 2 if an
    option is wrong or there is no database.
    """
    settings, listener = get_settings(), Listener()
    datasets = [get_dataset(name) for name in dataset or DATASETS]
    retry = RetryPolicy(patience=3600)
    with open_job_context(settings, open_database(settings), retry=retry) as context:
        for credential in settings.credentials or (DEFAULT,):
            listener.listen(context.client_for(credential))
        ads_account = _get_account(context, account)
        with context.engine.begin() as connection:
            contract = read_contract(connection, ads_account.account_id)
        today = context.now().date()
        requested = day or today - timedelta(days=2)
        run = Probe(ads_account, contract, datasets, requested, today, listener)
        _print_costs(run)
        if not yes and not typer.confirm("Continue?", err=True):
            raise ExpectedError("Cancelled: nothing was created at Amazon.")
        file = _create_file(record)
        _run(context, run, file, apply=apply)
    _print(run.comparisons, as_json=as_json)
    _print_note(f"The recording is in {file}.")
    if run.is_interrupted:
        raise typer.Exit(128 + signal.SIGINT)
    if any(one.verdict == DIFFERS for one in run.comparisons):
        raise typer.Exit(1)


def _get_account(context: JobContext, named: str | None) -> AdsAccount:
    """Sync accounts; return the named ads account, by default an active one with a profile."""
    _print_note("Listing accounts and profiles")
    given = {"via": "command line"}
    with with_job_session("sync-accounts", store=context.sessions, input=given) as session:
        sync_accounts(context, session)
    if named is not None:
        return get_ads_account(named)
    with context.engine.begin() as connection:
        for account in list_accounts(connection):
            if account.stop_reason is None and account.profile_id is not None:
                return account.ads_account
    raise ExpectedError(
        "There is no active account with a profile: `bidbeacon accounts list` shows the accounts, "
        "and --account chooses one."
    )


def _print_costs(run: Probe) -> None:
    of = run.ads_account
    minutes = sum(2 * one.dataset.usual_latency / timedelta(minutes=1) for one in run.reports)
    _print_note(
        f"The probe creates {2 * len(run.reports)} reports and 4 exports for {of.label} "
        f"({of.region}), one after another; Amazon usually takes {minutes:.0f} minutes for them. "
        "It costs no money and changes nothing at Amazon. Meanwhile it takes one of the report "
        "slots of this client id and region, so other reports may wait. If Amazon serves fewer or "
        "more days than expected, more reports are created to find out how many. If Amazon "
        "refuses several ad products in one report, each ad product is requested alone."
    )


def _create_file(record: Path | None) -> Path:
    # Created before any report, so that a mistyped path fails early; private.
    file = record or Path(f"bidbeacon-probe-{datetime.now(UTC):%Y%m%d-%H%M%S}.json")
    try:
        file.touch(mode=0o600)
        file.chmod(0o600)  # touch keeps the mode of an existing file
    except OSError as error:
        raise UsageError(f"--record: {file} can't be written: {error.strerror}.") from error
    return file


def _run(context: JobContext, run: Probe, file: Path, *, apply: bool) -> None:
    ads_account = run.ads_account
    with context.engine.begin() as connection:
        every = list_countries(connection, ads_account.account_id)
    enabled = [one for one in every if one.amazon_status != "DISABLED"] or every
    countries = sorted(enabled, key=lambda one: one.profile_id is None)
    given = {"day": str(run.day), "datasets": [one.name for one in run.datasets]}
    try:
        with with_job_session(
            "probe", store=context.sessions, input=given, account=ads_account.ref
        ) as session:
            run.run(Amazon(context, session, ads_account, countries, run.contract, _print_note))
            if apply:
                run.apply()
    except KeyboardInterrupt:
        run.is_interrupted = True
    finally:
        run.write_recording(file)


def _print_note(sentence: str) -> None:
    errors.print(sentence, style="dim")


def _print(comparisons: Sequence[Comparison], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in comparisons])
        return
    for one in comparisons:
        if one.verdict != EXPECTED:
            amazon = f"Amazon: {one.amazon}" if one.amazon else ""
            to_do = f"→ {one.to_do}" if one.to_do else ""
            head = Text(f"{one.subject}: {one.check} {one.verdict}")
            print_entry(_MARKS[one.verdict], head, (one.found, amazon, to_do))
    counts = Counter(one.verdict for one in comparisons)
    console.print(", ".join(f"{counts[verdict]} {verdict}" for verdict in _MARKS) + ".")
