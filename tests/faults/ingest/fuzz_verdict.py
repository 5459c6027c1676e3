"""Says of one load of one document what is wrong with it, if anything."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.loading.load import LoadResult, load_report
from bidbeacon_pipelines.loading.load_queries import MOST_ROWS_OF_A_REFUSED_WINDOW
from bidbeacon_pipelines.values.decode import BrokenPartError
from tests.faults.ingest.fuzz_documents import Document, Number
from tests.faults.ingest.fuzz_oracle import Key, Reading, Row, read, summed
from tests.faults.ingest.fuzz_rules import AMOUNT_LIMIT, HIGHEST_COUNT, Word
from tests.faults.ingest.fuzz_world import Attempt, FuzzWorld, Load

CURRENCY = "USD"
LOST_ROWS_DIVISOR = 10
LONGEST_EXPONENT = 18


def find_fault(world: FuzzWorld, document: Document, load: Load = load_report) -> str | None:
    """Load a document and say what is wrong with what came of it; None where nothing is."""
    reading = read(document)
    attempt = world.attempt(document, load)
    if attempt.result is None:
        return _fault_of_failure(reading, attempt)
    if reading.word is Word.BAD:
        return f"a broken file was loaded ({reading.why}): {attempt.result}"
    if reading.rows is None or attempt.result.quarantined > MOST_ROWS_OF_A_REFUSED_WINDOW:
        return None  # which rows were bad is not known of all of them
    return next(_Comparison(world, document, reading.rows, attempt, attempt.result).faults(), None)


def _fault_of_failure(reading: Reading, attempt: Attempt) -> str | None:
    if not isinstance(attempt.error, BrokenPartError):
        return f"an error that is not ours: {attempt.trace}"
    if not attempt.unchanged:
        return f"a load failed and yet changed the tables: {attempt.error}"
    if reading.word is Word.GOOD:
        return f"a report that can be read was refused: {attempt.error}"
    return None


class _Comparison:
    """Compares the tables after a load with the rows of its document."""

    def __init__(
        self,
        world: FuzzWorld,
        document: Document,
        rows: Sequence[Row],
        attempt: Attempt,
        result: LoadResult,
    ) -> None:
        self._world, self._document, self._result = world, document, result
        self._rows, self._attempt = rows, attempt
        self._aside = {
            row.row_number: row
            for row in world.query(
                "SELECT row_number, cause, raw FROM quarantined_rows WHERE request_id = :id",
                id=attempt.request_id,
            )
        }
        self._stored = world.rows(document.dataset)
        taken = [
            row
            for number, row in enumerate(rows)
            if number not in self._aside and row.word < Word.BAD
        ]
        self._expected = summed(taken)
        self._taken = taken

    def faults(self) -> Iterator[str]:
        """Yield what is wrong, one after the other."""
        yield from self._faults_of_sorting()
        yield from self._faults_of_quarantine()
        yield from self._faults_of_rows()
        yield from self._faults_of_counts()
        yield from self._faults_of_windows()

    def _faults_of_sorting(self) -> Iterator[str]:
        """Each bad row is aside, each good one isn't; one that adds up to more than the column holds may be."""
        overfull = _overfull(self._rows, self._document.dataset)
        for number, row in enumerate(self._rows):
            if row.word is Word.BAD and number not in self._aside:
                yield f"row {number} is bad ({sorted(row.at_fault)}) and was not kept aside: {_short(row.raw)}"
            if row.word is Word.GOOD and number in self._aside and row.key not in overfull:
                yield f"row {number} is good and was kept aside, {self._aside[number].cause}: {_short(row.raw)}"
            if row.word is Word.FOREIGN and number in self._aside:
                yield f"row {number} is another country's and was kept aside: {_short(row.raw)}"
        if unknown := [number for number in self._aside if number not in range(len(self._rows))]:
            yield f"rows {unknown} were kept aside, and the report has {len(self._rows)}"

    def _faults_of_quarantine(self) -> Iterator[str]:
        """A row aside is told with a field at fault, and is kept as it came."""
        overfull = _overfull(self._rows, self._document.dataset)
        for number, kept in self._aside.items():
            row = self._rows[number]
            if (
                row.at_fault
                and row.key not in overfull
                and not any(field in str(kept.cause) for field in row.at_fault)
            ):
                yield f"row {number}: the cause names none of {sorted(row.at_fault)}: {kept.cause}"
            if _comparable(_read(kept.raw)) != _comparable(row.raw):
                yield f"row {number} was kept as {_short(kept.raw)}, and came as {_short(row.raw)}"

    def _faults_of_rows(self) -> Iterator[str]:
        """Windows that took the report hold its rows, the others what they held."""
        loaded = set(self._result.loaded)
        expected = {key: metrics for key, metrics in self._expected.items() if key[0] in loaded}
        expected |= {key: m for key, m in self._attempt.rows_before.items() if key[0] not in loaded}
        for key in expected.keys() | self._stored.keys():
            if expected.get(key) != self._stored.get(key):
                yield f"{key}: expected {expected.get(key)}, got: {self._stored.get(key)}"

    def _faults_of_counts(self) -> Iterator[str]:
        """Rows in are rows loaded, kept aside, added to others, of other countries, or of windows that did not take them."""
        result, rows = self._result, self._rows
        foreign = sum(row.word is Word.FOREIGN for row in rows)
        added = len(self._taken) - len(self._expected)
        not_taken = sum(1 for key in self._expected if key[0] not in result.loaded)
        counts = result.counts
        if (
            counts.rows_read != len(rows)
            or counts.rows_summed + counts.rows_withheld != added + not_taken
        ):
            yield f"{len(rows)} rows came, {added} of keys that were there, {not_taken} not taken: {counts}"
        if len(rows) != result.rows + not_taken + result.quarantined + added + foreign:
            yield f"{len(rows)} rows came; {added} of keys that were there, {foreign} foreign, {not_taken} not taken: {result}"
        if (result.foreign + sum(result.other_products.values()), result.quarantined) != (
            foreign,
            len(self._aside),
        ):
            yield f"expected {foreign} foreign and {len(self._aside)} quarantined rows, got: {result}"
        for name in ("sales", "spend"):
            if self._total(name) != getattr(result, name):
                yield f"the {name} of the good rows is not what the load tells: {result}"
        yield from self._faults_of_restatements()

    def _total(self, metric: str) -> Decimal:
        """Return what the loaded rows of the account's currency add up to; a metric that the dataset lacks is zero."""
        places = [
            place
            for place, one in enumerate(self._document.dataset.metrics)
            if one.column == metric
        ]
        rows = [
            metrics
            for key, metrics in self._expected.items()
            if key[0] in self._result.loaded and key[2] == CURRENCY
        ]
        return sum((row[place] or Decimal(0) for row in rows for place in places), Decimal(0))

    def _faults_of_restatements(self) -> Iterator[str]:
        """Each change that an earlier report's rows have seen is told once."""
        if self._document.before is None:
            expected = 0
        else:
            loaded = set(self._result.loaded)
            had_data = {key[0] for key in self._attempt.rows_before}
            before = {k: m for k, m in self._attempt.rows_before.items() if k[0] in loaded}
            now = {k: m for k, m in self._expected.items() if k[0] in loaded & had_data}
            expected = sum(before.get(key) != now.get(key) for key in before.keys() | now.keys())
            expected += sum(1 for key in self._expected if key[0] in loaded - had_data)
        [(told,)] = self._world.query(
            "SELECT count(*) FROM restatements WHERE request_id = :id", id=self._attempt.request_id
        )
        if told != expected or self._result.merge.restated != expected:
            yield f"expected {expected} restatements, got {told}: {self._result.merge}"

    def _faults_of_windows(self) -> Iterator[str]:
        """Each window leaves in one way, for a reason that holds, and says how many rows it has."""
        result = self._result
        ends = [*result.loaded, *result.suspicious, *result.refused]
        if Counter(ends) != Counter(self._document.days):
            yield f"windows {self._document.days} ended as {result}"
        for day in result.suspicious:
            new, old = (
                Counter(key[3] for key in of if key[0] == day)
                for of in (self._expected, self._attempt.rows_before)
            )
            if all(new[product] * LOST_ROWS_DIVISOR >= rows for product, rows in old.items()):
                yield f"{day} is suspicious with {new} rows in place of {old}"
        if result.refused and (self._document.bad_row_share == 1 or not self._aside):
            yield f"windows were refused without cause: {result.refused}"
        for day, rows, status in self._world.query(
            "SELECT window_date, row_count, status FROM report_windows"
        ):
            count = sum(key[0] == day for key in self._stored)
            if day in result.loaded and (status, rows) != ("loaded", count):
                yield f"{day} holds {count} rows and is told as {status} with {rows}"


