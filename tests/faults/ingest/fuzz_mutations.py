"""How reports are spoiled: a value, a row, the text of a part, the bytes of a file; by what a seed draws."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.faults.ingest.fuzz_documents import (
    FEW,
    MANY,
    Document,
    Number,
    Pairs,
    some_days,
    some_report,
    valid_rows,
    written,
)

MOST_PARTS = 4
NUMBERS = tuple(
    map(
        Number,
        [
            "0",
            "-0",
            "-0.0",
            "0.0",
            "1",
            "-1",
            "-0.01",
            "-1e-9",
            "0.1",
            "1.5",
            "12.0",
            "1e2",
            "1E+2",
            "1.2e1",
            "1e-2",
            "1e400",
            "-1e400",
            "1e-400",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "0.0000001",
            "1.2345678",
            "0.1234560",
            "5.0000000000",
            "99999999999999.999999",
            "99999999999999.9999999",
            "100000000000000",
            "90000000000000",
            "9007199254740993",
            "9007199254740993.0",
            "9223372036854775807",
            "9223372036854775808",
            "9300000000000000000",
            "18446744073709551616",
            "1234567890123456789",
            "12345678901234567890",
            "123456789012345678901",
            "23",
            "24",
            "25",
            "1e1",
            "NaN",
            "Infinity",
            "-Infinity",
        ],
    )
)
LONG_NUMBERS = (
    Number("9" * 19),
    Number("9" * 5_000),
    Number("-" + "9" * 5_000),
    Number("0." + "1" * 5_000),
    Number("1." + "0" * 5_000),
    Number("1e" + "9" * 5_000),
    Number("9" * 5_000 + "e-5000"),
)
TEXTS = (
    "", " ", "\0", "a\0b", "\ud800", "\udc00x", "\ud83d\ude00", "\t", "a\tb", "\\", "\\N", "\\.", "\\t", "\n", "\r\n", '"', "'", "\x7f", "\x01",
    "\u2028", "\ufeff", "é", "e\u0301", "DOG  SHIRT", "dog shirt", "犬", "🐶", "\u202e", "\U0010ffff", "\uffff", "NaN", "null", "5", "1e3", "-1", "\uff11\uff17", "US", "uk", " us ",
    "USA", "ZZ", "EUR", "usd", "unresolved:00", "{}", "[1]", "x" * 501, "犬" * 500, "x" * 3_000,
)  # fmt: skip
DATES = (
    "2026-02-30", "2026-13-01", "0000-00-00", "0001-01-01", "9999-12-31", "2026-1-10", "20260110", "2026-01-10T00:00:00", " 2026-01-10", "\uff12\uff10\uff12\uff16-01-10",
    "2026-01-10 ", "2026-01-10\n", "1999-01-10",
)  # fmt: skip
HOURS = (
    "24", "-1", "07", "7 ", "17.0", "noon", "{day}T24:00:00", "{day}T25:00:00", "{day}T02:00:00", "{day}T01:00:00-07:00", "{day}T01:00:00-08:00", "{day}T01:00:00Z",
    "{day}T02:00:00-08:00", "{day}T09:00", "{day} 09:00:00", "{day}T09:00:00.000", "{day}T09:30:00", "{day}T09:00:00+99:99", "2026-01-09T09:00:00", "{day}T0\uff19:00:00",
)  # fmt: skip
_AD_PRODUCTS = (
    "Sponsored Products", "SPONSORED_BRANDS", "sponsored  display", "Sponsored Brands", "Amazon DSP", "Sponsored Dreams", "", None, Number("1"),
)  # fmt: skip
_LITERALS: tuple[Any, ...] = (None, True, False, [], [Number("1")], [("value", Number("1"))])
_TEXTS_OF_PARTS = (
    b"", b" ", b"null", b"{}", b"[", b"[]", b"[ ]", b"[]]", b"[1]", b"[[]]", b"[null]", b"[{}]", b"[{},]", b"[,]", b'"', b"NaN", b"\x00", b"\xff\xfe[\x00]\x00", b"\xef\xbb\xbf[]",
    b"[] x", b"\xef\xbb\xbf\xef\xbb\xbf[]", b"[{}{}]", b"[" * 100_000,
)  # fmt: skip
_SNIPPETS = (
    b"\x00", b"\t", b"\\", b"\\u0000", b"\\ud800", b'"', b",", b"[", b"]", b"{", b"}", b":", b"NaN", b"-", b"1e400", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f", b"\n", b"'", b"/*", b"0",
)  # fmt: skip


def make_document(seed: int, number: int) -> Document:
    """Make the document of this number of a seed."""
    rng = Random(f"{seed}/{number}")
    (dataset, report), days = some_report(rng), some_days(rng)
    count = rng.randint(*(MANY if rng.random() < 0.01 else FEW))
    rows = valid_rows(rng, dataset, report, days, count)
    before = None
    if rng.random() < 0.5:
        kept = [row for row in rows if rng.random() < 0.8]
        kept += valid_rows(rng, dataset, report, days, rng.randrange(6))
        before = tuple(map(written, kept))
    spoiled_by = [_spoil_rows(rng, rows) for _ in range(rng.choice((0, 1, 1, 2, 4, 8)))]
    texts = [written(row, escaped=rng.random() < 0.3) for row in rows]
    document = Document(dataset, report, days, before, None, ()).with_rows(_cut(rng, texts))
    share = rng.choice((1.0, 1.0, 1.0, 0.02))
    return _spoil_parts(rng, replace(document, bad_row_share=share, spoiled_by=tuple(spoiled_by)))


def _cut(rng: Random, rows: Sequence[str]) -> list[Sequence[str]]:
    """Cut rows into parts, of which some may be empty."""
    places = sorted(rng.randint(0, len(rows)) for _ in range(rng.choice((0, 0, 1, MOST_PARTS - 1))))
    return [rows[start:end] for start, end in zip([0, *places], [*places, len(rows)], strict=True)]


def _spoil_rows(rng: Random, rows: list[Pairs]) -> str:
    if not rows:
        return "no rows"
    place = rng.randrange(len(rows))
    spoil = rng.choice(_SPOILERS)
    rows[place] = spoil(rng, rows[place])
    if rng.random() < (
        0.6 if spoil is _largest_number else 0.15
    ):  # rows of one key, or a report that is mostly bad
        rows += [rows[place]] * rng.choice((1, 1, 2, 30))
    return f"{spoil.__name__.strip('_')} in row {place}"


def _other_value(rng: Random, row: Pairs) -> Pairs:
    return _with(row, rng.randrange(len(row)), _odd_value(rng))


def _other_number(rng: Random, row: Pairs) -> Pairs:
    """Put an odd number where one is expected."""
    places = [
        place
        for place, (name, _) in enumerate(row)
        if name.startswith("metric.") or name.endswith(".id")
    ]
    return _with(row, rng.choice(places), rng.choice(NUMBERS + LONG_NUMBERS))


def _largest_number(rng: Random, row: Pairs) -> Pairs:
    """Fill a column: the row can be stored, and a sum of two of them can't."""
    name, most = rng.choice(
        (
            ("metric.clicks", "9223372036854775807"),
            ("metric.impressions", "9223372036854775000"),
            ("metric.totalCost", "99999999999999.999999"),
            ("metric.sales", "60000000000000"),
        )
    )
    return [(key, Number(most) if key == name else value) for key, value in row]


