"""Reports of hourly targets to be loaded: seeded, in the shape and order of the sandbox's, and the truth about each beside it.

A day's rows come target by target, each with one to six hours: in no order that a key of ours has.
Ids are drawn at random. One row of 1,000 can't be understood, in four ways by turns; one of 1,000
names a target that nobody knows.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TextIO

from bidbeacon_pipelines.datasets.digests import digest_of_row, digest_of_target, row_key_of
from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS

DAYS = tuple(date(2026, 11, 5) + timedelta(days=number) for number in range(14))
"""The longest period of an hourly report; the clocks of Los Angeles are eight hours behind UTC on all of them."""
PART_ROWS = 100_000
BATCH = 1_000
ROWS_A_SLOT_AND_DAY = 0.82 * 3.5
BAD_EVERY, BAD_AT, UNRESOLVED_AT = 1_000, 500, 250
RESTATED_EVERY = 50
_STEPS = (1, 5, 7, 11)
_row_key = row_key_of(HOURLY_TARGETS)


class Slot(NamedTuple):
    """A target that brings rows, and the texts of these rows that are always the same; on the wire, ids are numbers or strings."""

    target: dict[str, Any]
    wire: tuple[str, str]
    wire_group: tuple[str, str]
    typed: str


@dataclass
class Report:
    """A report on disk, and what is true of it.

    Attributes:
        parts: Its files, gzipped JSON.
        typed: Its good rows in the order of the files, as lines of COPY's text format.
        targets: The targets that exports have told.
        rows: All rows, bad ones too.
        bad: Those that can't be understood.
        unresolved: Good ones of unknown targets.
        spend: Sum of the good rows, in millionths.
        sales: The same.
    """

    folder: Path
    targets: Sequence[dict[str, Any]]
    parts: list[Path] = field(default_factory=list)
    rows: int = 0
    bad: int = 0
    unresolved: int = 0
    spend_micros: int = 0
    sales_micros: int = 0

    @property
    def typed(self) -> Path:
        """The good rows, typed."""
        return self.folder / "typed.copy"

    @property
    def truth(self) -> tuple[int, Decimal, Decimal]:
        """How many rows there are once it is loaded, their spend and their sales."""
        return (
            self.rows - self.bad,
            Decimal(self.spend_micros) / 10**6,
            Decimal(self.sales_micros) / 10**6,
        )


class _Metrics(NamedTuple):
    """Amounts in millionths; None is "no value"."""

    impressions: int
    clicks: int
    purchases: int | None
    sales: int | None
    spend: int | None

    def restated(self) -> "_Metrics":
        """Return them as a later report has them: a click and a purchase more."""
        return self._replace(
            clicks=self.clicks + 1,
            purchases=(self.purchases or 0) + 1,
            sales=(self.sales or 0) + 24_990_000,
            spend=(self.spend or 0) + 640_000,
        )


def write_reports(folder: Path, rows: int, *, seed: int = 1, restated: bool = True) -> list[Report]:
    """Write a report and, where that is wanted, the one that a later refresh brings: 2 % of its rows restated."""
    rng = Random(f"{seed} {rows}")
    slots = _make_slots(rng, round(rows / len(DAYS) / ROWS_A_SLOT_AND_DAY * 1.1) + 20)
    targets = list({slot.target["target_id"]: slot.target for slot in slots}.values())
    names = ("first", "restated") if restated else ("first",)
    writers = [_Writer(Report(folder / name, targets)) for name in names]
    restated_at = 0
    for number, (slot, day, hour, bits, metrics) in enumerate(_lines(rng, slots, rows)):
        if number % RESTATED_EVERY == 0:
            restated_at = number + rng.randrange(RESTATED_EVERY)
        later = metrics.restated() if number == restated_at else metrics
        for writer, known in zip(writers, (metrics, later), strict=False):
            writer.add(number, slot, day, hour, bits, known)
    for writer in writers:
        writer.close()
    return [writer.report for writer in writers]


def write_wide_report(folder: Path, countries: Sequence[str], targets: int) -> Report:
    """Write a report of several countries in which each of so many targets has one row."""
    rng, folder = Random(f"wide {targets}"), folder / "wide"
    folder.mkdir()
    report = Report(folder, [], [folder / "part-0.json.gz"], targets)
    with gzip.open(report.parts[0], "wt", compresslevel=1, encoding="utf-8") as part:
        for number, slot in enumerate(_make_slots(rng, targets)):
            bits, country = rng.getrandbits(64), countries[number * len(countries) // targets]
            wire = slot.wire[bits & 1].replace(
                '"campaign.country":"US"', f'"campaign.country":"{country}"'
            )
            day, hour = DAYS[number % len(DAYS)], bits >> 1 & 15
            text = f'{{"date.value":"{day}",{wire}{_hour_text(day, hour, 0)}{_metrics_text(_metrics(bits))}'
            part.write(("," if number else "[") + text)
        part.write("]")
    return report


def _lines(
    rng: Random, slots: Sequence[Slot], rows: int
) -> Iterator[tuple[Slot, date, int, int, _Metrics]]:
    """Yield exactly so many lines, the same number a day, as the sandbox orders them."""
    for place, day in enumerate(DAYS):
        wanted = rows * (place + 1) // len(DAYS) - rows * place // len(DAYS)
        for slot, hour, bits in _hours_of_a_day(rng, slots, wanted):
            yield slot, day, hour, bits, _metrics(bits)


def _hours_of_a_day(
    rng: Random, slots: Sequence[Slot], wanted: int
) -> Iterator[tuple[Slot, int, int]]:
    for slot in slots:
        bits = rng.getrandbits(64)
        if bits & 1023 >= 840:  # rests today
            continue
        first, step = (bits >> 13) % 24, _STEPS[bits >> 20 & 3]
        for index in range(1 + (bits >> 10) % 6):
            if not wanted:
                return
            wanted -= 1
            yield slot, (first + step * index) % 24, rng.getrandbits(64)
    assert not wanted, f"{wanted} rows short of a day: more slots are needed"


def _metrics(bits: int) -> _Metrics:
    clicks = bits >> 10 & 7 if bits & 7 < 3 else 0
    purchases = clicks >> 2 if bits >> 13 & 1 else 0
    spend = clicks * (150_000 + (bits >> 14 & 127) * 10_000)
    if bits >> 21 & 7 == 0 and clicks:
        spend += bits >> 24 & 8191  # a share of a cent
    sales = purchases * (990_000 + (bits >> 37 & 31) * 1_000_000)
    if bits >> 42 & 31 == 0 and not purchases:
        return _Metrics(1 + (bits & 511), clicks, None, None, spend or None)
    return _Metrics(1 + (bits & 511), clicks, purchases, sales, spend)


class _Writer:
    """Writes one report's rows as they come: as JSON, and the good ones typed."""

    def __init__(self, report: Report) -> None:
        self.report = report
        report.folder.mkdir(parents=True)
        self._typed = report.typed.open("w", encoding="utf-8")
        self._part: TextIO | None = None
        self._wire_batch: list[str] = []
        self._typed_batch: list[str] = []

    def add(
        self, number: int, slot: Slot, day: date, hour: int, bits: int, metrics: _Metrics
    ) -> None:
        """Add a row; its number says whether it is bad, of an unknown target, or just a row."""
        report, form, turn = self.report, bits >> 62 & 1, number % BAD_EVERY
        report.rows += 1
        head = f'{{"date.value":"{day}",'
        if turn == BAD_AT:
            report.bad += 1
            self._wire_batch.append(_spoiled(number, head, slot, hour, metrics))
        elif turn == UNRESOLVED_AT:
            report.unresolved += 1
            text = f"unheard of {number}"
            wire = f'{slot.wire_group[form]}"target.value":"{text}","target.matchType":"EXACT",'
            self._add_good(
                head + wire,
                _typed_target(slot.target, text, "EXACT", "\\N"),
                day,
                hour,
                bits,
                metrics,
            )
        else:
            self._add_good(head + slot.wire[form], slot.typed, day, hour, bits, metrics)
        if len(self._wire_batch) == BATCH:
            self._flush()
        if report.rows % PART_ROWS == 0:
            self._end_part()

    def close(self) -> None:
        """Finish the files."""
        self._flush()
        self._end_part()
        self._typed.close()

    def _add_good(
        self, wire: str, typed: str, day: date, hour: int, bits: int, metrics: _Metrics
    ) -> None:
        impressions, clicks, purchases, sales, spend = metrics
        self.report.spend_micros += spend or 0
        self.report.sales_micros += sales or 0
        self._wire_batch.append(
            wire + _hour_text(day, hour, bits >> 60 & 3) + _metrics_text(metrics)
        )
        self._typed_batch.append(
            f"{day}\t{day} {hour:02d}:00:00-08\t{typed}\t{impressions}\t{clicks}\t{_typed(purchases)}"
            f"\t{_typed(purchases)}\t{_typed_amount(sales)}\t{_typed_amount(spend)}\n"
        )

    def _flush(self) -> None:
        if self._wire_batch:
            separator = ",\n"
            if self._part is None:
                path = self.report.folder / f"part-{len(self.report.parts)}.json.gz"
                self.report.parts.append(path)
                self._part = gzip.open(path, "wt", compresslevel=1, encoding="utf-8")  # noqa: SIM115 - closed with the part
                separator = "["
            self._part.write(separator + ",\n".join(self._wire_batch))
        self._typed.writelines(self._typed_batch)
        self._wire_batch, self._typed_batch = [], []

    def _end_part(self) -> None:
        self._flush()
        if self._part is not None:
            self._part.write("]")
            self._part.close()
            self._part = None


