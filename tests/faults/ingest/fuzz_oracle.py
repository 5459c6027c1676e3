"""What a spoiled report comes to, told by other means than the product's: Python's json and gzip, and the rules of `fuzz_rules`.

A row is good (it must be loaded), bad (it must be kept aside), or either: written so oddly that
both are right, as long as what is loaded is what was written. So is a document: it must be loaded,
it must be refused, or either.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bidbeacon_pipelines.datasets.digests import digest_of_target
from tests.faults.ingest.fuzz_documents import CAMPAIGN, GROUP, Document, Number
from tests.faults.ingest.fuzz_rules import (
    BAD,
    NAMES,
    Told,
    Word,
    as_ad_product,
    as_country,
    as_hour,
    rules_of,
)

COUNTRY = "US"
DEEPEST, LONGEST_ROW = 200, 1_040_000
"""A reader may refuse what is nested deeper than that, or a row that is longer."""
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

Key = tuple[Any, ...]
"""Day, hour, currency, ad product, and the dataset's dimensions."""
Metrics = tuple[Any, ...]
"""The dataset's metrics, in the order of the registry."""


@dataclass(frozen=True)
class Row:
    """One row of a document: what is said of it, the fields at fault, all of it; key and metrics where it can be loaded."""

    word: Word
    at_fault: frozenset[str]
    raw: Mapping[str, Any]
    key: Key = ()
    metrics: Metrics = ()


@dataclass(frozen=True)
class Reading:
    """A document as it should be understood: whether it must be loaded, and all of its rows in order; None where Python can't read them."""

    word: Word
    rows: Sequence[Row] | None = ()
    why: str = ""


def target_columns(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target's columns."""
    values = {
        "ad_group_id": GROUP,
        "campaign_id": CAMPAIGN,
        "state": "ENABLED",
        "negative": False,
        "bid": None,
    }
    columns = {"keyword": None, "asin": None, "expression": None, **values, **told}
    named = {name: columns[name] for name in ("keyword", "asin", "expression")}
    return columns | {"match_digest": digest_of_target(columns["match_type"], **named)}


def read(document: Document) -> Reading:
    """Read a document's parts."""
    word, raws = Word.GOOD, list[Any]()
    for place, part in enumerate(document.parts):
        told = _read_part(part)
        if told.word is Word.BAD:
            return Reading(Word.BAD, why=f"part {place}: {told.value}")
        if told.value is None:
            return Reading(Word.EITHER, None, f"part {place} is nested too deeply to be read")
        word = max(word, told.word)
        raws += told.value
    judge = _judge_of(document)
    return Reading(word, [judge(raw) for raw in raws])


def _read_part(part: bytes) -> Told:
    """Return the objects of a part, or what it is instead."""
    unpacked = _unpacked(part)
    if unpacked.word is Word.BAD:
        return unpacked
    word = unpacked.word
    try:
        text = unpacked.value.decode("utf-8-sig")
        if _is_odd(text):
            word = Word.EITHER
        found = json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Number)
    except RecursionError:
        return Told(Word.EITHER, None)
    except ValueError as error:
        return Told(Word.BAD, f"no JSON: {error}")
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        return Told(Word.BAD, "no array of objects")
    return Told(word, found)


def _unpacked(part: bytes) -> Told:
    """Unpack twice: what zlib takes is gzip; what only Python's `gzip` takes, or only what stands before some rest, may be refused."""
    whole, rest = _members(part)
    if whole is not None and not rest:
        return Told(Word.GOOD, whole)
    try:
        return Told(Word.EITHER, gzip.decompress(part))
    except (EOFError, OSError, zlib.error) as error:
        return Told(Word.BAD, f"no gzip: {error}") if whole is None else Told(Word.EITHER, whole)


def _members(part: bytes) -> tuple[bytes | None, bytes]:
    """Return what the gzip members at the beginning hold, None where there is none, and the rest."""
    found: list[bytes] = []
    while part:
        member = zlib.decompressobj(31)
        try:
            text = member.decompress(part)
        except zlib.error:
            break
        if not member.eof:
            break
        found.append(text)
        part = member.unused_data
    return (b"".join(found) if found else None), part


def _is_odd(text: str) -> bool:
    """Return whether a text is nested so deeply, or a row of it is so long, that a reader may refuse it."""
    if len(text) > LONGEST_ROW and max(map(len, text.split("},\n"))) > LONGEST_ROW:
        return True
    depth = deepest = 0
    for bracket in (
        re.sub(r"[^\[\]{}]", "", _STRINGS.sub("", text)) if "[[" in text or ":{" in text else ""
    ):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest > DEEPEST


def _judge_of(document: Document) -> Callable[[Mapping[str, Any]], Row]:
    dataset, asked = document.dataset, document.report.ad_products
    rules = rules_of(dataset, document.days)
    own = {one: {*dataset.fields_for([one])} - {*NAMES} for one in asked}
    dimensions, metrics = (
        [one.field for one in dataset.keys],
        [one.field for one in dataset.metrics],
    )

    def judge(raw: Mapping[str, Any]) -> Row:
        country = as_country(raw.get("campaign.country"), own=COUNTRY)
        if country.word is Word.FOREIGN:
            return Row(Word.FOREIGN, frozenset(), raw)
        product = as_ad_product(raw.get("adProduct.value"), asked=asked)
        if product.word is Word.FOREIGN:  # of a country that can't be read it is a bad row
            word = Word.BAD if country.word is Word.BAD else Word.FOREIGN
            return Row(word, frozenset({"campaign.country"}), raw)
        must_come = own.get(product.value, own[asked[0]])
        told = {field: _ruled(rule, raw, field, must_come) for field, rule in rules.items()} | {
            "campaign.country": country,
            "adProduct.value": product,
        }
        if dataset.is_hourly:
            day = told["date.value"].value
            told["hour.value"] = as_hour(raw["hour.value"], day=day) if "hour.value" in raw else BAD
        word = max(one.word for one in told.values())
        at_fault = frozenset(field for field, one in told.items() if one.word is not Word.GOOD)
        if word is Word.BAD:
            return Row(word, at_fault, raw)
        values = {field: one.value for field, one in told.items()}
        time = values["date.value"], values.get("hour.value")
        key = (
            *time,
            values["budgetCurrency.value"],
            product.value,
            *(values[name] for name in dimensions),
        )
        return Row(word, at_fault, raw, key, tuple(values[metric] for metric in metrics))

    return judge


def _ruled(
    rule: Callable[[Any], Told], raw: Mapping[str, Any], field: str, must_come: Collection[str]
) -> Told:
    """Judge a field; names, and what the row's ad product has not, may be missing or null."""
    if field in must_come:
        return rule(raw[field]) if field in raw else BAD
    return Told(Word.GOOD) if raw.get(field) is None else rule(raw[field])


def summed(rows: Sequence[Row]) -> dict[Key, Metrics]:
    """Add up rows of one key; no value adds nothing."""
    sums: dict[Key, Metrics] = {}
    for row in rows:
        before = sums.get(row.key)
        sums[row.key] = row.metrics if before is None else tuple(map(_added, before, row.metrics))
    return sums


def _added(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return one + other
