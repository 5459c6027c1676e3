"""The tables of loads, restatements, removed rows and quarantined rows."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Date, Identity, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import TOTAL, PipelinesBase
from bidbeacon_pipelines.database.base import account_reference as _account
from bidbeacon_pipelines.database.base import amazon_id as _id


class ReportLoad(PipelinesBase):
    """One row is the load of a report into the windows of one account, with its row counts.

    `report` names the ad products of the report. `start_date` and `end_date` are the report's first
    and last day. `data_as_of` is when the report was requested. `session_id` is the session that
    loaded the report. `silent_days` are days that were accepted without rows, although the country
    has deliverable campaigns.
    `rows_withheld` counts valid rows of windows that were not accepted. `rows_ignored` counts rows
    of other countries, days and ad products. `first_days` counts the days that were loaded for the
    first time.
    """

    __tablename__ = "report_loads"

    request_id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[str] = _id(primary_key=True)
    country_code: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str]
    report: Mapped[str]
    start_date: Mapped[date]
    end_date: Mapped[date]
    data_as_of: Mapped[datetime]
    session_id: Mapped[UUID]
    loaded_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    rows_read: Mapped[int]
    rows_loaded: Mapped[int]
    rows_summed: Mapped[int]
    rows_quarantined: Mapped[int]
    rows_withheld: Mapped[int]
    rows_ignored: Mapped[int]
    silent_days: Mapped[list[date]] = mapped_column(ARRAY(Date), server_default=text("'{}'"))
    first_days: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        _account(),
        CheckConstraint(
            "rows_read = rows_loaded + rows_summed + rows_quarantined + rows_withheld"
            " + rows_ignored",
            name="every_row_is_counted",
        ),
        CheckConstraint(
            "least(rows_loaded, rows_summed, rows_quarantined, rows_withheld, rows_ignored) >= 0",
            name="counts_not_negative",
        ),
        Index("ix_report_loads_loaded", "loaded_at"),
        Index("ix_report_loads_silent", "data_as_of", postgresql_where=text("silent_days <> '{}'")),
    )


class Restatement(PipelinesBase):
    """One row is a change that a later report made to one row of a dataset.

    `change` states whether the row appeared, changed or vanished. The first load of a window makes
    no restatements. If a replay of quarantined rows changed the row, `old_data_as_of` equals
    `new_data_as_of`. The view `window_restatements` sums restatements by load. `hour_at` is null
    for daily datasets. `row_key` is the row's key in the dataset's table; `dimensions` has the
    values of the row's dimensions.
    """

    __tablename__ = "restatements"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str] = _id()
    country_code: Mapped[str]
    dataset: Mapped[str]
    window_date: Mapped[date]
    hour_at: Mapped[datetime | None]
    row_key: Mapped[bytes] = mapped_column(LargeBinary)
    dimensions: Mapped[dict[str, Any]]
    currency_code: Mapped[str]
    change: Mapped[str]
    old_values: Mapped[dict[str, Any] | None]
    new_values: Mapped[dict[str, Any] | None]
    old_data_as_of: Mapped[datetime]
    new_data_as_of: Mapped[datetime]
    request_id: Mapped[int]
    restated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        _account(),
        CheckConstraint("change IN ('appeared', 'changed', 'vanished')", name="change_known"),
        CheckConstraint("(change = 'appeared') = (old_values IS NULL)", name="old_values_fit"),
        CheckConstraint("(change = 'vanished') = (new_values IS NULL)", name="new_values_fit"),
        Index("ix_restatements_window", "account_id", "country_code", "dataset", "window_date"),
        Index("ix_restatements_day", "window_date", postgresql_using="brin"),
    )


class RowRemoval(PipelinesBase):
    """One row is a load that removed nearly all rows of some ad products on some days.

    A second report confirmed the removal, or a user accepted it. A removal that a user accepted
    counts as acknowledged by the user. `spend` is the sum of the removed rows, in the account's
    currency. The table `restatements` has each removed row.
    """

    __tablename__ = "row_removals"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    request_id: Mapped[int]
    account_id: Mapped[str] = _id()
    country_code: Mapped[str]
    dataset: Mapped[str]
    days: Mapped[list[date]] = mapped_column(ARRAY(Date))
    rows: Mapped[int]
    spend: Mapped[Decimal] = mapped_column(TOTAL)
    currency_code: Mapped[str]
    removed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    acknowledged_by: Mapped[str | None]
    acknowledged_at: Mapped[datetime | None]
    note: Mapped[str | None]

    __table_args__ = (
        _account(),
        CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="acknowledgement_complete"
        ),
        Index(
            "ix_row_removals_open",
            "removed_at",
            postgresql_where=text("acknowledged_at IS NULL"),
        ),
    )


class QuarantinedRow(PipelinesBase):
    r"""One row is an invalid row of a report, with the cause.

    `raw` is the row's text in the report: JSON that may contain `NaN` and `Infinity`. The column
    is text, since `jsonb` can't store these two, `\u0000`, lone surrogates or a repeated field.
    """

    __tablename__ = "quarantined_rows"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str] = _id()
    country_code: Mapped[str]
    dataset: Mapped[str]
    window_date: Mapped[date | None]
    request_id: Mapped[int]
    row_number: Mapped[int]
    cause: Mapped[dict[str, Any]]
    raw: Mapped[str]
    quarantined_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        _account(),
        Index("ix_quarantined_rows_window", "account_id", "country_code", "dataset", "window_date"),
    )