def _other_text(rng: Random, row: Pairs) -> Pairs:
    """Put an odd text where one is expected."""
    wanted = (".name", ".costType", "target.value", ".matchType", "searchTerm.value", ".country")
    wanted += (".marketplace", "Marketplace.value", "placementClassification.value")
    places = [place for place, (name, _) in enumerate(row) if name.endswith(wanted)]
    if not places:
        return row
    return _with(
        row, rng.choice(places), rng.choice(TEXTS) if rng.random() < 0.97 else _long_text(rng)
    )


def _other_time(rng: Random, row: Pairs) -> Pairs:
    """Put an odd date or hour where one is expected."""
    values = dict(row)
    names = [name for name in ("date.value", "hour.value") if name in values]
    if not names:
        return row
    name, day = rng.choice(names), values.get("date.value")
    odd = rng.choice(DATES if name == "date.value" else (*HOURS, *NUMBERS))
    if not isinstance(odd, Number):
        odd = odd.replace("{day}", day if isinstance(day, str) else "2026-01-10")
    return [(key, odd if key == name else value) for key, value in row]


def _other_country(rng: Random, row: Pairs) -> Pairs:
    odd = rng.choice(
        (
            "DE",
            "UK",
            "GB",
            "us",
            " US",
            "",
            "USA",
            "U",
            "\0\0",
            "\uff35\uff33",
            None,
            Number("5"),
            [],
            True,
            False,
        )
    )
    return [(name, odd if name == "campaign.country" else value) for name, value in row]


def _other_ad_product(rng: Random, row: Pairs) -> Pairs:
    odd = rng.choice(_AD_PRODUCTS)
    return [(name, odd if name == "adProduct.value" else value) for name, value in row]


def _lost_field(rng: Random, row: Pairs) -> Pairs:
    place = rng.randrange(len(row))
    return row[:place] + row[place + 1 :]


def _other_name(rng: Random, row: Pairs) -> Pairs:
    place = rng.randrange(len(row))
    name, value = row[place]
    odd = rng.choice((name.upper(), name + " ", "\0" + name, "", "\ud800", name.replace(".", "_")))
    return [*row[:place], (odd, value), *row[place + 1 :]]


