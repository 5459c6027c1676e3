"""Stages the rows of a report: read many at a time where they can be, one by one where they have to be, each way to the same end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from bidbeacon_pipelines.ingest.decode import array_items, named_faults
from bidbeacon_pipelines.ingest.part_text import CHUNK_CHARS, PartText, open_part, read_object
from bidbeacon_pipelines.ingest.quick_rows import QuickRows
from bidbeacon_pipelines.ingest.rows import (
    OTHER_SPELLINGS,
    BadRow,
    CheckedRow,
    ForeignRow,
    GoodRow,
    OtherProductRow,
    ReportRow,
    RowCheck,
)
from bidbeacon_pipelines.ingest.targets import TargetIndex, placeholder_id
from bidbeacon_pipelines.ingest.wire import UNREADABLE, WireFormat, find_wire_format
from bidbeacon_pipelines.store.performance_tables import METRICS
from bidbeacon_pipelines.store.staging import MOST, RowKey, RowSink, Subject, field_text

Overfull = Mapping[RowKey, Mapping[str, Decimal]]
NOTHING_OVERFULL: Overfull = {}
Checked = CheckedRow[ReportRow]


@cache
def _wire_format_of(model: type[ReportRow]) -> WireFormat | None:
    return find_wire_format(model)


_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def _with_known_names(some: str) -> str:
    """Return JSON objects with the names that we know for fields that Amazon has renamed; nothing where both stand there.

    In JSON a quoted text before a colon is a name: inside of a value the quotes would be escaped.
    """
    for name, other in OTHER_SPELLINGS.items():
        if f'"{other}"' in some:
            if f'"{name}"' in some:
                return ""
            some = some.replace(f'"{other}":', f'"{name}":')
    return some


class RowStage:
    """Where checked rows go, each with its target.

    Args:
        sink: Takes them.
        targets: The account's targets.
        overfull: Keys whose rows add up to more than a column holds, each with the metrics' sums: these rows are kept aside.
    """

    def __init__(self, sink: RowSink, targets: TargetIndex, overfull: Overfull = NOTHING_OVERFULL) -> None:
        self.foreign = 0
        self.other_products: Counter[str] = Counter()
        self.sink = sink
        self.overfull = overfull
        self._targets = targets

    def add(self, one: Checked, came: str) -> None:
        """Stage a checked row; aside, as the text it came as, where it is bad or its key is overfull.

        Rows of other countries and ad products are only counted.
        """
        match one:
            case GoodRow():
                reason = self.find_overfull(one)
                if reason is None:
                    self.add_good(one)
                else:
                    self.sink.bad(one.index, one.row.window_date, reason, came)
            case BadRow():
                self.sink.bad(one.index, one.window_date, one.reason, came)
            case ForeignRow():
                self.foreign += 1
            case OtherProductRow():
                self.other_products[one.ad_product] += 1

    def add_good(self, good: GoodRow[ReportRow]) -> None:
        """Stage a row that is understood."""
        metrics = [field_text(getattr(good.row, name)) for name in METRICS]
        time = self.sink.time(good.row.window_date, good.hour_at)
        self.sink.rows([b"\t".join([time, self.subject_text(good.row), *metrics])])

    def find_overfull(self, good: GoodRow[ReportRow]) -> str | None:
        """Give why a row belongs aside, where its key's rows add up to more than a column holds."""
        sums = self.overfull.get(self._key_of(good)) if self.overfull else None
        if sums is None:
            return None
        told = ((type(good.row).model_fields[name].alias, MOST[name], total) for name, total in sums.items())
        return "; ".join(
            f"{field}: expected rows of one key to add up to {most} at most, got: {total}"
            for field, most, total in told
        )

    def _key_of(self, good: GoodRow[ReportRow]) -> RowKey:
        subject = self._subject_of(good.row)
        entity = subject.entity_id, subject.entity_detail
        return RowKey(good.row.window_date, good.hour_at, subject.ad_id, *entity, subject.currency_code)

    def subject_text(self, row: ReportRow) -> bytes:
        """Give the text by which lines name what a row is of; remember it, so that the same subject is not told twice."""
        return self.sink.subject(self._subject_of(row))

    def _subject_of(self, row: ReportRow) -> Subject:
        entity = row.entity
        entity_id, resolved = entity.entity_id, True
        if entity_id is None:
            entity_id, resolved = self._identified(row, entity.target_value or "", entity.match_type or "")
        return Subject(
            row.ad_id,
            entity_id,
            entity.detail,
            row.currency_code,
            row.campaign_id,
            row.campaign_name,
            row.ad_group_id,
            row.ad_group_name,
            entity.target_value,
            entity.match_type,
            resolved,
        )

    def _identified(self, row: ReportRow, value: str, match_type: str) -> tuple[str, bool]:
        """Give the id that rows of a target are kept under, and whether that is its own rather than a placeholder."""
        target_id = self._targets.find(row.ad_group_id, value, match_type)
        if target_id is not None:
            return target_id, True
        return placeholder_id(row.campaign_id, row.ad_group_id, value, match_type), False


