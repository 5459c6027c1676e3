"""A load into empty windows goes straight into the table, any other one by the stage: what is right must be so both ways."""

import gzip
import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from bidbeacon_pipelines.ingest.decode import BrokenPartError
from bidbeacon_pipelines.ingest.load import LoadRules, load_report
from bidbeacon_pipelines.ingest.part_text import read_object
from bidbeacon_pipelines.ingest.targets import TargetIndex
from bidbeacon_pipelines.reports.datasets import DATASETS, HOURLY_TARGETS, get_dataset
from bidbeacon_pipelines.store import first_load
from bidbeacon_pipelines.store.performance import Scope
from bidbeacon_pipelines.store.performance_tables import DAILY, HOURLY
from bidbeacon_pipelines.store.windows import list_windows_of_request
from tests.postgres.load_world import AS_OF, DAY, LoadWorld, Raw, many_rows, report_row

NEXT_DAY = DAY + timedelta(days=1)
ODD = 'a\tb\\N\nc\rd\\.\\"é😀 \\t'
EARLIER = report_row() | {"ad.id": 1}
"""A row that a window held before: then the next report goes by the stage."""


@pytest.fixture(name="way", params=["first", "later"])
def _way(request: pytest.FixtureRequest, shelf: LoadWorld) -> LoadWorld:
    """A shelf whose windows hold nothing, and one where they hold a row that the next report has as well."""
    if request.param == "later":
        shelf.load([EARLIER])
        shelf.load([EARLIER | {"hour.value": 3}], dataset=HOURLY_TARGETS)
    return shelf


def load(way: LoadWorld, rows: Sequence[Raw], **options: Any) -> Any:
    """Load rows and the one that may be there already."""
    return way.load([EARLIER, *rows], age=2, **options)


def any_row(number: int) -> Raw:
    """Give a row that any dataset can read."""
    more = {"ad.id": 5_000 + number, "hour.value": number % 24, "searchTerm.value": f"term {number}"}
    return report_row() | more | {"advertisedProduct.id": f"B{number}", "advertisedProduct.marketplace": "US"}


@pytest.mark.parametrize("name", DATASETS)
def test_the_second_load_of_a_report_finds_nothing_to_write(shelf: LoadWorld, name: str) -> None:
    """What went straight into the table is what the stage makes of the same report, in each dataset."""
    rows = [any_row(number) for number in range(60)]
    first = shelf.load(rows, dataset=get_dataset(name))
    again = shelf.load(rows[::-1], dataset=get_dataset(name), age=2)
    assert (60, 60) == (first.merge.written, first.rows)
    assert (0, 0, 0) == (again.merge.written, again.merge.vanished, again.merge.restated)
    assert (60, first.spend, first.sales) == (again.rows, again.spend, again.sales)


def test_a_report_of_any_length_is_loaded_by_as_many_statements(way: LoadWorld) -> None:
    """No query is made for a row: targets come from memory, rows by COPY and set-wise."""
    if way.rows():
        way.load([on(NEXT_DAY, EARLIER)], days=(NEXT_DAY,))
    short, long = (
        [
            on(day, row)
            for row in (EARLIER, *many_rows(rows), report_row("never heard of"), report_row(clicks=-1))
        ]
        for day, rows in ((DAY, 100), (NEXT_DAY, 1_000))
    )
    assert statements_of(way, DAY, short) == statements_of(way, NEXT_DAY, long)


def on(day: date, row: Raw) -> Raw:
    """Give a row of another day."""
    return row | {"date.value": str(day)}


def statements_of(way: LoadWorld, day: date, rows: Sequence[Raw]) -> list[str]:
    """Load a report; give the statements that were sent for it."""
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(way.engine, "before_cursor_execute", note)
    way.load(rows, days=(day,), age=2)
    event.remove(way.engine, "before_cursor_execute", note)
    assert sent
    return sent


