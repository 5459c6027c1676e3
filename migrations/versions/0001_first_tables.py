"""The tables of job sessions and of the pipelines, and the view `job_sessions`.

Revision ID: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None

# What stands here is history: it is written out, and imports nothing of the packages, whose code goes on changing.
JOB_SESSIONS_VIEW = """
CREATE VIEW job_sessions AS
SELECT h.id,
       h.job_name,
       h.run_id,
       h.step_key,
       h.retry_number,
       h.account_id,
       h.country_code,
       h.account_key,
       h.status,
       h.started_at,
       h.finished_at,
       coalesce(h.finished_at, now()) - h.started_at AS duration,
       h.error,
       h.input,
       h.labels,
       coalesce(a.actions, '[]'::jsonb) AS actions,
       coalesce(a.action_count, 0) AS action_count,
       h.parent_session_id,
       h.revision + coalesce(a.action_count, 0) AS revision
  FROM session_headers h
  LEFT JOIN LATERAL (
       SELECT jsonb_agg(
                jsonb_build_object('ord', s.ord, 'type', s.type, 'at', s.at, 'version', s.schema_version) || s.payload
                ORDER BY s.ord) AS actions,
              count(*) AS action_count
         FROM session_actions s
        WHERE s.session_id = h.id) a ON true
