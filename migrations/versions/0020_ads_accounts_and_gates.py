"""Ads accounts as a table, requests that serve all of their countries, and the gate through which reports are created.

Revision ID: 0020
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"

_MOVED = (
    "needs_person",
    "needs_person_for",
    "refusals",
    "refresh_every",
    "refresh_cron",
    "next_look_at",
    "next_look_of",
    "last_look_at",
)
_CHECKS = {
    "region_known": "region IN ('NA', 'EU', 'FE')",
    "key_is_plain": "ads_account_key ~ '^[a-z0-9-]*[.]?[A-Za-z0-9_-]+$'",
    "needs_person_for_known": "needs_person_for IN ('account', 'credentials')",
    "needs_person_for_something": "(needs_person IS NULL) = (needs_person_for IS NULL)",
    "refusals_counted": "refusals >= 0",
    "refresh_every_in_reach": "refresh_every BETWEEN '5 minutes' AND '31 days'",
    "refresh_cron_has_five": "refresh_cron ~ '^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$'",
    "one_cadence": "num_nonnulls(refresh_every, refresh_cron) <= 1",
}


def upgrade() -> None:
    _create_ads_accounts()
    _give_requests_all_countries()
    op.add_column("report_windows", sa.Column("last_request_id", sa.BigInteger(), nullable=True))
    op.execute("UPDATE report_windows SET last_request_id = coalesce(request_id, loaded_by_request)")
    op.create_table(
        "report_gates",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("in_flight_limit", sa.Double(), nullable=False),
        sa.Column("pace", sa.Interval(), nullable=False),
        sa.Column("next_create_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refusals", sa.BigInteger(), nullable=False),
        sa.Column("refused_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("closed_for", sa.Interval(), server_default="0", nullable=False),
        sa.Column("last_refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("region IN ('NA', 'EU', 'FE')", name=op.f("ck_report_gates_region_known")),
        sa.CheckConstraint("in_flight_limit >= 1", name=op.f("ck_report_gates_limit_lets_one_in")),
        sa.CheckConstraint("pace > '0' AND refusals >= 0", name=op.f("ck_report_gates_pace_positive")),
        sa.PrimaryKeyConstraint("client_id", "region", name=op.f("pk_report_gates")),
    )


def _create_ads_accounts() -> None:
    at = sa.DateTime(timezone=True)
    op.create_table(
        "ads_accounts",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ads_account_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), server_default="default", nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("needs_person", sa.Text(), nullable=True),
        sa.Column("needs_person_for", sa.Text(), nullable=True),
        sa.Column("refusals", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refresh_every", sa.Interval(), nullable=True),
        sa.Column("refresh_cron", sa.Text(), nullable=True),
        sa.Column("next_look_at", at, nullable=True),
        sa.Column("next_look_of", sa.Text(), nullable=True),
        sa.Column("last_look_at", at, nullable=True),
        sa.Column("planned_at", at, nullable=True),
        sa.Column(
            "longest_periods",
            sa.dialects.postgresql.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("first_seen_at", at, server_default=sa.text("now()"), nullable=False),
        *[sa.CheckConstraint(rule, name=op.f(f"ck_ads_accounts_{name}")) for name, rule in _CHECKS.items()],
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_ads_accounts")),
        sa.UniqueConstraint("ads_account_key", name=op.f("uq_ads_accounts_ads_account_key")),
    )
    _fill_ads_accounts()
    op.execute("""
        UPDATE ads_accounts o SET longest_periods = l.periods
          FROM (SELECT account_id, jsonb_object_agg(dataset, longest_period_days) AS periods FROM report_limits GROUP BY account_id) l
         WHERE l.account_id = o.account_id""")
    op.drop_table("report_limits")
    op.create_foreign_key(
        op.f("fk_advertiser_accounts_account_id"),
        "advertiser_accounts",
        "ads_accounts",
        ["account_id"],
        ["account_id"],
    )
    for column in _MOVED:
        op.drop_column("advertiser_accounts", column)


def _fill_ads_accounts() -> None:
    """Make an ads account of each id; the cadence and the stop of its first country that has one become its own.

    The client id is not known here: the next sync of accounts writes it.
    """
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            """SELECT account_id, min(name) AS name FROM advertiser_accounts GROUP BY account_id ORDER BY account_id"""
        )
    )
    named = [(row.account_id, row.name) for row in found]
    keys = dict(_keys(named))
    first = ", ".join(
        f"(array_agg({column} ORDER BY {column} IS NULL, country_code))[1] AS {column}"
        for column in (*_MOVED, "region", "time_zone")
    )
    for account_id, name in named:
        connection.execute(
            sa.text(f"""
                INSERT INTO ads_accounts (account_id, ads_account_key, name, client_id, region, time_zone, {", ".join(_MOVED)},
                                          first_seen_at)
                SELECT :account_id, :key, :name, '', region, time_zone, {", ".join(_MOVED)}, first_seen_at
                  FROM (SELECT {first}, min(first_seen_at) AS first_seen_at FROM advertiser_accounts
                         WHERE account_id = :account_id) first"""),
            {"account_id": account_id, "key": keys[account_id], "name": name},
        )


def _keys(named: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Return each ads account's key: a slug of its name, and as much of its id's end as tells it from the others, eight or more."""
    tails = {account_id: account_id.rsplit(".", 1)[-1] for account_id, _ in named}
    for account_id, name in named:
        tail = tails[account_id]
        others = [other for other_id, other in tails.items() if other_id != account_id]
        length = next(
            (n for n in range(8, len(tail)) if not any(o.startswith(tail[:n]) for o in others)), len(tail)
        )
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
        yield account_id, f"{slug}.{tail[:length]}" if slug else tail[:length]


def _give_requests_all_countries() -> None:
    op.drop_index("ix_report_requests_account", "report_requests")
    op.drop_index("uq_report_requests_slot", "report_requests")
    op.drop_constraint(op.f("ck_report_requests_slot_known"), "report_requests")
    op.drop_constraint(
        op.f("fk_report_requests_account_id_country_code"), "report_requests", type_="foreignkey"
    )
    op.drop_column("report_requests", "country_code")
    op.drop_column("report_requests", "slot")
    op.add_column(
        "report_requests", sa.Column("passed_over", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("report_requests", sa.Column("due_since", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_report_requests_account_id"),
        "report_requests",
        "ads_accounts",
        ["account_id"],
        ["account_id"],
    )
    op.create_index("ix_report_requests_account", "report_requests", ["account_id", "dataset", "sent_at"])
