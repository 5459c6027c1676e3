"""The data dictionary: `python -m tools.data_dictionary` prints it."""

from collections.abc import Iterator, Sequence
from itertools import chain

from bidbeacon_pipelines.datasets.derived import RATIOS, Ratio, ratios_of
from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS, SHORT_NAMES, Dimension, Metric
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.problems.checks import RECONCILED
from bidbeacon_pipelines.views import (
    ACCOUNT_DAYS_VIEW,
    COMMON_COLUMNS,
    DAYS_VIEW,
    REPORT_DAYS_VIEW,
    REPORT_VIEWS,
    RESTATEMENTS_VIEW,
    ReportView,
    ViewColumn,
)

_KINDS = {
    "id": "id, as text",
    "text": "text",
    "product": "ASIN",
    "marketplace": "country code",
    "placement": "text",
}
_UNDECLARED = {
    "window_date": (("date",), ("reportDate",)),
    "currency_code": (("campaignBudgetCurrencyCode",), ("currency",)),
    "target_id": ((), ("keywordId", "targetId")),
}
"""Names elsewhere, in v3 and others, of columns that are no dimensions, metrics or ratios."""
_UNITS = {"count": "count", "amount": "amount in `currency_code`"}

_HEAD = """# Data dictionary

Printed from the registry of datasets (`bidbeacon_pipelines/datasets/registry.py`) by `make docs`; a
test compares them. The descriptions are also comments in the database:
`\\d+ reports.daily_campaigns` in `bidbeacon db shell` shows them.
For the SQL of common questions, see
[Answer business questions](../how-to/answer-business-questions.md).

Analysts read the views of schema `reports`. SP is Sponsored Products, SB is Sponsored Brands
(including its videos), and SD is Sponsored Display.

## Read this first

- **Time.** `window_date` is a day of the account's own calendar. `hour_at` is the instant at which
  an hour began; `local_hour` is that hour on the account's clock.
- **Money** is in the currency of the row (`currency_code`), with up to six decimals, as Amazon sent
  it. Never add two currencies.
- **Attribution.** An order counts on the day of the click or view that led to the order, if the
  order follows within `attribution_days`: 7 for SP of sellers, 14 for SP of vendors and for SB and
  SD. So sales of SP and of SB or SD are different measures: show `attribution_days` beside a sum
  over several ad products. `attribution_days` is null if Amazon does not state whether the account
  is a seller's or a vendor's.
- **Old days grow.** Amazon restates its reports of a day for up to 60 days. BidBeacon requests each
  dataset again on its refresh days. To see how a day changed, see
  [Follow restatements](../how-to/follow-restatements.md).
- **Null is not zero.** Null means that Amazon sent no value: the metric does not apply to the ad
  product, or is not ready. Zero is a measured value. A day without any row was not
  loaded, is not served, or had no activity: `reports.days` states which.
- **Missing days.** A sum over days that are not loaded is too small. `reports.days` has one row for
  each day of each dataset and account, but no row for days after an account's last refresh.
- **Complete days.** A day is complete (`is_complete`) when every report of the day that Amazon
  serves is loaded. If a report expired before it was loaded, the day stays incomplete. A complete
  day may have entries in `not_served` and `left_out`, which are explained below.
- **Final days.** A day is final (`is_final`) when every report of the day that Amazon serves was
  loaded for the last time. Until then, figures are provisional. `as_of` is when the report of a row
  was requested.
- **Not served.** Amazon serves only a limited history of an ad product. `not_served` of
  `reports.days` names the ad products that Amazon does not serve for a day: these ad products have
  no rows and are in no sum. The day is complete without them.
- **Some campaigns are in no report.** Amazon leaves out Sponsored Brands campaigns without ad
  groups. For these campaigns, `is_reported` of `reports.campaigns` is false, and `left_out` of
  `reports.days` has their names
  ([what reports omit](../how-to/answer-business-questions.md#what-amazons-reports-leave-out)).
- **Hours and days may differ.** Amazon makes hourly reports separately from daily reports. Use
  daily datasets for totals, and hourly datasets for the distribution within a day.
- **Search terms are incomplete.** Amazon reports only search terms with a click, so the sums of a
  target's search terms are below the sums of the target.
- **Ratios are not additive.** Each row has the ratio of its own sums. For several rows, divide
  the sums: `sum(spend) / nullif(sum(sales), 0)`. Never sum or average shares and ranks.
- **Names are current.** They come from the last sync of the entities. Ids never change.
- **Other sources.** If you know reporting v3 or a connector, find the columns by their names there,
  such as `cost`, `sales14d` or `purchases7d`, in the section [Names elsewhere](#names-elsewhere).
"""