"""


class Xid8(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class PgSnapshot(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


def upgrade() -> None:
    op.create_table(
        "session_change_cursor",
        sa.Column("id", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "published_snapshot",
            PgSnapshot(),
            server_default=sa.text("pg_current_snapshot()"),
            nullable=False,
        ),
        sa.Column("system_identifier", sa.BigInteger(), nullable=True),
        sa.Column("stepped_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("id", name=op.f("ck_session_change_cursor_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_change_cursor")),
    )
    op.create_table(
        "session_changes",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ord", sa.BigInteger(), nullable=False),
        sa.Column(
            "published_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_session_changes")),
    )
    op.create_index(
        op.f("ix_session_changes_published_at"), "session_changes", ["published_at"], unique=False
    )
    op.create_table(
        "session_headers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("step_key", sa.Text(), nullable=True),
        sa.Column("retry_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("country_code", sa.Text(), nullable=True),
        sa.Column("account_key", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="running", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.Column("input", postgresql.JSONB(astext_type=Text()), server_default="{}", nullable=False),
        sa.Column("labels", postgresql.JSONB(astext_type=Text()), server_default="{}", nullable=False),
        sa.Column("parent_session_id", sa.Uuid(), nullable=True),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("changed_xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint(
            "(status = 'running') = (finished_at IS NULL)", name=op.f("ck_session_headers_ended_has_end")
        ),
        sa.CheckConstraint("job_name <> ''", name=op.f("ck_session_headers_job_named")),
        sa.CheckConstraint(
            "status IN ('running', 'succeeded', 'failed', 'cancelled', 'crashed')",
            name=op.f("ck_session_headers_status_known"),
        ),
        sa.CheckConstraint("finished_at >= started_at", name=op.f("ck_session_headers_ends_after_start")),
        sa.CheckConstraint("retry_number >= 0", name=op.f("ck_session_headers_retry_counted")),
        sa.ForeignKeyConstraint(
            ["parent_session_id"],
            ["session_headers.id"],
            name=op.f("fk_session_headers_parent_session_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_headers")),
    )
    op.create_index(
        op.f("ix_session_headers_account_key_started_at"),
        "session_headers",
        ["account_key", "started_at"],
        unique=False,
    )
    op.create_index(op.f("ix_session_headers_changed_xid"), "session_headers", ["changed_xid"], unique=False)
    op.create_index(
        op.f("ix_session_headers_job_name_started_at"),
        "session_headers",
        ["job_name", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_headers_parent_session_id"), "session_headers", ["parent_session_id"], unique=False
    )
    op.create_index(
        "ix_session_headers_running",
        "session_headers",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        op.f("ix_session_headers_started_at_id"), "session_headers", ["started_at", "id"], unique=False
    )
    op.create_index(
        "uq_session_headers_attempt",
        "session_headers",
        ["run_id", "step_key", "retry_number"],
        unique=True,
        postgresql_where=sa.text("run_id IS NOT NULL AND step_key IS NOT NULL"),
    )
    op.create_table(
        "session_actions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ord", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("schema_version", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("changed_xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint(
            "jsonb_typeof(payload) = 'object'", name=op.f("ck_session_actions_payload_is_object")
        ),
        sa.CheckConstraint("ord > 0", name=op.f("ck_session_actions_ord_counted")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session_headers.id"],
            name=op.f("fk_session_actions_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "ord", name=op.f("pk_session_actions")),
    )
    op.create_index(op.f("ix_session_actions_changed_xid"), "session_actions", ["changed_xid"], unique=False)
    op.create_index(op.f("ix_session_actions_type_at"), "session_actions", ["type", "at"], unique=False)
    op.create_table(
        "session_leases",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session_headers.id"],
            name=op.f("fk_session_leases_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_leases")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(op.f("ix_session_leases_expires_at"), "session_leases", ["expires_at"], unique=False)
    op.create_table(
        "session_touches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ord", sa.BigInteger(), nullable=False),
        sa.Column("account_key", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=True),
        sa.Column("window_key", sa.Text(), nullable=True),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id", "ord"],
            ["session_actions.session_id", "session_actions.ord"],
            name=op.f("fk_session_touches_session_id_ord"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_touches")),
    )
    op.create_index(
        op.f("ix_session_touches_account_key_dataset_window_key"),
        "session_touches",
        ["account_key", "dataset", "window_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_touches_session_id_ord"), "session_touches", ["session_id", "ord"], unique=False
    )
    op.create_table(
        "advertiser_accounts",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("account_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("amazon_status", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Text(), nullable=True),
        sa.Column("entity_id", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("currency_code", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("marketplace_id", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("needs_person", sa.Text(), nullable=True),
        sa.Column(
            "first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("synced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("entities_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("windows_through_date", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "account_key ~ '^[A-Za-z0-9._-]+$'", name=op.f("ck_advertiser_accounts_key_is_plain")
        ),
        sa.CheckConstraint(
            "country_code ~ '^[A-Z]{2}$' AND country_code <> 'UK'",
            name=op.f("ck_advertiser_accounts_country_is_iso"),
        ),
        sa.CheckConstraint(
            "currency_code ~ '^[A-Z]{3}$'", name=op.f("ck_advertiser_accounts_currency_is_iso")
        ),
        sa.CheckConstraint("region IN ('NA', 'EU', 'FE')", name=op.f("ck_advertiser_accounts_region_known")),
        sa.PrimaryKeyConstraint("account_id", "country_code", name=op.f("pk_advertiser_accounts")),
        sa.UniqueConstraint("account_key", name=op.f("uq_advertiser_accounts_account_key")),
    )
    op.create_table(
        "ad_groups",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("ad_group_id", sa.Text(collation="C"), nullable=False),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("default_bid", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_ad_groups_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", "ad_group_id", name=op.f("pk_ad_groups")),
    )
    op.create_table(
        "ads",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("ad_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ad_group_id", sa.Text(collation="C"), nullable=False),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_ads_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", "ad_id", name=op.f("pk_ads")),
    )
    op.create_table(
        "campaigns",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ad_product", sa.Text(), nullable=True),
        sa.Column("targeting", sa.Text(), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("budget", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("currency_code", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_campaigns_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", "campaign_id", name=op.f("pk_campaigns")),
    )
    op.create_table(
        "entity_exports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="in_flight", nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('campaigns', 'adGroups', 'ads', 'targets')", name=op.f("ck_entity_exports_kind_known")
        ),
        sa.CheckConstraint(
            "status IN ('in_flight', 'loaded', 'failed')", name=op.f("ck_entity_exports_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_entity_exports_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity_exports")),
    )
    op.create_index(
        "uq_entity_exports_in_flight",
        "entity_exports",
        ["account_id", "country_code", "kind"],
        unique=True,
        postgresql_where=sa.text("status = 'in_flight'"),
    )
    op.create_table(
        "performance_daily",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=False),
        sa.Column("ad_id", sa.Text(collation="C"), nullable=False),
        sa.Column("entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency_code", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("campaign_name", sa.Text(), nullable=True),
        sa.Column("ad_group_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ad_group_name", sa.Text(), nullable=True),
        sa.Column("target_value", sa.Text(), nullable=False),
        sa.Column("match_type", sa.Text(), nullable=False),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("impressions", sa.BigInteger(), nullable=True),
        sa.Column("clicks", sa.BigInteger(), nullable=True),
        sa.Column("orders", sa.BigInteger(), nullable=True),
        sa.Column("sales", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("spend", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "sales <> 'NaN' AND spend <> 'NaN'", name=op.f("ck_performance_daily_amounts_are_numbers")
        ),
        sa.CheckConstraint(
            "impressions >= 0 AND clicks >= 0 AND orders >= 0",
            name=op.f("ck_performance_daily_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "sales >= 0 AND spend >= 0", name=op.f("ck_performance_daily_amounts_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_performance_daily_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id",
            "country_code",
            "dataset",
            "window_date",
            "ad_id",
            "entity_id",
            "currency_code",
            name=op.f("pk_performance_daily"),
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_performance_daily_unresolved",
        "performance_daily",
        ["account_id", "country_code", "ad_group_id"],
        unique=False,
        postgresql_where=sa.text("NOT resolved"),
    )
    op.create_table(
        "quarantined_rows",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=True),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column(
            "quarantined_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_quarantined_rows_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_rows")),
    )
    op.create_index(
        "ix_quarantined_rows_window",
        "quarantined_rows",
        ["account_id", "country_code", "dataset", "window_date"],
        unique=False,
    )
    op.create_table(
        "report_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), server_default="planned", nullable=False),
        sa.Column("by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=True),
        sa.Column("amazon_status", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("polls", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("loads", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_step_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_kind", sa.Text(), nullable=True),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("part_count", sa.BigInteger(), nullable=True),
        sa.Column("byte_count", sa.BigInteger(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('loaded', 'failed')) = (finished_at IS NOT NULL)",
            name=op.f("ck_report_requests_ended_has_end"),
        ),
        sa.CheckConstraint(
            "status IN ('planned', 'sent', 'in_flight', 'completed', 'loaded', 'failed')",
            name=op.f("ck_report_requests_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('in_flight', 'completed') OR report_id IS NOT NULL",
            name=op.f("ck_report_requests_in_flight_has_report"),
        ),
        sa.CheckConstraint("start_date <= end_date", name=op.f("ck_report_requests_range_in_order")),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_report_requests_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_requests")),
    )
    op.create_index(
        "ix_report_requests_account",
        "report_requests",
        ["account_id", "country_code", "dataset", "created_at"],
        unique=False,
    )
    op.create_index(
        "ix_report_requests_open",
        "report_requests",
        ["next_step_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('planned', 'sent', 'in_flight', 'completed')"),
    )
    op.create_table(
        "restatements",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=False),
        sa.Column("ad_id", sa.Text(collation="C"), nullable=False),
        sa.Column("entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency_code", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("old_values", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.Column("new_values", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.Column("old_data_as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("new_data_as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("restated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(change = 'appeared') = (old_values IS NULL)", name=op.f("ck_restatements_old_values_fit")
        ),
        sa.CheckConstraint(
            "(change = 'vanished') = (new_values IS NULL)", name=op.f("ck_restatements_new_values_fit")
        ),
        sa.CheckConstraint(
            "change IN ('appeared', 'changed', 'vanished')", name=op.f("ck_restatements_change_known")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_restatements_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restatements")),
    )
    op.create_index(
        "ix_restatements_window",
        "restatements",
        ["account_id", "country_code", "dataset", "window_date"],
        unique=False,
    )
    op.create_table(
        "targets",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ad_group_id", sa.Text(collation="C"), nullable=True),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("negative", sa.Boolean(), nullable=False),
        sa.Column("match_type", sa.Text(), nullable=False),
        sa.Column("keyword", sa.Text(), nullable=True),
        sa.Column("asin", sa.Text(), nullable=True),
        sa.Column("expression", sa.Text(), nullable=True),
        sa.Column("bid", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_targets_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", "target_id", name=op.f("pk_targets")),
    )
    op.create_table(
        "report_windows",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), server_default="missing", nullable=False),
        sa.Column("next_refresh_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_id", sa.BigInteger(), nullable=True),
        sa.Column("last_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("load_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("recorded_load_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("loaded_by_request", sa.BigInteger(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("quarantined_count", sa.BigInteger(), nullable=True),
        sa.Column("unresolved_count", sa.BigInteger(), nullable=True),
        sa.Column("spend", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("sales", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("held_digest", sa.Text(), nullable=True),
        sa.Column("held_rows", sa.BigInteger(), nullable=True),
        sa.Column("wanted_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(status = 'requested') = (request_id IS NOT NULL)",
            name=op.f("ck_report_windows_requested_has_request"),
        ),
        sa.CheckConstraint(
            "status <> 'expired' OR next_refresh_at IS NULL", name=op.f("ck_report_windows_expired_is_over")
        ),
        sa.CheckConstraint(
            "status <> 'loaded' OR last_loaded_at IS NOT NULL", name=op.f("ck_report_windows_loaded_has_load")
        ),
        sa.CheckConstraint(
            "status IN ('missing', 'requested', 'loaded', 'failed', 'expired')",
            name=op.f("ck_report_windows_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_report_windows_account_id_country_code"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["report_requests.id"], name=op.f("fk_report_windows_request_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "country_code", "dataset", "window_date", name=op.f("pk_report_windows")
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_report_windows_due",
        "report_windows",
        ["next_refresh_at"],
        unique=False,
        postgresql_where=sa.text("next_refresh_at IS NOT NULL AND request_id IS NULL"),
    )
    op.create_index(
        "ix_report_windows_request",
        "report_windows",
        ["request_id"],
        unique=False,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index(
        "ix_report_windows_unrecorded",
        "report_windows",
        ["account_id", "country_code"],
        unique=False,
        postgresql_where=sa.text("recorded_load_count < load_count"),
    )
    op.execute("INSERT INTO session_change_cursor DEFAULT VALUES")
    op.execute(JOB_SESSIONS_VIEW)
