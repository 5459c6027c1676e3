"""Rows are staged the same, read many at a time or each by itself: the quick way takes nothing that the slow way refuses, and changes nothing."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BeforeValidator, Field, model_validator

from bidbeacon_pipelines.ingest import quick_rows
from bidbeacon_pipelines.ingest.decode import BrokenPartError, iter_rows
from bidbeacon_pipelines.ingest.field_types import Count
from bidbeacon_pipelines.ingest.part_text import CHUNK_CHARS
from bidbeacon_pipelines.ingest.rows import ReportRow, RowCheck, TargetRow
from bidbeacon_pipelines.ingest.staging import ReportReader, RowStage
from bidbeacon_pipelines.ingest.targets import TargetIndex
from bidbeacon_pipelines.ingest.wire import find_wire_format
from bidbeacon_pipelines.reports.datasets import DAILY_TARGETS, DATASETS, Dataset
from bidbeacon_pipelines.store.performance_tables import METRICS
from bidbeacon_pipelines.store.staging import StagedRows, Subject
from tests.dagster.sixth_dataset import DAILY_MATCHED_TARGETS
from tests.unit.ingest.report_texts import DAY, NEXT_DAY, TOKENS, VALUES, odd_rows, row_text

VALUES["matchedTarget.value"] = '"dog shirts"'
ALL = {**DATASETS, DAILY_MATCHED_TARGETS.name: DAILY_MATCHED_TARGETS}
NAMES = sorted(ALL)
Staged = list[tuple[Any, ...]]


class Lines:
    """What has been staged, understood as COPY would: rows with their subject in its place, and bad rows."""

    def __init__(self) -> None:
        self._text = b""

    def write(self, lines: bytes) -> None:
        """Take lines."""
        self._text += lines

    def rows(self) -> Staged:
        """Give the staged rows, sorted; amounts as numbers."""
        subjects: dict[str | None, tuple[str | None, ...]] = {}
        rows, bad = Staged(), Staged()
        for line in self._text.decode().split("\n")[:-1]:
            fields = [_field(text) for text in line.split("\t")]
            time, metrics = fields[:2], fields[3 : 3 + len(METRICS)]
            told, subject = fields[3 + len(METRICS) : -len(Subject._fields)], fields[-len(Subject._fields) :]
            if told[0] is not None:
                bad.append((time[0], *told))
            elif time[0] is None:
                subjects[fields[2]] = tuple(subject)
            else:
                rows.append(
                    (
                        fields[2],
                        _instant(time),
                        *[None if m is None else Decimal(m).normalize() for m in metrics],
                    )
                )
        return sorted([(subjects[number], *rest) for number, *rest in rows] + bad, key=repr)


def _field(text: str) -> str | None:
    if text == "\\N":
        return None
    return text.encode().decode("unicode_escape").encode("latin-1").decode() if "\\" in text else text


def _instant(time: Sequence[str | None]) -> tuple[str | None, datetime | None]:
    return time[0], datetime.fromisoformat(time[1]) if time[1] else None


def stage(
    dataset: Dataset, path: Path, *, quick: bool, has_one_country: bool = True
) -> tuple[Staged, int, int] | str:
    """Give what is staged of a part, how many rows are foreign and how many there are; or what is wrong with it."""
    lines = Lines()
    check = RowCheck(
        dataset.row_model,
        "US",
        "America/Los_Angeles",
        frozenset([DAY, NEXT_DAY]),
        has_one_country=has_one_country,
    )
    reader = ReportReader(check, RowStage(StagedRows(lines.write), TargetIndex([])))
    if not quick:
        reader._quick = None
    try:
        reader.read(path)
    except BrokenPartError as error:
        return error.found
    return lines.rows(), reader.foreign, reader.rows_read


@pytest.fixture(name="part", scope="module")
def _part(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("quick") / "part.json.gz"

    def write(text: str) -> Path:
        path.write_bytes(gzip.compress(text.encode("utf-8", "surrogatepass"), compresslevel=1, mtime=0))
        return path

    return write


def plain_row(dataset: Dataset, **changes: str) -> str:
    """Give a good row; `metric__clicks="3"` changes `metric.clicks`."""
    changed = {field.replace("__", "."): value for field, value in changes.items()}
    return row_text({field: VALUES[field] for field in dataset.fields} | changed)


@pytest.mark.parametrize("name", NAMES)
def test_every_dataset_has_the_quick_way(name: str) -> None:
    """It is made from the row model, also for a dataset that the product doesn't have: nothing is written for one by hand."""
    assert find_wire_format(ALL[name].row_model) is not None


@pytest.mark.parametrize("has_one_country", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_each_odd_value_in_each_field_is_told_the_same(
    part: Any, name: str, *, has_one_country: bool
) -> None:
    """Every token in every field's place, each in a report of its own good rows: staged the same, with the same reasons."""
    dataset = ALL[name]
    good = [plain_row(dataset, ad__id=str(number)) for number in range(1, 4)]
    for field in (*dataset.fields, "metric.new"):
        odd = [
            row_text({f: VALUES[f] for f in dataset.fields} | {field: token})
            for token in TOKENS
            if "\t" not in token and "\x00" not in token
        ]
        path = part("[" + ",\n".join([*good, *odd, *good]) + "]")
        slow = stage(dataset, path, quick=False, has_one_country=has_one_country)
        assert slow == stage(dataset, path, quick=True, has_one_country=has_one_country), field
        assert not isinstance(slow, str)
        assert len(odd) + 6 == slow[2]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES), blank=st.sampled_from([",", ",\n", " , \r\n\t"]))
