"""Every failure that the sandbox can play, as rules that strike at once; some only at certain times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bidbeacon_sandbox.rulebook import CallFacts, Rulebook
from bidbeacon_sandbox.rules import Limits, Operation
from tests.support.rules import IDS, NEW_FIELD, OTHER_SPELLINGS, rule

HOURS = 3600.0
LEGAL = ("null_metric", "unknown_key", "duplicate_key")
"""Oddities of rows that are no reason to put one aside."""
UNREADABLE = (
    *("missing_field", "wrong_type", "impossible_date", "impossible_hour"),
    *("negative_metric", "unreadable_country"),
)

HISTORIES: Mapping[int, Mapping[str, dict[str, Any]]] = {
    1: {
        "refused campaigns": {"dataset": "campaign_daily", "days": 250},
        "empty targets": {"dataset": "target_daily", "days": 150, "empty": True},
    },
    2: {
        "refused Brands": {"region": "EU", "products": ["SPONSORED_BRANDS"], "days": 120},
        "empty in Japan": {"region": "FE", "days": 180, "empty": True},
    },
    3: {
        "refused in Europe": {"region": "EU", "days": 300},
        "empty Display": {"products": ["SPONSORED_DISPLAY"], "days": 100, "empty": True},
        "empty search terms": {
            "region": "NA",
            "dataset": "search_term_daily",
            "days": 200,
            "empty": True,
        },
    },
}
"""How far back each seed's reports reach, by name: older days are refused, missing beside those of other ad products, or an empty success.