def _spoiled(number: int, head: str, slot: Slot, hour: int, metrics: _Metrics) -> str:
    """Return a row that can't be understood: a field missing, a wrong type, an impossible hour, a negative amount, by turns."""
    text = f'{head}{slot.wire[0]}"hour.value":{hour},{_metrics_text(metrics)}'
    match number // BAD_EVERY % 4:
        case 0:
            return text.replace('"adGroup.id"', '"lost.id"')
        case 1:
            return text.replace('"metric.clicks":', '"metric.clicks":"many","metric.clicks.were":')
        case 2:
            return text.replace(f'"hour.value":{hour}', '"hour.value":24')
        case _:
            return text.replace(
                '"metric.totalCost":', '"metric.totalCost":-1,"metric.totalCost.was":'
            )


def _hour_text(day: date, hour: int, form: int) -> str:
    if form == 3:
        return f'"hour.value":"{day}T{hour:02d}:00:00",'
    return f'"hour.value":"{hour}",' if form == 2 else f'"hour.value":{hour},'


def _metrics_text(metrics: _Metrics) -> str:
    impressions, clicks, purchases, sales, spend = metrics
    return (
        f'"metric.impressions":{impressions},"metric.clicks":{clicks},"metric.purchases":{"null" if purchases is None else purchases}'
        f',"metric.sales":{_amount(sales)},"metric.totalCost":{_amount(spend)}'
        f',"metric.unitsSold":{"null" if purchases is None else purchases}}}'
    )