_ELSEWHERE = """## Names elsewhere

Most connectors pass on the names of Amazon's reporting v3, or of its older reporting v2; some write
them in snake case (`purchases_14_d`). Many of those names contain an attribution window. The
columns here have no attribution window in their names, because unified reporting, which BidBeacon
loads, does not offer a choice. The column
`attribution_days` has the attribution window of a row, in days.

| name elsewhere | the same data here |
|---|---|
| with `7d`, such as `sales7d` | SP of sellers: rows with `attribution_days = 7` |
| with `14d`, such as `sales14d` | SP of vendors, SB and SD: rows with `attribution_days = 14` |
| without a number of days, such as `sales` | SB and SD |
| with another number of days, such as `sales30d`, or `sales14d` for SP of sellers | none |

For SP, `unitsSoldClicks7d` and `unitsSoldClicks14d` are `units`, since SP counts only orders after
a click. For SB and SD, they are `units_from_clicks`. `target_id` is found by the name of the
target, since unified reports have no ids of keywords and targets.
"""


def make_dictionary() -> str:
    """Return the dictionary as Markdown."""
    views = {view.name: view for view in REPORT_VIEWS}
    described = [(dataset, views[dataset.name]) for dataset in ALL_DATASETS]
    sections = [_dataset(dataset, view) for dataset, view in described]
    sections += map(_view, (ACCOUNT_DAYS_VIEW, DAYS_VIEW, REPORT_DAYS_VIEW, RESTATEMENTS_VIEW))
    common = [*_datasets(), *_common(described[0][1]), *_elsewhere()]
    return "\n".join([_HEAD, *common, *chain.from_iterable(sections)])


def _datasets() -> Iterator[str]:
    yield "## Datasets\n"
    yield (
        "Together with the account, the day or hour, the ad product and the currency, the key "
        "identifies a row. The history is how far back a dataset can be loaded.\n"
    )
    rows = [
        (
            f"[`{dataset.name}`](#reports{dataset.name})",
            _products(dataset.ad_products),
            ", ".join(f"`{dimension.column}`" for dimension in dataset.keys),
            _history(dataset),
        )
        for dataset in ALL_DATASETS
    ]
    yield from _table(("dataset", "ad products", "key", "history"), rows)


def _common(view: ReportView) -> Iterator[str]:
    yield "## Columns of every view\n"
    yield from _table(
        ("column", "description"),
        [
            (f"`{column.name}`", column.description)
            for column in view.columns
            if column.name in COMMON_COLUMNS
        ],
    )
    yield "## Ratios\n"
    yield "A ratio is null if its divisor is zero.\n"
    yield from _table(
        ("column", "of a row", "over several rows", "description"),
        [
            (
                f"`{ratio.column}`",
                f"`{ratio.numerator} / {ratio.denominator}`",
                f"`sum({ratio.numerator}) / nullif(sum({ratio.denominator}), 0)`",
                f"{ratio.description}.",
            )
            for ratio in RATIOS
        ],
    )