def test_any_report_is_staged_the_same(part: Any, data: st.DataObject, name: str, blank: str) -> None:
    """Fields changed, missing, sent twice and unknown, in any mixture: the same rows, the same reasons, the same count, or the same fault."""
    rows = data.draw(st.lists(odd_rows(ALL[name]), max_size=12))
    path = part("[" + blank.join(rows) + "]")

    assert stage(ALL[name], path, quick=False) == stage(ALL[name], path, quick=True)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_any_damage_is_told_the_same(part: Any, data: st.DataObject, name: str) -> None:
    """A few characters put in, taken out or exchanged anywhere in a report."""
    text = "[" + ",".join(plain_row(ALL[name], ad__id=str(number)) for number in range(1, 8)) + "]"
    for _ in range(data.draw(st.integers(1, 3))):
        place, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
        new = data.draw(st.text('{}[],:"\\ \n0123456789.-eNa\x00', max_size=3))
        text = text[:place] + new + text[place + length :]
    path = part(text)

    assert stage(ALL[name], path, quick=False) == stage(ALL[name], path, quick=True)


@pytest.mark.parametrize("bad", [0, 1, 700, 1499])
def test_one_bad_row_among_many_is_found(part: Any, bad: int) -> None:
    """Wherever it stands among good ones, it alone is set aside, with its number."""
    rows = [plain_row(DAILY_TARGETS, ad__id=str(number)) for number in range(1500)]
    assert CHUNK_CHARS * 5 < sum(map(len, rows))
    rows[bad] = plain_row(DAILY_TARGETS, metric__clicks="NaN")
    staged = stage(DAILY_TARGETS, part("[" + ",".join(rows) + "]"), quick=True)
    assert not isinstance(staged, str)
    found = [row for row in staged[0] if len(row) == 4]
    assert [("2026-03-08", str(bad))] == [row[:2] for row in found]
    assert 1500 == len(staged[0])


def test_a_brace_in_a_text_is_no_border(part: Any) -> None:
    """Names that look like the border of two rows, in every row, are read as they are."""
    rows = [plain_row(DAILY_TARGETS, ad__id=str(n), campaign__name='"},{\\"}"') for n in range(400)]
    path = part("[" + ",".join(rows) + "]")
    assert stage(DAILY_TARGETS, path, quick=False) == stage(DAILY_TARGETS, path, quick=True)


def test_a_key_sent_twice_counts_with_its_last_value(part: Any) -> None:
    """As the standard library has it."""
    row = row_text({f: VALUES[f] for f in DAILY_TARGETS.fields}, ("metric.clicks", "3"))
    staged = stage(DAILY_TARGETS, part(f"[{row}]"), quick=True)
    assert not isinstance(staged, str)
    assert Decimal(3) == staged[0][0][2 + METRICS.index("clicks")]


def test_what_is_remembered_is_bounded(part: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are forgotten when they are too many, and nothing else comes of it."""
    rows = [plain_row(DAILY_TARGETS, ad__id=str(n % 40), metric__clicks=str(n)) for n in range(900)]
    path = part("[" + ",".join(rows) + "]")
    expected = stage(DAILY_TARGETS, path, quick=False)
    monkeypatch.setattr(quick_rows.Memo, "__init__", _small)
    assert expected == stage(DAILY_TARGETS, path, quick=True)


def _small(self: Any, make: Any, _: int = 0) -> None:
    self._make, self._most = make, 7


class WithUnit(TargetRow):
    """Understands clicks with their unit as well."""

    clicks: Annotated[Count, BeforeValidator(lambda v: int(v[:-7]) if isinstance(v, str) else v)] = Field(
        alias="metric.clicks"
    )


class WithRule(TargetRow):
    """Has a rule about a row as a whole."""

    @model_validator(mode="after")
    def _check(self) -> "WithRule":
        return self


@pytest.mark.parametrize("model", [WithUnit, WithRule])
def test_a_model_with_rules_of_its_own_goes_the_slow_way(part: Any, model: type[ReportRow]) -> None:
    """Where a metric is told in another way, or a row judged as a whole, only the model itself is asked."""
    assert find_wire_format(model) is None
    dataset = replace(DAILY_TARGETS, row_model=model)
    staged = stage(dataset, part(f"[{plain_row(dataset)}]"), quick=True)
    assert not isinstance(staged, str)
    assert 1 == len(staged[0])


def test_days_that_were_not_asked_for_are_bad(part: Any) -> None:
    """Also the thousandth time that the same day comes."""
    later = f'"{date(2026, 4, 1)}"'
    staged = stage(
        DAILY_TARGETS,
        part("[" + ",".join([plain_row(DAILY_TARGETS, date__value=later)] * 3) + "]"),
        quick=True,
    )
    assert not isinstance(staged, str)
    assert ["expected a day that was asked for"] * 3 == [
        row[2].partition(": ")[2].partition(",")[0] for row in staged[0]
    ]


def test_rows_are_counted_as_the_slow_reader_counts_them(part: Any) -> None:
    """The two readers of a part agree on how many rows it has."""
    path = part("[" + ",".join([plain_row(DAILY_TARGETS)] * 1000) + "]")
    assert 1000 == sum(1 for _ in iter_rows(path)) == stage(DAILY_TARGETS, path, quick=True)[2]
