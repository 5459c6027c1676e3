"""The state of each account's windows, and the accounts, as data for the coverage page."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.rules import stop_word
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.problems.health_checks import gate_facts
from bidbeacon_pipelines.requests.gate_queries import GateState, list_gates
from bidbeacon_pipelines.windows.coverage_queries import NO_WINDOW, SIGNS, list_window_letters
from bidbeacon_pipelines.windows.coverage_rules import (
    WindowSigns,
    WindowState,
    late_if_sent_before,
    window_state,
)
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.presentation import instant

STATE_LETTERS: Final[Mapping[WindowState, str]] = {
    WindowState.FRESH: "f",
    WindowState.NOT_DUE: "n",
    WindowState.DUE: "d",
    WindowState.REQUESTED: "r",
    WindowState.LATE: "l",
    WindowState.SUSPICIOUS: "h",
    WindowState.UNCONFIRMED: "u",
    WindowState.FAILED: "x",
    WindowState.EXPIRED: "e",
}
_NO_WINDOW = "-"
_WORST_LAST: Final = f"{_NO_WINDOW}{''.join(STATE_LETTERS[state] for state in WindowState)}"
_TO_STATES: Final = str.maketrans(
    {letter: STATE_LETTERS[window_state(WindowSigns(**signs))] for letter, signs in SIGNS.items()}
    | {NO_WINDOW: _NO_WINDOW}
)


class UnknownDatasetError(LookupError):
    """No dataset has this name."""

    def __init__(self, error: str, what_to_do: str) -> None:
        self.error = error
        self.what_to_do = what_to_do
        super().__init__(error)


class WindowCoverage:
    """Reads the windows of the store's database for the map.

    Args:
        store: whose database.
        late_after: how long after it fell due a window is late.
        clock: returns the instant that states are true as of.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        late_after: timedelta = timedelta(hours=12),
        clock: Clock,
    ) -> None:
        self._store = store
        self._late_after = late_after
        self._clock = clock

    def read_coverage(self, dataset: str | None, days: int, to: date | None) -> dict[str, Any]:
        """Return the state of each account's windows, one letter per day.

        Raises:
            UnknownDatasetError: there is no dataset of this name.
        """
        asked = _dataset(dataset)
        now = self._clock()
        end = to or local_date(now, "Pacific/Kiritimati")
        with self._store.snapshot() as connection:
            rows = list_window_letters(
                connection,
                asked.name,
                start=end - timedelta(days=days - 1),
                end=end,
                now=now,
                overdue_before=now - self._late_after,
                late_if_sent_before=late_if_sent_before(asked, now),
            )
            gates = list_gates(connection, now=now)
        return _coverage_json(asked, days, end, now) | {
            "accounts": [_row_json(row, days) for row in rows],
            "gates": [_gate_json(gate, now) for gate in gates],
        }

    def list_accounts(self) -> list[dict[str, Any]]:
        """Return each account's `key`, `label`, `time_zone`, and `stopped`: why no reports are requested for it, or None."""
        with self._store.snapshot() as connection:
            return [_account_json(account) for account in list_accounts(connection)]


def _dataset(name: str | None) -> Dataset:
    if name is None:
        return next(iter(DATASETS.values()))
    if name not in DATASETS:
        raise UnknownDatasetError(
            f"There is no dataset {name!r}.", f"Use one of: {', '.join(DATASETS)}."
        )
    return DATASETS[name]


def _coverage_json(dataset: Dataset, days: int, end: date, now: datetime) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "datasets": [
            {"name": dataset.name, "title": dataset.title} for dataset in DATASETS.values()
        ],
        "from": (end - timedelta(days=days - 1)).isoformat(),
        "to": end.isoformat(),
        "at": instant(now),
        "states": {letter: str(state) for state, letter in STATE_LETTERS.items()},
    }


def _account_json(account: Account) -> dict[str, Any]:
    return {
        "key": account.account_key,
        "label": account.label,
        "time_zone": account.time_zone,
        "stopped": stop_word(account.paused, account.amazon_status, account.needs_attention),
    }


def _row_json(row: Mapping[Any, Any], days: int) -> dict[str, Any]:
    return {
        "key": row["account_key"],
        "label": row["label"],
        "time_zone": row["time_zone"],
        "stopped": stop_word(row["paused"], row["amazon_status"], row["needs_attention"]),
        "cells": _worst([letters.translate(_TO_STATES) for letters in row["letters"]], days),
    }


def _worst(reports: Sequence[str], days: int) -> str:
    """Return the letter of each day's worst window, given the letters of each report."""
    if len(reports) == 1:
        return reports[0]
    of_days = zip(*reports, strict=True) if reports else ()
    return "".join(max(day, key=_WORST_LAST.index) for day in of_days) or _NO_WINDOW * days


def _gate_json(gate: GateState, now: datetime) -> dict[str, Any]:
    facts = gate_facts(gate, now)
    return {
        name: instant(value) if isinstance(value, datetime) else value
        for name, value in facts.items()
    }