def _amount(micros: int | None) -> str:
    """Write millionths as JSON writes an amount, without trailing zeros."""
    if not micros:
        return "null" if micros is None else "0"
    whole, rest = divmod(micros, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)


def _typed_amount(micros: int | None) -> str:
    return "\\N" if micros is None else _amount(micros)


def _typed(count: int | None) -> str:
    return "\\N" if count is None else str(count)


def _make_slots(rng: Random, wanted: int) -> list[Slot]:
    slots: list[Slot] = []
    used: set[str] = set()
    while len(slots) < wanted:
        slots += _ad_group(rng, used)
    return slots[:wanted]


def _new_id(rng: Random, used: set[str]) -> str:
    """Draw an unused id of 15 to 19 digits, as the sandbox does."""
    while True:
        digits = rng.randint(15, 19)
        drawn = str(rng.randrange(10 ** (digits - 1), min(10**digits, 2**63)))
        if drawn not in used:
            used.add(drawn)
            return drawn


def _ad_group(rng: Random, used: set[str]) -> Iterator[Slot]:
    """Return the slots of an ad group: four to fourteen targets."""
    ids = {"campaign_id": _new_id(rng, used), "ad_group_id": _new_id(rng, used)}
    for number in range(rng.randint(4, 14)):
        yield _slot(_target(rng, used, number, ids))


def _target(rng: Random, used: set[str], number: int, ids: dict[str, str]) -> dict[str, Any]:
    """Return a target as an export tells it: a keyword, or a product."""
    product = number % 4 == 3
    target: dict[str, Any] = ids | {
        "target_id": _new_id(rng, used),
        "state": "ENABLED",
        "negative": False,
        "match_type": "PRODUCT_EXACT" if product else rng.choice(("EXACT", "PHRASE", "BROAD")),
        "keyword": None
        if product
        else f"{rng.choice(('funny', 'warm', 'größe', '犬'))} shirt {number}",
        "asin": f"B0{rng.getrandbits(32):08X}" if product else None,
        "expression": None,
        "bid": Decimal("0.75"),
    }
    named = {name: target[name] for name in ("keyword", "asin", "expression")}
    return target | {"match_digest": digest_of_target(target["match_type"], **named)}


def named(target: dict[str, Any]) -> tuple[str, str]:
    """Return the value and match type by which reports name a target."""
    if target["asin"] is not None:
        return f'asin="{target["asin"]}"', "TARGETING_EXPRESSION"
    return target["keyword"], target["match_type"]


def _slot(target: dict[str, Any]) -> Slot:
    value, match_type = named(target)
    plain, quoted = (_wire_group(target, written) for written in (str, json.dumps))
    told = (
        f'"target.value":{json.dumps(value, ensure_ascii=False)},"target.matchType":"{match_type}",'
    )
    typed = _typed_target(target, value, match_type, target["target_id"])
    return Slot(target, (plain + told, quoted + told), (plain, quoted), typed)


def _typed_target(target: dict[str, Any], value: str, match_type: str, target_id: str) -> str:
    """Return what a row is told by, as COPY takes it: key, ids, texts, match digest and target."""
    ids = target["campaign_id"], target["ad_group_id"]
    key = _row_key(("USD", "SPONSORED_PRODUCTS", *ids, value, match_type))
    digest = digest_of_row(match_type, value)
    assert digest is not None
    return "\t".join((f"\\\\x{key}", *ids, value, match_type, f"\\\\x{digest.hex()}", target_id))


def _wire_group(target: dict[str, Any], written: Any) -> str:
    """Return an ad group's part of a row, its ids written as numbers or as strings."""
    return (
        f'"budgetCurrency.value":"USD","adProduct.value":"Sponsored Products","campaign.id":{written(target["campaign_id"])}'
        f',"campaign.country":"US","adGroup.id":{written(target["ad_group_id"])},'
    )
