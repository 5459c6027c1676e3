"""Findings on windows: which failed, are late or wait for a second report, by cause."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.findings import (
    NAMES_SHOWN,
    SETTLES_AFTER,
    Effect,
    Finding,
    counted,
    finding_key,
    found,
    in_datasets,
)
from bidbeacon_pipelines.problems.job_findings import NOTHING_HAPPENS
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.states import WindowState, state_values, windows_in

_WORDS: Final = {
    WindowState.FAILED: "failed",
    WindowState.LATE: "late",
    WindowState.LATE_AT_AMAZON: "waiting for Amazon",
    WindowState.SUSPICIOUS: "waiting for a second report",
    WindowState.UNCONFIRMED: "waiting for a second report",
}
"""The states that somebody should know of. What is expired is only counted: nothing can be done about it."""
SEVERITIES: Final = {
    WindowState.FRESH: Severity.FINE,
    WindowState.MISSING: Severity.FINE,
    WindowState.DUE: Severity.WAITING,
    WindowState.REQUESTED: Severity.WAITING,
    WindowState.LOADING: Severity.WAITING,
    WindowState.FAILED: Severity.ERROR,
    WindowState.LATE: Severity.ERROR,
    WindowState.EXPIRED: Severity.ERROR,
    WindowState.NEEDS_ATTENTION: Severity.ERROR,
}
"""How serious a state is; each other one is a warning."""
_SECOND_REPORT = timedelta(minutes=45)
_ALL_DAYS = 731


def find_windows(unsettled: Sequence[RowMapping]) -> list[Finding]:
    """Return why windows are not as they should be; see `windows.totals.WindowSummary.unsettled`."""
    alike: dict[tuple[str, str], list[RowMapping]] = {}
    for row in unsettled:
        alike.setdefault((row["state"], finding_key(row["cause"])), []).append(row)
    return [_finding(WindowState(state), rows) for (state, _), rows in alike.items()]


def _finding(state: WindowState, rows: Sequence[RowMapping]) -> Finding:
    windows, accounts = sum(row["windows"] for row in rows), max(row["accounts"] for row in rows)
    datasets, names = [row["dataset"] for row in rows], [n for row in rows for n in row["names"]]
    of = f" of {counted(accounts, 'account')}" if accounts > 1 else ""
    effect = f"{counted(windows, 'window')}{of} {_WORDS[state]}{in_datasets(datasets)}"
    needs_second = state in (WindowState.SUSPICIOUS, WindowState.UNCONFIRMED)
    return found(
        rows[0]["cause"],
        Effect(effect, _link(state, rows), windows),
        severity=SEVERITIES.get(state, Severity.WARNING),
        names=tuple(dict.fromkeys(names))[:NAMES_SHOWN],
        accounts=accounts,
        datasets=tuple(datasets),
        since=min((row["since"] for row in rows if row["since"]), default=None),
        next_at=min((row["next_at"] for row in rows if row["next_at"]), default=None),
        action="load",
        unit=counted(windows, "window"),
        because=(NOTHING_HAPPENS,) if state is WindowState.LATE else (),
        tell_after=_SECOND_REPORT if needs_second else timedelta(0),
        settles_after=SETTLES_AFTER,
    )


def _link(state: WindowState, rows: Sequence[RowMapping]) -> str:
    first = rows[0]
    chosen = {"dataset": first["dataset"]}
    if len(rows) == 1 and first["windows"] == 1:
        chosen |= {"account": first["account_key"], "window": str(first["newest"])}
    else:
        chosen |= {"state": str(state), "days": str(_ALL_DAYS)}
    return f"/coverage?{urlencode(chosen)}"


_WINDOWS = text(f"""
    SELECT account_key, dataset, window_date, wanted_by, cause - 'detail' AS cause
      FROM ({windows_in(_WORDS)}) w ORDER BY window_date DESC""")


def list_windows(
    connection: Connection, settings: Settings, now: datetime, key: str
) -> list[RowMapping]:
    """Return the windows of a finding, the newest first: account_key, dataset, window_date, wanted_by."""
    values = state_values(now, settings.late_after)
    rows = connection.execute(_WINDOWS, values).mappings()
    return [row for row in rows if row["cause"] and finding_key(row["cause"]) == key]