def _elsewhere() -> Iterator[str]:
    yield _ELSEWHERE
    yield from _table(
        ("column", "names in reporting v3", "names in other sources"),
        [
            (f"`{column}`", _quoted(v3_names), _quoted(others))
            for column, (v3_names, others) in names_elsewhere().items()
        ],
    )


def names_elsewhere() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the names in reporting v3, and all others, of each column that has any."""
    dimensions = (one for dataset in ALL_DATASETS for one in dataset.dimensions)
    metrics = (one for dataset in ALL_DATASETS for one in dataset.metrics)
    columns: list[Dimension | Metric | Ratio] = [*dimensions, *metrics, *RATIOS]
    declared = {
        one.column: (one.v3_names, one.connector_names)
        for one in columns
        if one.v3_names or one.connector_names
    }
    return _UNDECLARED | declared


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _dataset(dataset: Dataset, view: ReportView) -> Iterator[str]:
    yield f"## `{view.full_name}`\n"
    yield f"{dataset.title}.\n"
    yield from _table(("", ""), list(_facts(dataset)))
    known = {declared.column: declared for declared in dataset.dimensions_and_metrics}
    left_out = {*COMMON_COLUMNS, *(ratio.column for ratio in RATIOS)}
    heads = ("column", "kind", "additive", "ad products", "Amazon's field", "description")
    yield from _table(
        heads,
        [
            _column(dataset, column, known.get(column.name))
            for column in view.columns
            if column.name not in left_out
        ],
    )


def _view(view: ReportView) -> Iterator[str]:
    yield f"## `{view.full_name}`\n"
    yield f"{view.description}\n"
    rows = [(f"`{column.name}`", column.type, column.description) for column in view.columns]
    yield from _table(("column", "type", "description"), rows)


def _facts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    time = ["`window_date`", *(["`hour_at`"] if dataset.is_hourly else [])]
    key = [
        "account",
        *time,
        "`ad_product`",
        "`currency_code`",
        *(f"`{dimension.column}`" for dimension in dataset.keys),
    ]
    ratios = ", ".join(f"`{ratio.column}`" for ratio in ratios_of(dataset))
    yield "one row", f"one {dataset.entity}, {dataset.grain}, ad product and currency of an account"
    yield "key", ", ".join(key)
    yield "ad products", _products(dataset.ad_products)
    yield "history", f"{_history(dataset)}, unless `bidbeacon contract list` shows another history"
    yield "refreshed", f"{_listed(dataset.refresh_offsets)} days after the day"
    yield "compared with", _compared(dataset)
    yield "ratios", ratios or "none: the dataset has no clicks and no spend"


def _history(dataset: Dataset) -> str:
    if dataset.history_months:
        return f"{dataset.history_months} months"
    return f"{dataset.history_days} days"


def _compared(dataset: Dataset) -> str:
    if dataset.reconciles_with is None:
        return "no dataset: Amazon does not promise that the totals agree with another dataset"
    return f"`{dataset.reconciles_with}`, by ad product and day. {RECONCILED[dataset.reconciles]}"


def _column(
    dataset: Dataset, column: ViewColumn, source: Dimension | Metric | None
) -> Sequence[str]:
    """Return the row of a column; derived columns have no source."""
    name, description = f"`{column.name}`", column.description
    if source is None:
        return (name, "derived", "", _products(dataset.ad_products), "", description)
    products = _products(
        [product for product in source.ad_products if product in dataset.ad_products]
    )
    if isinstance(source, Metric):
        additive = "yes" if source.is_additive else "no: never summed or averaged"
        return (name, _UNITS[source.kind], additive, products, f"`{source.field}`", description)
    part = "" if source.is_key else ", not part of the key"
    return (name, f"{_KINDS[source.kind]}{part}", "", products, f"`{source.field}`", description)


def _products(ad_products: Sequence[str]) -> str:
    return " ".join(SHORT_NAMES[product] for product in AD_PRODUCTS if product in ad_products)


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows
    )
    yield ""


if __name__ == "__main__":
    print(make_dictionary(), end="")
