"""All findings; Home, `bidbeacon doctor` and alerts read this list."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from bidbeacon_pipelines.problems import data_findings, report_findings, system_findings
from bidbeacon_pipelines.problems.findings import Finding, merge
from bidbeacon_pipelines.requests.gate import GateState, list_gates
from bidbeacon_pipelines.requests.queue import list_limits
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.totals import summarize_windows
from bidbeacon_pipelines.states.window_states import WindowState

_FINDERS: Final[Sequence[Callable[[Connection, Settings, datetime], Iterable[Finding]]]] = (
    system_findings.failed_sessions,
    report_findings.failing_calls,
    report_findings.retried_reports,
    report_findings.unlisted_accounts,
    report_findings.accounts_listed_twice,
    system_findings.unpolled_reports,
    data_findings.undecided_days,
    data_findings.removed_rows,
    data_findings.unproven_histories,
    data_findings.silent_countries,
    data_findings.large_quarantines,
    data_findings.left_out_campaigns,
    data_findings.differing_totals,
    system_findings.unwritable_folders,
    system_findings.unwritable_logs,
    system_findings.full_disk,
    system_findings.undelivered_alerts,
    system_findings.unhealthy_processes,
    system_findings.too_many_partitions,
)


@dataclass(frozen=True)
class Survey:
    """All findings, and what they are derived from.

    Attributes:
        findings: All findings, the worst first.
        windows: The number of windows by dataset and state.
        gates: All gates.
        limits: Sentences on what delays reports at present.
    """

    findings: Sequence[Finding]
    windows: Mapping[str, Mapping[WindowState, int]]
    gates: Sequence[GateState]
    limits: Sequence[str]


def survey(connection: Connection, settings: Settings, now: datetime) -> Survey:
    """Return all findings and counts of windows at an instant.

    Findings with the same cause are merged into one, with the sentence of the first.
    """
    windows = summarize_windows(connection, now, settings.late_after)
    gates, at_once = list_gates(connection, now=now), settings.loads_at_once
    limits = list_limits(connection, gates, loads_at_once=at_once, now=now)
    findings = [
        *system_findings.silent_jobs(connection, settings, now),
        *report_findings.stopped_accounts(connection, settings, now),
        *report_findings.unsettled_windows(windows.unsettled, limits),
        *(one for finder in _FINDERS for one in finder(connection, settings, now)),
    ]
    return Survey(merge(findings, now), windows.counts, gates, limits)