AMOUNT = "expected an amount from 0 to below 10^14 with at most 6 decimals, or null, got: "
BAD: list[tuple[Raw, str]] = [
    ({"ad.id": ...}, "ad.id: missing"),
    ({"metric.clicks": "5"}, "metric.clicks: expected a whole number from 0 to 9223372036854775807 or null, got: '5'"),
    ({"date.value": "2026-02-30"}, "date.value: expected a date YYYY-MM-DD, got: '2026-02-30'"),
    ({"hour.value": 24}, "hour.value: expected an hour from 0 to 23 or the local time of its beginning, got: 24"),
    ({"metric.sales": Decimal("-0.01")}, f"metric.sales: {AMOUNT}-0.01"),
    ({"metric.totalCost": Decimal("NaN")}, f"metric.totalCost: {AMOUNT}NaN"),
    ({"metric.totalCost": Decimal("-Infinity")}, f"metric.totalCost: {AMOUNT}-Infinity"),
    ({"metric.totalCost": 10**14}, f"metric.totalCost: {AMOUNT}100000000000000"),
    ({"ad.id": "a\tb\\"}, "ad.id: expected an id of at most 20 digits, got: 'a\\tb\\\\'"),
]  # fmt: skip
"""A field missing, a wrong type, no date and no hour, metrics that are none; and what COPY could stumble over."""


def test_bad_rows_are_set_aside_with_field_and_value(way: LoadWorld) -> None:
    """Each as it came, with its place; the good rows of the report are loaded, those of an unknown target as unresolved and counted."""
    rows = [report_row() | {"ad.id": 5_000 + n, "hour.value": n % 24} for n in range(600)]
    bad = [
        {
            name: value
            for name, value in (report_row() | {"hour.value": 5} | change).items()
            if value is not ...
        }
        for change, _ in BAD
    ]
    strange = report_row("never heard of") | {"hour.value": 1}
    result = way.load([EARLIER | {"hour.value": 3}, *rows, *bad, strange], age=2, dataset=HOURLY_TARGETS)
    kept = way.query("SELECT reason, raw, row_number FROM quarantined_rows ORDER BY row_number")
    assert [(reason, 601 + n) for n, (_, reason) in enumerate(BAD)] == [
        (k["reason"], k["row_number"]) for k in kept
    ]
    assert [sorted(map(str, row.items())) for row in bad] == [
        sorted(map(str, read_object(k["raw"]).items())) for k in kept
    ]
    assert (602, len(BAD), 1) == (result.rows, result.quarantined, result.unresolved)


def test_tabs_backslashes_and_line_ends_in_texts_stay(way: LoadWorld) -> None:
    """What means something to COPY is text in a name, a target and a bad row."""
    good = report_row(ODD) | {"campaign.name": ODD, "adGroup.name": "\\N"}
    load(way, [good, *many_rows(100), report_row(clicks=-1) | {"campaign.name": f"{ODD}\x00"}])
    [row] = way.query("SELECT * FROM performance_daily WHERE NOT resolved")
    assert (ODD, ODD, "\\N") == (row["target_value"], row["campaign_name"], row["ad_group_name"])
    [bad] = way.query("SELECT raw FROM quarantined_rows")
    assert f"{ODD}\x00" == read_object(bad["raw"])["campaign.name"]


def test_a_name_of_a_megabyte_and_numbers_beyond_reason_are_told_apart(way: LoadWorld) -> None:
    """Long is right, 5,000 digits are a bad row with a reason."""
    name = "x" * (1 << 20)
    load(
        way,
        [
            report_row() | {"campaign.name": name},
            *many_rows(100),
            report_row() | {"ad.id": Decimal("9" * 5000)},
        ],
    )
    [row] = way.query("SELECT length(campaign_name) AS long FROM performance_daily ORDER BY 1 DESC LIMIT 1")
    [bad] = way.query("SELECT reason FROM quarantined_rows")
    assert 1 << 20 == row["long"]
    assert bad["reason"].startswith("ad.id: expected an id of at most 20 digits, got: 999")


