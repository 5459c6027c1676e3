"""The database defends its own truth: each rule of the tables is broken once, and holds."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.queries import get_account, upsert_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.datasets.registry import HOURLY_PRODUCTS
from tests.postgres.load_world import run
from tests.support.rows import add_account

Refused = tuple[str, str]
ACCOUNT, KEY = "amzn1.ads-account.g.one", "00" * 16
WINDOW = (
    "INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at"
)
WINDOW_KEY = f"'{ACCOUNT}', 'US', 'daily_targets', 'SP', '2026-01-10', now()"


REQUEST = "INSERT INTO report_requests (account_id, dataset, report, start_date, end_date"


def of_requests(*rows: tuple[str, str, str]) -> list[Refused]:
    """Return requests for a report, given more columns, values from the first day on, and the constraint."""
    key = f"'{ACCOUNT}', 'daily_targets', 'SP', '2026-01-01'"
    return [
        (f"{REQUEST}{columns}) VALUES ({key}, {values})", f"ck_report_requests_{name}")
        for columns, values, name in rows
    ]


def of_windows(*rows: tuple[str, str, str]) -> list[Refused]:
    """Return windows, given more columns, their values, and the constraint."""
    return [
        (f"{WINDOW}, {columns}) VALUES ({WINDOW_KEY}, {values})", name)
        for columns, values, name in rows
    ]


def of_updates(table: str, *rows: tuple[str, str, str]) -> list[Refused]:
    """Return updates of the one row of a table, given column, value and the constraint."""
    return [
        (f"UPDATE {table} SET {column} = {value}", f"ck_{table}_{name}")
        for column, value, name in rows
    ]


def of_inserts(table: str, columns: str, *rows: tuple[str, str]) -> list[Refused]:
    """Return rows of a table, given their values and the constraint."""
    return [
        (f"INSERT INTO {table} ({columns}) VALUES ({values})", f"ck_{table}_{name}")
        for values, name in rows
    ]


def of_facts(column: str, value: str, name: str) -> Refused:
    """Return a row of the facts of a day, given a metric, and the constraint."""
    statement = f"""
        INSERT INTO daily_targets (account, window_date, row_key, ad_product, currency_code, request_id, {column})
        SELECT id, '2026-01-10', decode('{KEY}', 'hex'), 'SPONSORED_PRODUCTS', 'USD', 1, {value} FROM advertiser_accounts"""
    return statement, f"ck_daily_targets_{name}"


def of_hours(hour_at: str, key: str) -> str:
    """Return the insert of a row of the facts of an hour."""
    return f"""
        INSERT INTO hourly_products (account, window_date, hour_at, row_key, ad_product, currency_code, request_id)
        SELECT id, '2026-01-10', '{hour_at}', decode('{key}', 'hex'), 'SPONSORED_PRODUCTS', 'USD', 1 FROM advertiser_accounts"""


REFUSED: list[Refused] = [
    *of_updates(
        "advertiser_accounts",
        ("country_code", "'UK'", "country_is_iso"),
        ("country_code", "'us'", "country_is_iso"),
        ("currency_code", "'US$'", "currency_is_iso"),
        ("region", "'SA'", "region_known"),
        ("account_key", "'US one'", "key_is_plain"),
    ),
    *of_updates(
        "ads_accounts",
        ("region", "'SA'", "region_known"),
        ("ads_account_key", "'US one'", "key_is_plain"),
        ("needs_attention", "'{}'", "needs_attention_for_something"),
        ("needs_attention_for", "'nobody'", "needs_attention_for_known"),
        ("needs_attention_for = 'account', needs_attention", "'[]'", "needs_attention_is_a_cause"),
        ("refusals", "-1", "refusals_counted"),
        ("refresh_every", "'4 minutes'", "refresh_every_in_reach"),
        ("refresh_every", "'32 days'", "refresh_every_in_reach"),
        ("refresh_cron", "'0 6 * *'", "refresh_cron_has_five"),
        ("refresh_cron", "'0 6 * * * *'", "refresh_cron_has_five"),
        ("refresh_cron", "''", "refresh_cron_has_five"),
        ("refresh_cron = '0 6 * * *', refresh_every", "'1 day'", "one_cadence"),
    ),
    *of_requests(
        (", status", "'2026-01-02', 'lost'", "status_known"),
        ("", "'2025-12-31'", "range_in_order"),
        (", status", "'2026-01-02', 'in_flight'", "in_flight_has_report"),
        (", status", "'2026-01-02', 'completed'", "in_flight_has_report"),
        (", status", "'2026-01-02', 'loaded'", "ended_has_end"),
        (", status", "'2026-01-02', 'failed'", "ended_has_end"),
        (", finished_at", "'2026-01-02', now()", "ended_has_end"),
        (", cause", "'2026-01-02', '[]'", "cause_is_an_object"),
    ),
    *of_inserts(
        "report_gates",
        "client_id, next_create_at, region, in_flight_limit, pace, refusals",
        ("'c', now(), 'XX', 2, '1 second', 0", "region_known"),
        ("'c', now(), 'NA', 0.5, '1 second', 0", "limit_lets_one_in"),
        ("'c', now(), 'NA', 2, '0', 0", "pace_positive"),
        ("'c', now(), 'NA', 2, '1 second', -1", "pace_positive"),
    ),
    *of_windows(
        ("status", "'stale'", "ck_report_windows_status_known"),
        ("status", "'requested'", "ck_report_windows_requested_has_request"),
        ("status", "'loaded'", "ck_report_windows_loaded_has_load"),
        ("status, next_refresh_at", "'expired', now()", "ck_report_windows_expired_is_over"),
        ("status", "'not_served'", "ck_report_windows_not_served_has_since"),
        (
            "status, not_served_since, last_loaded_at, next_refresh_at",
            "'not_served', now(), now(), now()",
            "ck_report_windows_not_served_once_loaded_is_over",
        ),
        ("request_id", "1", "ck_report_windows_requested_has_request"),
        ("status, request_id", "'requested', 999", "fk_report_windows_request_id"),
    ),
    *of_inserts(
        "proven_histories",
        "client_id, region, dataset, ad_product, age_days, account_key, window_date",
        ("'c', 'NA', 'daily_targets', 'SP', -1, 'US.one', '2026-01-01'", "age_counted"),
    ),
    of_facts("impressions", "-1", "counts_not_negative"),
    of_facts("clicks", "-1", "counts_not_negative"),
    of_facts("orders", "-1", "counts_not_negative"),
    of_facts("sales", "-0.000001", "amounts_in_range"),
    of_facts("spend", "-0.000001", "amounts_in_range"),
    of_facts("sales", "'NaN'", "amounts_in_range"),
    of_facts("spend", "'NaN'", "amounts_in_range"),
    (of_hours("2026-01-10 12:00:01Z", KEY), "ck_hourly_products_hour_begins"),
    (of_hours("2026-01-10 12:20:00Z", KEY), "ck_hourly_products_hour_begins"),
    (of_hours("2026-01-10 12:00:00Z", "00"), "ck_hourly_products_key_is_a_digest"),
    *of_inserts(
        "findings",
        "finding, key, began_at, gone_at",
        ("'{}', '', now(), NULL", "key_is_short"),
        ("'{}', repeat('x', 101), now(), NULL", "key_is_short"),
        ("'{}', 'k', now(), now() - interval '1 s'", "ends_after_start"),
    ),
    *of_inserts("alert_receivers", "next_attempt_at, receiver", ("now(), 0", "receiver_counted")),
    (
        "UPDATE advertiser_accounts SET account_id = 'nobody'",
        "fk_advertiser_accounts_account_id",
    ),
    (
        f"{REQUEST}) VALUES ('nobody', 'daily_targets', 'SP', '2026-01-10', '2026-01-10')",
        "fk_report_requests_account_id",
    ),
    (
        f"{WINDOW}) VALUES ({WINDOW_KEY.replace('US', 'CA')})",
        "fk_report_windows_account_id_country_code",
    ),
    (f"{WINDOW}) VALUES ({WINDOW_KEY}), ({WINDOW_KEY})", "pk_report_windows"),
]
"""Statements, and the constraint by whose name each is refused."""


@pytest.fixture(scope="module")
def tables(_template: str, cluster_url: str) -> Iterator[Engine]:
    """Yield an engine on migrated tables that nobody commits to; there is a partition for the hours of these tests."""
    url = make_url(cluster_url).set(database=_template).render_as_string(hide_password=False)
    engine = make_engine(url)
    ensure_partitions(engine, HOURLY_PRODUCTS, date(2026, 1, 10), date(2026, 1, 10))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(tables: Engine) -> Iterator[Connection]:
    """Yield a transaction with one account, rolled back at the end."""
    with tables.connect() as connection:
        add_account(connection)
        yield connection


def test_an_account_key_is_one_accounts(connection: Connection) -> None:
    """Two accounts whose ids end alike can't have one partition."""
    with pytest.raises(IntegrityError, match="uq_advertiser_accounts_account_key"):
        add_account(connection, account_id="amzn1.other", account_key="US.one")