def _new_field(rng: Random, row: Pairs) -> Pairs:
    place = rng.randint(0, len(row))
    return [
        *row[:place],
        (rng.choice(("metric.surprise", "x", "\0", "\udfff", "")), _odd_value(rng)),
        *row[place:],
    ]


def _same_name_twice(rng: Random, row: Pairs) -> Pairs:
    name, value = rng.choice(row)
    odd = _odd_value(rng)
    return [*row, (name, odd)] if rng.random() < 0.5 else [(name, odd), *row, (name, value)]


def _other_order(rng: Random, row: Pairs) -> Pairs:
    return rng.sample(row, len(row))


_SPOILERS: tuple[Callable[[Random, Pairs], Pairs], ...] = (
    _other_value,
    _other_number,
    _other_number,
    _other_number,
    _largest_number,
    _other_text,
    _other_text,
    _other_time,
    _other_time,
    _other_country,
    _other_ad_product,
    _lost_field,
    _other_name,
    _new_field,
    _same_name_twice,
    _other_order,
)


def _with(row: Pairs, place: int, value: Any) -> Pairs:
    return [*row[:place], (row[place][0], value), *row[place + 1 :]]


def _odd_value(rng: Random) -> Any:
    drawn = rng.random()
    if drawn < 0.02:
        return _nested(
            rng.choice((10, 400, 900, 980, 3_000, 20_000, 100_000)), rng.choice(("[", "{"))
        )
    if drawn < 0.03:
        return _long_text(rng)
    return rng.choice(rng.choice((NUMBERS, NUMBERS, LONG_NUMBERS, TEXTS, DATES, _LITERALS)))


def _nested(depth: int, bracket: str) -> Number:
    """Return a value so deep; it is written like a number, as it is."""
    return Number(
        "[" * depth + "]" * depth if bracket == "[" else '{"a":' * depth + "1" + "}" * depth
    )


def _long_text(rng: Random) -> str:
    return rng.choice(("x", "犬", "\\", "\t", '"', "\0")) * rng.choice(
        (10_000, 65_536, 200_000, 1_000_000)
    )


def _spoil_parts(rng: Random, document: Document) -> Document:
    """Spoil the text or the bytes of one part, now and then; all parts together, seldom."""
    drawn, place = rng.random(), rng.randrange(len(document.parts))
    if drawn < 0.25:
        text = _spoiled_text(rng, gzip.decompress(document.parts[place]))
        part, by = gzip.compress(text, compresslevel=1, mtime=0), f"text of part {place}"
    elif drawn < 0.4:
        part, by = _spoiled_file(rng, document.parts[place]), f"bytes of part {place}"
    else:
        return document
    parts = (*document.parts[:place], part, *document.parts[place + 1 :])
    return replace(document, rows=None, parts=parts, spoiled_by=(*document.spoiled_by, by))


def _spoiled_text(rng: Random, text: bytes) -> bytes:
    if rng.random() < 0.1:
        return rng.choice(_TEXTS_OF_PARTS)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        text = _spoiled_once(rng, text)
    return text


def _spoiled_once(rng: Random, text: bytes) -> bytes:
    """Change a text at one place: a byte, a piece, or the rest of it."""
    place, length = rng.randint(0, len(text)), rng.choice((1, 1, 2, 10, 100))
    head, tail = text[:place], text[place:]
    ways = (
        head,
        head + tail[length:],
        head + rng.randbytes(1) + tail[1:],
        head + tail[:length] * 2 + tail[length:],
        head + rng.choice((b" ", b"\n", b"\t", b"\r")) + tail,
        b"\xef\xbb\xbf" + text,
        text + rng.choice((b"\n", b" \t", b"]", b"x", b"\x00", text[:50])),
        head + rng.choice(_SNIPPETS) + tail[rng.randrange(2) :],
        head + rng.choice(_SNIPPETS) + tail[rng.randrange(2) :],
    )
    return rng.choice(ways)


def _spoiled_file(rng: Random, file: bytes) -> bytes:
    """Change the bytes of a file, some of them or all."""
    place = rng.randrange(len(file))
    head, tail, text = file[:place], file[place:], gzip.decompress(file)
    ways = (
        b"",
        head,
        text,
        gzip.compress(file),
        file + rng.choice((b"\0", b"\0" * 600, b"x", file[:12], file)),
        _in_members(rng, text),
        head + rng.randbytes(1) + tail[1:],
        head + rng.randbytes(1) + tail[1:],
        head + rng.randbytes(4) + tail[1:],
    )
    return rng.choice(ways)


def _in_members(rng: Random, text: bytes) -> bytes:
    """Write a text as several gzip members, one of which may be empty: that is one gzip file all the same."""
    place = rng.randint(0, len(text))
    return b"".join(map(gzip.compress, (text[:place], b"", text[place:])))
