"""The tables of windows."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Computed, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from bidbeacon_pipelines.database.base import TOTAL, PipelinesBase
from bidbeacon_pipelines.database.base import account_reference as _account
from bidbeacon_pipelines.database.base import amazon_id as _id

WINDOW_STATUSES = (
    "missing",
    "requested",
    "unconfirmed",
    "loaded",
    "failed",
    "expired",
    "not_served",
)
CAUSE_KEY = "CAST(md5(CAST(cause - 'detail' AS text)) AS uuid)"


class ReportWindow(PipelinesBase):
    """One row is a window: one day, in the account's time zone, of one report of one account.

    `report` lists the ad products of the report that fills `dataset`, such as `SP+SB+SD`.
    `expires_at` is when Amazon stops serving the day. `request_id` is the open request,
    `last_request_id` the latest request, open or ended, and `loaded_by_request` the request whose
    report is loaded. `data_as_of` is when the loaded report was requested: later events are not in
    the report. `first_data_as_of` is when the first loaded report was requested. `product_totals`
    has for each ad product the number of rows, and spend and sales in the account's currency.

    `recorded_load_count` is the value of `load_count` that was last recorded in Dagster. If it is
    lower than `load_count`, for example after a run was killed, the next run records the load.
    `recorded_run_id` is the run of the last materialization. If Dagster's last materialization is
    of another run, the load is recorded again.

    `suspicious_*` describe a suspicious report (empty, or far too small). Such a report waits for a
    second report that confirms it or, if the data is final, for a person's decision. `decision` is
    this decision: `accept` loads the next report in any case, and is cleared once a report is
    loaded; `keep` keeps the data. `cause` is why the last report failed, was refused or is
    suspicious; the cause stays while another report is requested. `cause_since` is when this cause
    first occurred. `cause_key` is a hash of the cause without its detail.

    `wanted_by` is the user who requested a load of the day, due or not, at `wanted_at`.
    `claimed_by` is the session that loads the day, until the session's lease ends. If `wanted_by`
    is null, `claimed_by` is the session that gave up the load. All three columns are cleared when
    the request ends, unless shorter periods are requested instead.

    `refused_alone_at` is when Amazon first refused a report of only this day as too old.
    `not_served_since` is when the day ended as not served: either Amazon refused the day, or Amazon
    returned no rows and is not proven to serve days of this age. Both columns are null once the day
    is loaded and served. `not_served` lists the ad products without rows that Amazon is not proven
    to serve for days of this age. The status is `not_served` if no other ad product has rows or a
    measured zero. A zero is measured if Amazon is proven to serve days of this age, and returned no
    rows. The age of the day is counted at `first_data_as_of`.
    """

    __tablename__ = "report_windows"

    account_id: Mapped[str] = _id(primary_key=True)
    country_code: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    report: Mapped[str] = mapped_column(primary_key=True)
    window_date: Mapped[date] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(server_default="missing")
    next_refresh_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    request_id: Mapped[int | None] = mapped_column(ForeignKey("report_requests.id"))
    last_requested_at: Mapped[datetime | None]
    last_loaded_at: Mapped[datetime | None]
    data_as_of: Mapped[datetime | None]
    first_data_as_of: Mapped[datetime | None]
    load_count: Mapped[int] = mapped_column(server_default="0")
    recorded_load_count: Mapped[int] = mapped_column(server_default="0")
    recorded_run_id: Mapped[UUID | None]
    loaded_by_request: Mapped[int | None]
    row_count: Mapped[int | None]
    quarantined_count: Mapped[int | None]
    unresolved_count: Mapped[int | None]
    spend: Mapped[Decimal | None] = mapped_column(TOTAL)
    sales: Mapped[Decimal | None] = mapped_column(TOTAL)
    product_totals: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    cause: Mapped[dict[str, Any] | None]
    cause_since: Mapped[datetime | None]
    suspicious_digest: Mapped[str | None]
    suspicious_rows: Mapped[int | None]
    suspicious_spend: Mapped[Decimal | None] = mapped_column(TOTAL)
    suspicious_count: Mapped[int] = mapped_column(server_default="0")
    decision: Mapped[str | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    last_request_id: Mapped[int | None]
    wanted_by: Mapped[str | None]
    wanted_at: Mapped[datetime | None]
    claimed_by: Mapped[UUID | None]
    refused_alone_at: Mapped[datetime | None]
    not_served_since: Mapped[datetime | None]
    not_served: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    cause_key: Mapped[UUID | None] = mapped_column(Computed(CAUSE_KEY, persisted=True))

    __table_args__ = (
        _account(),
        CheckConstraint(f"status IN {WINDOW_STATUSES}", name="status_known"),
        CheckConstraint(
            "(status = 'requested') = (request_id IS NOT NULL)", name="requested_has_request"
        ),
        CheckConstraint("status <> 'loaded' OR last_loaded_at IS NOT NULL", name="loaded_has_load"),
        CheckConstraint("status <> 'expired' OR next_refresh_at IS NULL", name="expired_is_over"),
        CheckConstraint(
            "status <> 'not_served' OR not_served_since IS NOT NULL", name="not_served_has_since"
        ),
        CheckConstraint(
            "status <> 'not_served' OR last_loaded_at IS NULL OR next_refresh_at IS NULL",
            name="not_served_once_loaded_is_over",
        ),
        CheckConstraint("(wanted_by IS NULL) = (wanted_at IS NULL)", name="wanted_since"),
        CheckConstraint("jsonb_typeof(cause) = 'object'", name="cause_is_an_object"),
        CheckConstraint("decision IN ('accept', 'keep')", name="decision_known"),
        CheckConstraint(
            "num_nulls(decision, decided_by, decided_at) IN (0, 3)", name="decision_complete"
        ),
        # `states.totals` counts windows with problems from this index alone.
        Index(
            "ix_report_windows_unsettled",
            "account_id",
            "country_code",
            "dataset",
            "status",
            "cause_key",
            postgresql_include=[
                "window_date",
                "expires_at",
                "request_id",
                "cause_since",
                "next_refresh_at",
                "not_served_since",
                "last_loaded_at",
            ],
            postgresql_where=text(
                "status IN ('failed', 'unconfirmed', 'not_served') OR suspicious_digest IS NOT NULL"
            ),
        ),
        # These windows are few. They include those that wait for a person's decision.
        Index(
            "ix_report_windows_suspicious",
            "account_id",
            "country_code",
            "dataset",
            postgresql_where=text("suspicious_digest IS NOT NULL"),
        ),
        # The finding about old days without rows selects its windows with this index.
        Index(
            "ix_report_windows_not_served",
            "account_id",
            "country_code",
            "dataset",
            "not_served",
            "window_date",
            postgresql_include=["expires_at", "not_served_since", "last_loaded_at"],
            postgresql_where=text("not_served <> '{}'"),
        ),
        Index(
            "ix_report_windows_never_loaded",
            "account_id",
            "country_code",
            "dataset",
            "expires_at",
            postgresql_where=text("last_loaded_at IS NULL AND request_id IS NULL"),
        ),
        Index(
            "ix_report_windows_missing",
            "account_id",
            "country_code",
            "dataset",
            postgresql_where=text("status = 'missing'"),
        ),
        Index(
            "ix_report_windows_quarantined",
            "account_id",
            "country_code",
            "dataset",
            postgresql_where=text("quarantined_count > 0"),
        ),
        Index(
            "ix_report_windows_request",
            "request_id",
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        Index(
            "ix_report_windows_due",
            "account_id",
            "country_code",
            "next_refresh_at",
            postgresql_where=text("next_refresh_at IS NOT NULL AND request_id IS NULL"),
        ),
        Index(
            "ix_report_windows_wanted",
            "account_id",
            "country_code",
            postgresql_where=text("request_id IS NOT NULL OR wanted_by IS NOT NULL"),
        ),
        Index(
            "ix_report_windows_unresolved",
            "account_id",
            "country_code",
            "data_as_of",
            postgresql_where=text("unresolved_count > 0"),
        ),
        # The columns are in the sort order of the query for unrecorded windows. Otherwise Postgres,
        # which can't know that there are none, would scan the primary key for the first of them.
        Index(
            "ix_report_windows_unrecorded",
            "account_id",
            "country_code",
            "dataset",
            text("window_date DESC"),
            postgresql_where=text("recorded_load_count < load_count"),
        ),
        Index(
            "ix_report_windows_refused_alone",
            "account_id",
            "country_code",
            "dataset",
            "report",
            postgresql_where=text("refused_alone_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 80}},
    )


class DatasetWindows(PipelinesBase):
    """One row has the last local day with windows of one report of an account.

    `through_date` is this day, or 2000-01-01 if the next refresh has to create and plan the windows
    again. `windows` is the number of windows.
    """

    __tablename__ = "dataset_windows"

    account_id: Mapped[str] = _id(primary_key=True)
    country_code: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    report: Mapped[str] = mapped_column(primary_key=True)
    through_date: Mapped[date]
    windows: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (_account(),)