class ReportReader:
    """Reads the parts of one report in turn into a stage.

    Args:
        check: Says what a row is that is looked at by itself.
        stage: Takes all rows.

    Attributes:
        rows_read: Rows of the present part so far.
    """

    def __init__(self, check: RowCheck[Any], stage: RowStage) -> None:
        self.rows_read = 0
        self._rows_before = 0
        self._check = check
        self._stage = stage
        model: type[ReportRow] = check.row_model
        self._wire = None if stage.overfull else _wire_format_of(model)  # their rows are found one by one
        self._quick = (
            QuickRows(self._wire, check, stage.subject_text, stage.sink.time) if self._wire else None
        )

    @property
    def foreign(self) -> int:
        """Rows of other countries."""
        return self._stage.foreign + (self._quick.foreign if self._quick else 0)

    @property
    def total_rows(self) -> int:
        """Rows of all parts so far."""
        return self._rows_before + self.rows_read

    @property
    def other_products(self) -> Mapping[str, int]:
        """Rows of ad products that were not asked for, by product."""
        return self._stage.other_products

    def read(self, path: Path) -> None:
        """Stage all rows of a part.

        Raises:
            BrokenPartError: It can't be read to its end; some of its rows have been staged by then.
        """
        self._rows_before += self.rows_read
        self.rows_read = 0
        with named_faults(path, self), open_part(path) as text:
            for _ in array_items(text):
                self._take_some(text)

    def _take_some(self, text: PartText) -> None:
        """Use up some of the objects that are at hand: half as many where one can't be decoded, until that one stands alone."""
        chars = CHUNK_CHARS if self._quick else 0
        while some := text.peek_objects(chars):
            rows = self._decode(some)
            if rows:
                self._add(rows, some)
                text.use_up(some)
                return
            chars = len(some) // 2
        self._add_one(*text.take_object(), self.rows_read)
        self.rows_read += 1

    def _decode(self, some: str) -> list[Any]:
        """Give the rows that a text has; none where it has other things than rows, as far as the decoder knows them."""
        known = _with_known_names(some)
        if not known or self._wire is None:
            return []
        try:
            return self._wire.decoder.decode(f"[{known}]")
        except UNREADABLE:
            return []

    def _add(self, rows: Sequence[Any], some: str) -> None:
        """Stage decoded rows; those that are odd are read once more, as they came."""
        assert self._quick is not None, "only the quick way decodes"  # noqa: S101 - for the type checker
        lines, odd = self._quick.lines(rows)
        self._stage.sink.rows(lines)
        came = _RAWS.decode(f"[{some}]") if odd else ()
        for place in odd:
            row = bytes(came[place]).decode()
            self._add_one(read_object(row), row, self.rows_read + place)
        self.rows_read += len(rows)

    def _add_one(self, row: dict[str, Any], came: str, number: int) -> None:
        self._stage.add(self._check(self._rows_before + number, row), came)
