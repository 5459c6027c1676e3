"""Rows of all datasets as JSON text, changed in ways that Amazon, or chance, might change them."""

from datetime import date

from hypothesis import strategies as st

from bidbeacon_pipelines.reports.datasets import Dataset

DAY = date(2026, 3, 8)
"""On it the clock of Los Angeles goes forward, from 2 to 3."""
NEXT_DAY = date(2026, 3, 9)
VALUES = {
    "date.value": '"2026-03-08"',
    "hour.value": "17",
    "budgetCurrency.value": '"USD"',
    "adProduct.value": '"Sponsored Products"',
    "campaign.id": "300000000000002",
    "campaign.name": '"Manual - Dog shirts"',
    "campaign.country": '"US"',
    "adGroup.id": '"400000000000002"',
    "adGroup.name": '"Ad group 2"',
    "ad.id": "9223372036854775807",
    "target.value": '"funny dog shirt"',
    "target.matchType": '"PHRASE"',
    "advertisedProduct.id": '"B0EXAMPLE1"',
    "advertisedProduct.marketplace": '"US"',
    "searchTerm.value": '"Funny  dog shirt XL"',
    "metric.impressions": "1200",
    "metric.clicks": "18",
    "metric.purchases": "null",
    "metric.sales": "39.98",
    "metric.totalCost": "9.870001",
}
TOKENS = [
    *[
        "null",
        "true",
        "false",
        "NaN",
        "Infinity",
        "-Infinity",
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "1.0",
        "-1",
        "2",
        "3",
        "23",
        "24",
    ],
    *[
        "1e2",
        "1E+3",
        "1.5e1",
        "0.1234567",
        "1.50000000",
        "1e400",
        "1e-400",
        "1e99999999999999999999",
        "9" * 5000,
    ],
    *[
        "9007199254740993",
        "9007199254740993.0",
        "9223372036854775807",
        "9223372036854775808",
        "12345678901234567890",
    ],
    *[
        "99999999999999999999",
        "100000000000000000000",
        "99999999999999.999999",
        "100000000000000",
        "18446744073709551616",
    ],
    *[
        '""',
        '"1"',
        '"1.5"',
        '" 12"',
        '"007"',
        '"9"',
        '"02"',
        '"2026-03-08"',
        '"2026-03-09"',
        '"2026-02-30"',
        '"20260308"',
    ],
    *[
        '"2026-03-08T02:00:00"',
        '"2026-03-08T03:00:00"',
        '"2026-03-09T01:00"',
        '"2026-03-08T01:00:00-08:00"',
        '"25"',
    ],
    *[
        '"US"',
        '"us"',
        '"UK"',
        '"CA"',
        '"USD"',
        '"usd"',
        '"CAD"',
        '"PHRASE"',
        '"close-match"',
        '"B0 X"',
        '"\\\\N"',
        '"a\\\\tb"',
    ],
    *[
        '"a\\tb\\nc\\rd"',
        '"a\\u0000b"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"😀 ünï"',
        '"},{"',
        '"\\"}"',
        '"x\x00"',
        '"a\tb"',
        f'"{"y" * 3000}"',
    ],
    *["[]", "{}", '{"a":{"b":1}}', "[1,2]", '[{"a":1}]', "[" * 50 + "]" * 50],
]
"""What may stand in a field's place: whole values, of which the decoders of two libraries may think differently."""


def row_text(values: dict[str, str], *more: tuple[str, str]) -> str:
    """Write an object of values that are JSON already; `more` comes after them, a field once more for example."""
    return "{" + ",".join(f'"{field}":{value}' for field, value in [*values.items(), *more]) + "}"


@st.composite
def odd_rows(draw: st.DrawFn, dataset: Dataset) -> str:
    """Give a row with a field or two changed, left out, sent twice, or unknown."""
    values = {field: VALUES[field] for field in dataset.fields}
    fields = st.sampled_from(sorted(values))
    values |= draw(st.dictionaries(fields, st.sampled_from(TOKENS), max_size=2))
    for field in draw(st.sets(fields, max_size=1)) if draw(st.integers(0, 3)) == 0 else ():
        del values[field]
    twice = st.tuples(fields | st.just("metric.new"), st.sampled_from(TOKENS))
    more = draw(st.lists(twice, max_size=1)) if draw(st.integers(0, 3)) == 0 else []
    return row_text(values, *more)
