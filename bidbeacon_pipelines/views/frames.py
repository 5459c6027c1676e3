"""The analysts' views as pandas DataFrames.

Modules that every run loads do not import this module, since pandas takes half a second to import.
"""

from collections.abc import Collection
from datetime import date
from typing import Any, Final

import pandas as pd
from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.database.address import get_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.views import REPORT_VIEWS, ReportView

_VIEWS: Final = {
    view.name: view
    for view in REPORT_VIEWS
    if "window_date" in {column.name for column in view.columns}
}
_DTYPES: Final = {
    "text": "string",
    "bigint": "Int64",
    "integer": "Int64",
    "boolean": "boolean",
    "timestamp with time zone": "datetime64[us, UTC]",
}
"""The pandas dtype of each PostgreSQL type.

Other columns have Python objects: `Decimal` for numeric, `date` for date, `list` for an array.
"""


def read_frame(
    dataset: str,
    accounts: Collection[str] | None,
    days: tuple[date, date],
    *,
    engine: Engine | None = None,
) -> pd.DataFrame:
    """Return the rows of a view of schema `reports` as a DataFrame.

    The columns are those of the view (see `docs/reference/data-dictionary.md`). Rows are sorted by
    account and day. `docs/how-to/answer-business-questions.md` has an example. An empty DataFrame
    has the same dtypes:

    - ids, keys, names and currencies are `string`;
    - `window_date` is an object column of `datetime.date`, in the account's time zone;
    - instants (`as_of`, `hour_at`) are `datetime64[us, UTC]`;
    - counts are `Int64`, and truth values are `boolean`;
    - money, ratios and sums are object columns of exact `Decimal`, or None without a value.

    Args:
        dataset: The name of a dataset, or `account_daily_summaries`, `days`, `report_days` or
            `restatements`.
        accounts: Keys of accounts such as `US.acme-merch.1kc1bk21`; None for all accounts.
        days: The first and the last day, both included.
        engine: The database; by default, the database of the settings. The role needs only the
            right to read the schema `reports`.

    Raises:
        UnknownDatasetError: There is no view with this name; the message lists the existing names.
        UnknownAccountError: An account key is unknown, or the account has no days.
        ValueError: The last day is before the first day.
        DatabaseUnavailableError: No database is set, or it does not answer.
    """
    view = _VIEWS.get(dataset)
    if view is None:
        raise UnknownDatasetError(dataset, tuple(_VIEWS))
    first, last = days
    if last < first:
        raise ValueError(f"expected the last day to be {first} or later, got: {last}")
    engine = engine or shared_engine(get_database(get_settings()))
    with engine.connect() as connection:
        _check_accounts(connection, accounts or ())
        rows = _read(connection, view, accounts, first, last)
    return pd.DataFrame({name: pd.Series(rows[name], dtype=dtype) for name, dtype in _dtypes(view)})


def _dtypes(view: ReportView) -> list[tuple[str, Any]]:
    return [(column.name, _DTYPES.get(column.type, object)) for column in view.columns]


def _check_accounts(connection: Connection, accounts: Collection[str]) -> None:
    unknown = connection.execute(
        text("""
            SELECT key FROM unnest(CAST(:keys AS text[])) key
             WHERE NOT EXISTS (SELECT FROM reports.report_days d WHERE d.account_key = key)
             LIMIT 1"""),
        {"keys": list(accounts)},
    ).scalar()
    if unknown is not None:
        raise UnknownAccountError(unknown)


def _read(
    connection: Connection,
    view: ReportView,
    accounts: Collection[str] | None,
    first: date,
    last: date,
) -> dict[str, list[Any]]:
    names = [column.name for column in view.columns]
    chosen = "" if accounts is None else "AND account_key = ANY(:accounts)"
    rows = connection.execute(
        text(f"""
            SELECT {", ".join(names)} FROM {view.full_name}
             WHERE window_date BETWEEN :first AND :last {chosen}
             ORDER BY account_key, window_date"""),
        {"first": first, "last": last, "accounts": list(accounts or ())},
    ).all()
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {name: list(values) for name, values in zip(names, columns, strict=True)}
