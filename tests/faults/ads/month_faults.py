"""Every fault that the sandbox knows, as rules that strike at once."""

from collections.abc import Iterator

from bidbeacon_pipelines.sandbox.faults import (
    CALL_FAULTS,
    FAULTS,
    OPERATIONS,
    BadRow,
    FaultName,
    FaultOptions,
    FaultRule,
    Operation,
)

HOURS = 3600.0
SHORT = 0.005
"""Seconds of real time, for a fault that takes some."""
FAST = 2_000_000
"""Bytes in a second of real time, for the same reason."""

LEGAL: tuple[BadRow, ...] = ("null_metric", "unknown_key", "duplicate_key")
"""Oddities of rows that are no reason to put one aside."""

_ENDS_OF_REPORTS: tuple[FaultName, ...] = (
    "report_failed",
    "report_cancelled",
    "report_expired",
    "report_pending",
)
_BROKEN_FILES: tuple[FaultName, ...] = ("wrong_size", "part_missing", "truncated_gzip", "redirect")
COSTS_CREATES = frozenset(
    (
        *_ENDS_OF_REPORTS,
        *_BROKEN_FILES,
        "expired_url",
        "no_resign",
        "throttle_accepted",
        "too_old",
        "missing_rights",
        "too_large",
        "too_large_later",
        "empty_report",
        "country_missing",
    )
)
"""Faults after which a report may have to be asked for once more, beside those that strike creates themselves."""
_OF_EXPORTS: frozenset[Operation | None] = frozenset(("create_export", "get_export"))
_OF_ONE_OR_THE_OTHER: dict[FaultName, tuple[Operation, ...]] = {
    "throttle_accepted": ("create_report", "create_export"),
    **dict.fromkeys(("expired_url", "no_resign", "wrong_size"), ("retrieve_report", "get_export")),
}
"""Faults that strike reports and exports alike: only those of reports may cost a create of one."""

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
    "throttle_accepted": (FaultOptions(retry_after="seconds", seconds=20), FaultOptions(retry_after="none")),
    "bad_rows": (FaultOptions(), FaultOptions(share=0.001), FaultOptions(share=0.2, kinds=LEGAL)),
}


def month_faults(probability: float) -> tuple[FaultRule, ...]:
    """Give rules for every fault there is, each as probable; those of a call have one for each operation, and variants share a probability."""
    return tuple(
        FaultRule(fault=fault, operation=operation, probability=draw, options=options)
        for fault in FAULTS
        for operation in _operations(fault)
        for variants in [_OPTIONS.get(fault, (FaultOptions(),))]
        for options, draw in zip(variants, _draws(probability, len(variants)), strict=True)
    )


def _draws(probability: float, count: int) -> list[float]:
    """Share a probability among rules of which each is drawn only where none before it struck."""
    return [probability / (count - turn * probability) for turn in range(count)]


def costs_a_create(rule: FaultRule) -> bool:
    """Tell whether a strike of this rule may be the reason for one more create."""
    if rule.operation in _OF_EXPORTS:
        return False
    return rule.operation in {"create_report", "download"} or rule.fault in COSTS_CREATES


def _operations(fault: FaultName) -> Iterator[Operation | None]:
    """Give the operations that a fault is told apart by: each of its own for a fault of any call, else none."""
    if fault in _OF_ONE_OR_THE_OTHER:
        yield from _OF_ONE_OR_THE_OTHER[fault]
        return
    if fault not in CALL_FAULTS and fault != "partial_failure":
        yield None
        return
    yield from sorted(operation for operation in OPERATIONS if FaultRule(fault=fault).concerns(operation))
