"""Every fault that the sandbox knows, as rules that strike at once; some only at certain times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bidbeacon_sandbox.faults import (
    FAULTS,
    BadRow,
    FaultName,
    FaultOptions,
    FaultRule,
    Faults,
    FileNumber,
    Operation,
    Subject,
)

HOURS = 3600.0
LEGAL: tuple[BadRow, ...] = ("null_metric", "unknown_key", "duplicate_key")
"""Oddities of rows that are no reason to put one aside."""

Seasons = Mapping[FaultRule, Callable[[datetime], bool]]
"""Rules that are in force at certain times only."""
SEASONAL: frozenset[FaultName] = frozenset(("missing_rights", "one_at_a_time", "renamed_fields"))
"""Faults that last for days when they come, and strike every call then."""
_OPTIONS: dict[FaultName, tuple[FaultOptions, ...]] = {
    "slow": (FaultOptions(seconds=0.005),),  # of real time, as the next one
    "trickle": (FaultOptions(bytes_per_second=2_000_000),),
    "odd_status": (FaultOptions(), FaultOptions(word="WAITING_FOR_GODOT")),
    "report_pending": (FaultOptions(seconds=5 * HOURS), FaultOptions(seconds=30 * HOURS)),
    "throttle": (
        FaultOptions(retry_after="seconds", seconds=20),
        FaultOptions(retry_after="http-date", seconds=40),
        FaultOptions(retry_after="none"),
    ),
    "throttle_accepted": (
        FaultOptions(retry_after="seconds", seconds=20),
        FaultOptions(retry_after="none"),
    ),
    "bad_rows": (FaultOptions(), FaultOptions(share=0.001), FaultOptions(share=0.2, kinds=LEGAL)),
}


PROBABILITY = 0.03
SELDOM_MET: dict[FaultName, float] = {"duplicate_refused": 0.8, "multi_status": 0.5}
"""How probable faults are that few calls give an occasion for: a report that is made already, or a create that is refused."""


@dataclass(frozen=True)
class Struck:
    """One strike: when, of which fault, at which call about which ads account."""

    at: datetime
    fault: FaultName
    operation: Operation
    account: str | None


class SeasonalFaults(Faults):
    """Faults of which some come and go with the sandbox's clock; keeps a list of all strikes."""

    def __init__(
        self,
        seed: int,
        rules: Sequence[FaultRule],
        seasons: Seasons,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(seed, (*rules, *seasons))
        self.struck: list[Struck] = []
        self._seasons = seasons
        self._now = now

    def find_strike(
        self, fault: FaultName, subject: Subject, file: FileNumber | None = None
    ) -> FaultRule | None:
        """Return the rule of this fault that strikes this call, and note it; None where none does."""
        rule = super().find_strike(fault, subject, file)
        if rule is not None:
            self.struck.append(Struck(self._now(), fault, subject.operation, subject.account))
        return rule

    def _strikes(self, armed, fault, subject, file):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as the class above has it
        is_on = self._seasons.get(armed.rule)
        return (is_on is None or is_on(self._now())) and super()._strikes(
            armed, fault, subject, file
        )


def month_faults() -> tuple[FaultRule, ...]:
    """Return rules for every fault but the seasonal ones; the variants of a fault share its probability."""
    return tuple(
        FaultRule(
            fault=fault,
            probability=SELDOM_MET.get(fault, PROBABILITY) / len(variants),
            options=options,
        )
        for fault in FAULTS
        if fault not in SEASONAL
        for variants in [_OPTIONS.get(fault, (FaultOptions(),))]
        for options in variants
    )