They are no faults: they strike each create that they are about, and stay when the faults end.
"""
HISTORY_NAMES = frozenset(name for of_seed in HISTORIES.values() for name in of_seed)

Seasons = Mapping[str, tuple[Limits, Callable[[datetime], bool]]]
"""Rules by name that are in force at certain times only."""
PROBABILITY = 0.03
SELDOM_MET: dict[str, float] = {"duplicate": 1, "multi status": 0.5}
"""How probable rules are that few calls give an occasion for: a report that is made already, or a create that is refused."""
ANY_TIME: dict[str, tuple[dict[str, Any], ...]] = {
    "slow": ({"kind": "slow", "seconds": 0.005},),  # of real time, as a trickle
    "cut": ({"kind": "cut"},),
    "server error": tuple({"kind": "answer", "status": status} for status in (500, 502, 503)),
    "html": ({"kind": "answer", "html": True, "status": 503},),
    "throttled": (
        {"kind": "answer", "status": 429, "retry_after": 20},
        {"kind": "answer", "status": 429, "retry_after": 40, "as_date": True},
        {"kind": "answer", "status": 429},
    ),
    "unauthorized": ({"kind": "answer", "status": 401},),
    "forbidden": ({"kind": "answer", "status": 403},),
    "new field": ({"kind": "answer", "add": NEW_FIELD},),
    "token dies": ({"kind": "token"},),
    "revoked": ({"kind": "token", "what": "revoked"},),
    "wrong region": ({"kind": "refuse", "reason": "wrong_region"},),
    "too large": ({"kind": "refuse", "reason": "too_large"},),
    "too old": ({"kind": "refuse", "reason": "too_old"},),
    "partial failure": ({"kind": "refuse", "code": "500000", "as_207": True},),
    "multi status": ({"kind": "refuse", "as_207": True},),
    "too large later": ({"kind": "report_ends", "longer_than_days": 60},),
    "report failed": ({"kind": "report_ends"},),
    "report cancelled": ({"kind": "report_ends", "status": "CANCELLED"},),
    "report expired": ({"kind": "report_ends", "status": "EXPIRED"},),
    "report pending": tuple(
        {"kind": "report_ends", "status": "COMPLETED", "seconds": hours * HOURS}
        for hours in (5, 30)
    ),
    "odd status": tuple(
        {"kind": "report_ends", "status": "COMPLETED", "word": word}
        for word in ("IN_PROGRESS", "WAITING_FOR_GODOT")
    ),
    "filter ignored": ({"kind": "rows", "change": "all_products"},),
    "country missing": ({"kind": "rows", "change": "no_country"},),
    "empty": ({"kind": "rows", "change": "vanish", "share": 1},),
    "vanished": ({"kind": "rows", "change": "vanish"},),
    "appeared": ({"kind": "rows", "change": "appear"},),
    "restated": ({"kind": "rows", "change": "restate"},),
    "unknown target": ({"kind": "rows", "change": "unknown_target"},),
    "bad rows": (
        {"kind": "rows", "change": (*UNREADABLE, *LEGAL)},
        {"kind": "rows", "change": (*UNREADABLE, *LEGAL), "share": 0.001},
        {"kind": "rows", "change": LEGAL, "share": 0.2},
    ),
    "foreign": ({"kind": "rows", "change": "foreign"},),
    "null products": ({"kind": "rows", "write": {"advertisedProduct*": "null"}, "share": 0.05},),
    "null zeros": ({"kind": "rows", "write": {"metric.*": "null_if_zero"}, "share": 0.05},),
    "spellings": ({"kind": "rows", "words": OTHER_SPELLINGS},),
    "number ids": ({"kind": "rows", "write": dict.fromkeys(IDS, "number")},),
    "text ids": ({"kind": "rows", "write": dict.fromkeys(IDS, "text")},),
    "more parts": ({"kind": "parts", "count": 2},),
    "part twice": ({"kind": "parts", "twice": True},),
    "single url": ({"kind": "parts", "single_url": True},),
    "part missing": ({"kind": "parts", "missing": -1},),
    "expired url": ({"kind": "urls", "expired": True},),
    "same url": ({"kind": "urls", "same": True},),
    "truncated": ({"kind": "file", "keep": 0.5},),
    "trickle": ({"kind": "file", "bytes_per_second": 2_000_000},),
    "redirect": ({"kind": "file", "redirect": ""},),
    "wrong size": ({"kind": "file", "size_factor": 0.5},),
    "export failed": ({"kind": "export_ends"},),
    "accepted 429": ({"kind": "accepted_429", "retry_after": 20}, {"kind": "accepted_429"}),
    "duplicate": ({"kind": "duplicate"},),
}
"""What can go wrong at any time, by name, in variants that share one probability."""


@dataclass(frozen=True)
class Struck:
    """One strike: when, of which rule, at which call about which ads account."""

    at: datetime
    rule: str
    operation: Operation
    account: str | None


class SeasonalRules(Rulebook):
    """Rules of which some come and go with the sandbox's clock; keeps a list of all strikes."""

    def __init__(
        self, seed: int, rules: Sequence[Limits], seasons: Seasons, now: Callable[[], datetime]
    ) -> None:
        super().__init__(seed, now, (*rules, *(one for one, _ in seasons.values())))
        self.log: list[Struck] = []
        self._seasons = seasons

    def clear(self) -> None:
        """Take every rule out of force but histories."""
        self._armed = [armed for armed in self._armed if armed.rule.name in HISTORY_NAMES]

    def _strikes(self, armed: Any, subject: CallFacts) -> bool:
        name = str(armed.rule.name)
        if name in self._seasons and not self._seasons[name][1](self._now()):
            return False
        strikes = super()._strikes(armed, subject)
        if strikes:
            self.log.append(Struck(self._now(), name, subject.operation, subject.account))
        return strikes


def histories(seed: int) -> tuple[Limits, ...]:
    """Return the rules about how far back a seed's reports reach."""
    return tuple(rule("history", name=name, **limits) for name, limits in HISTORIES[seed].items())


def month_rules() -> tuple[Limits, ...]:
    """Return the rules of any time; the variants of one share its probability."""
    return tuple(
        rule(
            **variant,
            name=name,
            probability=SELDOM_MET.get(name, PROBABILITY) / len(variants),
        )
        for name, variants in ANY_TIME.items()
        for variant in variants
    )