def test_the_sum_over_many_rows_is_exact(way: LoadWorld) -> None:
    """To the millionth, as decimals add up; the window tells the same."""
    random.seed(5)
    rows = many_rows(3_000)
    for row in rows:
        row["metric.totalCost"] = Decimal(random.randrange(10**12)).scaleb(-6)
        row["metric.sales"] = Decimal(random.randrange(10**9)).scaleb(-2)
    result = load(way, rows)
    expected = [
        sum((row[f"metric.{name}"] for row in [EARLIER, *rows]), Decimal(0))
        for name in ("totalCost", "sales")
    ]
    [stored] = way.query("SELECT sum(spend) AS spend, sum(sales) AS sales FROM performance_daily")
    window = way.window()
    assert [expected] * 3 == [[one.spend, one.sales] for one in (result, window)] + [
        [stored["spend"], stored["sales"]]
    ]


def test_rows_of_one_key_are_summed(way: LoadWorld) -> None:
    """Which the table's key would refuse."""
    result = load(way, [report_row(), report_row(totalCost=Decimal("0.000001")), *many_rows(5)])
    [row] = way.query("SELECT spend FROM performance_daily WHERE ad_id = '3001'")
    assert (Decimal("1.234568"), 7) == (row["spend"], result.rows)


@pytest.mark.parametrize("end", ["", "]x", ",NaN]"])
def test_a_part_that_is_no_report_changes_nothing(way: LoadWorld, end: str) -> None:
    """Cut in the middle or followed by something: no row, no quarantined row and no window is touched."""
    state = "SELECT p.*, p.xmin FROM performance_daily p ORDER BY ad_id"
    before = way.query(state)
    whole = way.write_part([EARLIER, *many_rows(600), report_row(clicks=-1)])
    text = gzip.decompress(whole.read_bytes())
    whole.write_bytes(gzip.compress(text[:-1] + end.encode()))
    with pytest.raises(BrokenPartError):
        way.load_parts([whole], age=2)
    assert before == way.query(state)
    assert [] == way.query("SELECT * FROM quarantined_rows")


def test_members_of_gzip_are_one_file(shelf: LoadWorld) -> None:
    """A file that was packed piece by piece."""
    part = shelf.write_part(many_rows(20))
    text = gzip.decompress(part.read_bytes())
    part.write_bytes(gzip.compress(text[:700]) + gzip.compress(text[700:]))
    assert 20 == shelf.load_parts([part]).rows


