"""The command that compares Amazon's responses with the contract, before anything is loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from bidbeacon_pipelines.cli.errors import BadOptionError, ExitCode, plain_errors
from bidbeacon_pipelines.cli.output import Json, console, errors, print_json
from bidbeacon_pipelines.settings import get_settings

if TYPE_CHECKING:
    from bidbeacon_pipelines.probe.calls import Pace, Probe
    from bidbeacon_pipelines.probe.compare import Finding
    from bidbeacon_pipelines.settings import Settings

_STYLES = {"as expected": "green", "differs": "bold red", "could not be checked": "yellow"}


@plain_errors
def probe(
    account: Annotated[
        str | None,
        typer.Option(help="Ads account: name, key or id; absent: the first that allows reports."),
    ] = None,
    credential: Annotated[
        str | None,
        typer.Option(help="Name of the credential to ask with; absent: the first."),
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day to request; absent: two days ago."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="File for the redacted recording; absent: a new file in this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare Amazon's responses with what BidBeacon expects; writes to no database.

    Exits with 1 if something differs.
    """
    from bidbeacon_pipelines.amazon_ads.client import connect
    from bidbeacon_pipelines.probe.calls import NoSuchAccountError, Probe
    from bidbeacon_pipelines.probe.compare import compare

    settings = get_settings()
    with connect(settings, credential) as client:
        file = _prepare(record)
        run = Probe(
            client,
            _pace(settings),
            _print_progress,
            account=account,
            day=day.date() if day else None,
        )
        try:
            run.run()
        except NoSuchAccountError as error:
            raise BadOptionError(f"--account: {error}") from None
        finally:
            _write(file, run)
    findings = compare(run.evidence)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        console.print(_table(findings))
        console.print(_summary(findings), highlight=False)
    _print_progress(f"The redacted recording is in {file}.")
    if run.is_interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    is_well = run.has_account and not any(finding.verdict == "differs" for finding in findings)
    raise typer.Exit(ExitCode.OK if is_well else ExitCode.FAILED)


def _print_progress(sentence: str) -> None:
    errors.print(sentence, style="dim", markup=False, highlight=False)


def _prepare(record: Path | None) -> Path:
    """Create the recording's file before any call, so that a mistyped path fails at once."""
    from bidbeacon_pipelines.recordings import create_private

    file = record or Path(f"bidbeacon-probe-{datetime.now(UTC):%Y%m%d-%H%M%S}.json")
    try:
        create_private(file)
    except OSError as error:
        raise BadOptionError(f"--record: {file} can't be written: {error.strerror}.") from error
    return file


def _pace(settings: "Settings") -> "Pace":
    from bidbeacon_pipelines.probe.calls import Pace

    poll = settings.poll_every.total_seconds()
    return (
        Pace(poll=poll, between=0.0, throttled=(2.0, 5.0))
        if settings.uses_sandbox
        else Pace(poll=poll)
    )


def _write(file: Path, run: "Probe") -> None:
    from bidbeacon_pipelines.probe.redaction import redacted
    from bidbeacon_pipelines.recordings import write_recording

    write_recording(file, redacted(run.recorder.exchanges))


def _table(findings: "Sequence[Finding]") -> Table:
    table = Table(box=None, padding=(0, 1), show_edge=False)
    for heading in ("", "", "checked", "found, and what to do"):
        table.add_column(heading, overflow="fold")
    for subject in dict.fromkeys(finding.subject for finding in findings):
        for verdict, checks, found in _lines(
            [finding for finding in findings if finding.subject == subject]
        ):
            table.add_row(subject, Text(verdict, _STYLES[verdict]), checks, Text(found))
    return table


def _lines(group: "Sequence[Finding]") -> Iterator[tuple[str, str, str]]:
    """Yield the lines of a subject: what is as expected shares one."""
    expected = [finding for finding in group if finding.verdict == "as expected"]
    if expected:
        found = "; ".join(finding.found for finding in expected if finding.found)
        yield "as expected", ", ".join(finding.check for finding in expected), found
    for finding in group:
        if finding not in expected:
            yield (
                finding.verdict,
                finding.check,
                f"{finding.found}\n→ {finding.to_do}" if finding.to_do else finding.found,
            )


def _summary(findings: "Sequence[Finding]") -> Text:
    counts = {name: sum(finding.verdict == name for finding in findings) for name in _STYLES}
    worst = next(
        (name for name in ("differs", "could not be checked") if counts[name]), "as expected"
    )
    return Text(
        ", ".join(f"{count} {name}" for name, count in counts.items()) + ".", _STYLES[worst]
    )