def _overfull(rows: Sequence[Row], dataset: Dataset) -> set[Key]:
    """Return the keys whose rows add up to more than a column holds."""
    beyond = [HIGHEST_COUNT + 1 if one.kind == "count" else AMOUNT_LIMIT for one in dataset.metrics]
    return {
        key
        for key, metrics in summed([row for row in rows if row.word < Word.BAD]).items()
        if any((value or 0) >= limit for value, limit in zip(metrics, beyond, strict=True))
    }


def _read(raw: str) -> Any:
    """Give a row back that is kept as it came."""
    return json.loads(raw, parse_int=Number, parse_float=Number, parse_constant=Number)


def _comparable(value: Any) -> Any:
    """Return a value in a form in which numbers are told by what they are worth, whoever read them.

    A level takes one frame of the interpreter, since some values are nested hundreds of times.
    """
    if isinstance(value, Mapping):
        return dict(zip(value, map(_comparable, value.values()), strict=True))
    if isinstance(value, list):
        return list(map(_comparable, value))
    if isinstance(value, Number):
        return "number " + _worth(value)
    return value


def _worth(written: str) -> str:
    """Return a number's digits and exponent, whatever way it was written; what no Decimal can be is infinite."""
    text = written.lower().replace("+", "")
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    if not text[:1].isdigit():
        return sign + text
    digits, _, exponent = text.partition("e")
    whole, _, fraction = digits.partition(".")
    significant = (whole + fraction).lstrip("0").rstrip("0")
    if not significant:
        return "0"
    if len(exponent) > LONGEST_EXPONENT:
        return sign + "infinity"
    trailing = len(whole + fraction) - len((whole + fraction).rstrip("0"))
    return f"{sign}{significant}e{int(exponent or '0') + trailing - len(fraction)}"


def _short(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) < 600 else f"{shown[:400]} … {shown[-150:]}"