def test_very_many_bad_rows_go_by_the_stage(shelf: LoadWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are kept in memory are set aside all the same."""
    monkeypatch.setattr(first_load, "MOST_BAD_BYTES", 1_000)
    result = shelf.load([*many_rows(500), *[report_row(clicks=-1)] * 5])
    assert (500, 5) == (result.rows, len(shelf.query("SELECT 1 FROM quarantined_rows")))


def test_a_refused_window_gets_nothing_beside_one_that_is_loaded(shelf: LoadWorld) -> None:
    """Also where neither held anything."""
    rows = [*many_rows(100), report_row(day=NEXT_DAY), report_row(day=NEXT_DAY, clicks=-1)]
    result = shelf.load(rows, days=[DAY, NEXT_DAY])
    assert ([DAY], [NEXT_DAY]) == (result.loaded, list(result.refused))
    assert (100, 0) == (len(shelf.rows()), len(shelf.rows(day=NEXT_DAY)))


def written_by(shelf: LoadWorld, table: Any, *chunks: list[bytes]) -> list[bytes]:
    """Give the second fields of rows in the order in which a first load writes them."""
    written: list[bytes] = []
    sink = first_load.TableRows(written.append, table, Scope(shelf.account, "x", 1, AS_OF))
    for chunk in chunks:
        sink.rows(chunk)
    sink.flush()
    return [line.split(b"\t")[1] for lines in written for line in lines.splitlines()]


@pytest.mark.parametrize("table", [DAILY, HOURLY], ids=lambda one: one.name)
def test_a_first_load_of_day_after_day_writes_in_the_order_of_the_key(
    shelf: LoadWorld, monkeypatch: pytest.MonkeyPatch, table: Any
) -> None:
    """However long its runs are to be, they end with a day; no row is lost and none is written twice."""
    rows = [b"2026-01-%02d\t%03d" % (1 + place // 100, (place * 37) % 100) for place in range(700)]
    chunks = [rows[begin : begin + 64] for begin in range(0, 700, 64)]
    in_order = [row.split(b"\t")[1] for row in sorted(rows)]
    for enough in (1, 500, 5_000, 500_000):
        monkeypatch.setattr(first_load, "RUN_BYTES", enough)
        assert in_order == written_by(shelf, table, *chunks)


def test_a_run_ends_where_it_is_full_or_another_day_comes(
    shelf: LoadWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a report without any order as well."""
    monkeypatch.setattr(first_load, "RUN_BYTES", 60)
    mixed = [b"2026-01-02\t9", b"2026-01-01\t5", b"2026-01-01\t40", b"2026-01-01\t3", b"2026-01-01\t2"]
    same_day, both, next_day = [b"2026-01-01\t1"], [b"2026-01-01\t0", b"2026-01-02\t7"], [b"2026-01-02\t6"]
    assert b"0 1 2 3 40 5 9 6 7".split() == written_by(shelf, DAILY, mixed, same_day, both, next_day)
    monkeypatch.setattr(first_load, "MOST_RUN_BYTES", 70)
    assert b"1 2 3 40 5 9 0 6 7".split() == written_by(shelf, DAILY, mixed, same_day, both, next_day)


def test_a_table_with_indexes_of_its_users_gets_rows_as_they_come(shelf: LoadWorld) -> None:
    """A report has an ad's rows side by side, and so has an index by campaign, ad or target; all rows are there all the same."""
    with shelf.engine.begin() as connection:
        connection.execute(text("CREATE INDEX by_campaign ON performance_daily (campaign_id)"))
    rows = many_rows(50)[::-1]
    shelf.load(rows)
    stored = shelf.query("SELECT ad_id FROM performance_daily ORDER BY ctid")
    assert [str(row["ad.id"]) for row in rows] == [row["ad_id"] for row in stored]


def test_a_load_that_is_rolled_back_leaves_nothing(way: LoadWorld) -> None:
    """Not even a temporary table: the next load on the same connection finds the place empty."""
    with pytest.raises(ZeroDivisionError), way.engine.begin() as connection:
        _load_in(connection, way)
        raise ZeroDivisionError
    assert len(way.query("SELECT 1 FROM performance_daily")) <= 1
    assert 21 == load(way, many_rows(20)).rows


def _load_in(connection: Connection, way: LoadWorld) -> None:
    dataset = get_dataset("daily_targets")
    scope = way._scope(connection, dataset, [DAY], AS_OF + timedelta(days=1))
    rules = LoadRules(0.02, lambda _: AS_OF, lambda _: AS_OF, lambda _: AS_OF)
    [windows] = list_windows_of_request(connection, scope.request_id).values()
    part = way.write_part(many_rows(20))
    load_report(connection, scope, dataset, windows, [part], targets=TargetIndex([]), rules=rules)


def test_rows_of_a_window_that_was_loaded_empty_have_appeared(shelf: LoadWorld) -> None:
    """It holds nothing, and yet this is not its first load."""
    shelf.load([])
    result = shelf.load(many_rows(3), age=2)
    told = shelf.query("SELECT change FROM restatements")
    assert (["appeared"] * 3, 3) == ([row["change"] for row in told], result.merge.restated)
