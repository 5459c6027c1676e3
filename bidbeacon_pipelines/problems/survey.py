"""All findings: the one list that Home, `bidbeacon doctor` and alerts read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from bidbeacon_pipelines.problems import (
    entity_findings,
    history_findings,
    report_findings,
    row_findings,
    system_findings,
)
from bidbeacon_pipelines.problems.findings import Finding, merge
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.totals import summarize_windows
from bidbeacon_pipelines.states.window_states import WindowState

_FINDERS: Final[Sequence[Callable[[Connection, Settings, datetime], Iterable[Finding]]]] = (
    system_findings.find_failed_sessions,
    report_findings.find_calls,
    report_findings.find_retries,
    report_findings.find_unlisted,
    report_findings.find_listed_twice,
    system_findings.find_not_polled,
    row_findings.find_undecided,
    row_findings.find_removed,
    history_findings.find_unproven,
    report_findings.find_silent,
    report_findings.find_quarantine,
    entity_findings.find_left_out,
    report_findings.find_differing,
    system_findings.find_unwritable_folders,
    system_findings.find_unwritable_logs,
    system_findings.find_disk,
    system_findings.find_delivery,
    system_findings.find_processes,
    system_findings.find_partitions,
)


@dataclass(frozen=True)
class Survey:
    """The findings, the worst first, and the number of windows of each dataset in each state."""

    findings: Sequence[Finding]
    windows: Mapping[str, Mapping[WindowState, int]]


def survey(connection: Connection, settings: Settings, now: datetime) -> Survey:
    """Return all findings and counts of windows at an instant.

    The first of several findings with the same cause has the sentence.
    """
    windows = summarize_windows(connection, now, settings.late_after)
    findings = [
        *system_findings.find_silence_of_jobs(connection, settings, now),
        *report_findings.find_stopped(connection, settings, now),
        *report_findings.find_windows(windows.unsettled),
        *(one for find in _FINDERS for one in find(connection, settings, now)),
    ]
    return Survey(merge(findings, now), windows.counts)
