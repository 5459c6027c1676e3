"""Every fault that the sandbox knows, as rules that strike at once; some only at certain times."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bidbeacon_pipelines.sandbox.faults import (
    CALL_FAULTS,
    FAULTS,
    OPERATIONS,
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
SHORT = 0.005
"""Seconds of real time, for a fault that takes some."""
FAST = 2_000_000
"""Bytes in a second of real time, for the same reason."""

LEGAL: tuple[BadRow, ...] = ("null_metric", "unknown_key", "duplicate_key")
"""Oddities of rows that are no reason to put one aside."""

SEASONAL: frozenset[FaultName] = frozenset(("missing_rights", "one_at_a_time", "renamed_fields"))
"""Faults that last for days when they come, and strike every call then."""
_OF_ONE_OR_THE_OTHER: dict[FaultName, tuple[Operation, ...]] = {
    "throttle_accepted": ("create_report", "create_export"),
    **dict.fromkeys(("expired_url", "no_resign", "wrong_size"), ("retrieve_report", "get_export")),
}
"""Faults that strike reports and exports alike."""

_OPTIONS: dict[FaultName, tuple[FaultOptions, ...]] = {
    "slow": (FaultOptions(seconds=SHORT),),
    "trickle": (FaultOptions(bytes_per_second=FAST),),
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


SELDOM_MET: dict[FaultName, float] = {"duplicate_refused": 0.8, "multi_status": 0.5}
"""How probable faults are that few calls give an occasion for: a report that is made already, or a create that is refused."""


@dataclass(frozen=True)
class Season:
    """A rule that is in force at certain times only."""

    rule: FaultRule
    is_on: Callable[[datetime], bool]


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
        seasons: Sequence[Season],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(seed, (*rules, *(season.rule for season in seasons)))
        self.struck: list[Struck] = []
        self._seasons = {season.rule: season.is_on for season in seasons}
        self._now = now

    def find_strike(
        self, fault: FaultName, subject: Subject, file: FileNumber | None = None
    ) -> FaultRule | None:
        """Return the rule of this fault that strikes this call, and note it; None where none does."""
        rule = super().find_strike(fault, subject, file)
        if rule is not None:
            self.struck.append(Struck(self._now(), fault, subject.operation, subject.account))
        return rule

    def end(self) -> None:
        """Take every rule out of force, and keep the list of strikes."""
        self.clear()

    def _strikes(self, armed, fault, subject, file):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as the class above has it
        is_on = self._seasons.get(armed.rule)
        return (is_on is None or is_on(self._now())) and super()._strikes(
            armed, fault, subject, file
        )


def month_faults(probability: float) -> tuple[FaultRule, ...]:
    """Return rules for every fault but the seasonal ones, each as probable, but for those that are seldom met; those of a call have one for each operation, and variants share a probability."""
    return tuple(
        FaultRule(fault=fault, operation=operation, probability=draw, options=options)
        for fault in FAULTS
        if fault not in SEASONAL
        for operation in _operations(fault)
        for variants in [_OPTIONS.get(fault, (FaultOptions(),))]
        for options, draw in zip(
            variants, _draws(SELDOM_MET.get(fault, probability), len(variants)), strict=True
        )
    )


def _draws(probability: float, count: int) -> list[float]:
    """Share a probability among rules of which each is drawn only where none before it struck."""
    return [probability / (count - turn * probability) for turn in range(count)]


def _operations(fault: FaultName) -> Iterator[Operation | None]:
    """Yield the operations that a fault is told apart by: each of its own for a fault of any call, else none."""
    if fault in _OF_ONE_OR_THE_OTHER:
        yield from _OF_ONE_OR_THE_OTHER[fault]
        return
    if fault not in CALL_FAULTS and fault != "partial_failure":
        yield None
        return
    yield from sorted(
        operation for operation in OPERATIONS if FaultRule(fault=fault).concerns(operation)
    )