def test_an_ads_account_in_two_countries_is_two_accounts(connection: Connection) -> None:
    """The same id in another country is another row."""
    assert add_account(connection, "CA", currency_code="CAD").account_key == "CA.one"


@pytest.mark.parametrize(("statement", "constraint"), REFUSED, ids=[name for _, name in REFUSED])
def test_a_constraint_refuses_what_cannot_be(
    connection: Connection, statement: str, constraint: str
) -> None:
    """Each statement breaks one rule, and the error names it."""
    with pytest.raises(IntegrityError) as refused:
        run(connection, statement)
    diagnosis = refused.value.orig.diag  # type: ignore[union-attr]  # psycopg's own error has it
    assert constraint == diagnosis.constraint_name


def test_an_hour_of_kolkata_is_an_hour(connection: Connection) -> None:
    """Half-hour zones begin theirs on the half hour."""
    run(connection, of_hours("2026-01-10 11:30:00Z", KEY))


def test_listing_that_is_not_trusted_keeps_the_stored_profile(connection: Connection) -> None:
    """Which of several profiles is listed is not known then."""
    account = get_account(connection, "US.one")
    listed = {one.name: getattr(account, one.name) for one in Account.__table__.c}
    for ids, trusted, kept in (
        (("2", "E2"), True, ("2", "E2")),
        (("1", "E1"), False, ("2", "E2")),
        (("1", "E1"), True, ("1", "E1")),
    ):
        of_profile = {"profile_id": ids[0], "entity_id": ids[1], "trusted": trusted}
        upsert_account(connection, listed | of_profile, now=datetime.now(UTC))
        account = get_account(connection, account.account_key)
        assert kept == (account.profile_id, account.entity_id)
