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

ACCOUNT = "amzn1.ads-account.g.one"
REPORT = "INSERT INTO report_requests (account_id, dataset, report, start_date, end_date"
WINDOW = (
    "INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at"
)
WINDOW_KEY = f"'{ACCOUNT}', 'US', 'daily_targets', 'SP', '2026-01-10', now()"
PERFORMANCE = """
    INSERT INTO daily_target_performance (account, window_date, row_key, ad_product, currency_code, request_id, {column})
    SELECT id, '2026-01-10', decode(repeat('00', 16), 'hex'), 'SPONSORED_PRODUCTS', 'USD', 1, {value} FROM advertiser_accounts"""
RESTATEMENT = """
    INSERT INTO restatements (account_id, country_code, dataset, window_date, row_key, dimensions, currency_code,
                              old_data_as_of, new_data_as_of, request_id, change, old_values, new_values)
    VALUES ('{account}', 'US', 'daily_targets', '2026-01-10', '1', '{{}}', 'USD', now(), now(), 1, {rest})"""
EXPORT = "INSERT INTO entity_exports (account_id, country_code, kind, export_id, status) VALUES"


@pytest.fixture(scope="module")
def tables(_template: str, cluster_url: str) -> Iterator[Engine]:
    """Yield an engine on migrated tables that nobody commits to."""
    engine = make_engine(
        make_url(cluster_url).set(database=_template).render_as_string(hide_password=False)
    )
    yield engine
    engine.dispose()


@pytest.fixture
def connection(tables: Engine) -> Iterator[Connection]:
    """Yield a transaction with one account, rolled back at the end."""
    with tables.connect() as connection:
        add_account(connection)
        yield connection


def broken_by(connection: Connection, statement: str) -> str:
    """Return the name of the constraint that refuses a statement."""
    with pytest.raises(IntegrityError) as refused:
        run(connection, statement)
    diagnosis = refused.value.orig.diag  # type: ignore[union-attr]  # psycopg's own error has it
    return str(diagnosis.constraint_name)


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("country_code", "UK", "country_is_iso"),
        ("country_code", "us", "country_is_iso"),
        ("currency_code", "US$", "currency_is_iso"),
        ("region", "SA", "region_known"),
        ("account_key", "US one", "key_is_plain"),
    ],
)
def test_an_account_is_well_formed(
    connection: Connection, column: str, value: str, constraint: str
) -> None:
    """Country, currency, region and key are of the forms that everything else relies on; `UK` is never stored."""
    found = broken_by(connection, f"UPDATE advertiser_accounts SET {column} = '{value}'")
    assert f"ck_advertiser_accounts_{constraint}" == found


def test_an_account_key_is_one_accounts(connection: Connection) -> None:
    """Two accounts whose ids end alike can't have one partition."""
    with pytest.raises(IntegrityError, match="uq_advertiser_accounts_account_key"):
        add_account(connection, account_id="amzn1.other", account_key="US.one")


def test_an_ads_account_in_two_countries_is_two_accounts(connection: Connection) -> None:
    """The same id in another country is another row."""
    assert add_account(connection, "CA", currency_code="CAD").account_key == "CA.one"


@pytest.mark.parametrize(
    ("columns", "values", "constraint"),
    [
        (", status", "'2026-01-01', '2026-01-02', 'lost'", "status_known"),
        ("", "'2026-01-02', '2026-01-01'", "range_in_order"),
        (", status", "'2026-01-01', '2026-01-02', 'in_flight'", "in_flight_has_report"),
        (", status", "'2026-01-01', '2026-01-02', 'completed'", "in_flight_has_report"),
        (", status", "'2026-01-01', '2026-01-02', 'loaded'", "ended_has_end"),
        (", status", "'2026-01-01', '2026-01-02', 'failed'", "ended_has_end"),
        (", finished_at", "'2026-01-01', '2026-01-02', now()", "ended_has_end"),
        (", cause", "'2026-01-01', '2026-01-02', '[]'", "cause_is_an_object"),
    ],
)
def test_a_request_is_in_one_known_state(
    connection: Connection, columns: str, values: str, constraint: str
) -> None:
    """Its range has an order, its status is known, a report in flight has Amazon's id, and what ended has its end."""
    statement = f"{REPORT}{columns}) VALUES ('{ACCOUNT}', 'daily_targets', 'SP', {values})"
    assert f"ck_report_requests_{constraint}" == broken_by(connection, statement)


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
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
    ],
)
def test_an_ads_account_is_well_formed(
    connection: Connection, column: str, value: str, constraint: str
) -> None:
    """Region, key, cadence, and why it needs attention are of the forms that everything else relies on."""
    assert f"ck_ads_accounts_{constraint}" == broken_by(
        connection, f"UPDATE ads_accounts SET {column} = {value}"
    )


def test_accounts_and_requests_belong_to_an_ads_account(connection: Connection) -> None:
    """Neither is without one."""
    with connection.begin_nested() as step:
        assert "fk_advertiser_accounts_account_id" == broken_by(
            connection, "UPDATE advertiser_accounts SET account_id = 'nobody'"
        )
        step.rollback()
    statement = f"{REPORT}) VALUES ('nobody', 'daily_targets', 'SP', '2026-01-10', '2026-01-10')"
    assert "fk_report_requests_account_id" == broken_by(connection, statement)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("'XX', 2, '1 second', 0", "region_known"),
        ("'NA', 0.5, '1 second', 0", "limit_lets_one_in"),
        ("'NA', 2, '0', 0", "pace_positive"),
        ("'NA', 2, '1 second', -1", "pace_positive"),
    ],
)
def test_a_gate_lets_somebody_in(connection: Connection, values: str, constraint: str) -> None:
    """Its region is known, one report may be in flight at least, and its pace passes."""
    statement = f"INSERT INTO report_gates (client_id, next_create_at, region, in_flight_limit, pace, refusals) VALUES ('c', now(), {values})"
    assert f"ck_report_gates_{constraint}" == broken_by(connection, statement)


@pytest.mark.parametrize(
    ("columns", "values", "constraint"),
    [
        ("status", "'stale'", "status_known"),
        ("status", "'requested'", "requested_has_request"),
        ("status", "'loaded'", "loaded_has_load"),
        ("status, next_refresh_at", "'expired', now()", "expired_is_over"),
        ("status", "'not_served'", "not_served_has_since"),
        (
            "status, not_served_since, last_loaded_at, next_refresh_at",
            "'not_served', now(), now(), now()",
            "not_served_once_loaded_is_over",
        ),
    ],
)
def test_a_window_is_in_one_known_state(
    connection: Connection, columns: str, values: str, constraint: str
) -> None:
    """Its status is known; requested means a request, loaded means a load, expired means no refresh any more, not served since when, and no refresh any more once it was loaded."""
    statement = f"{WINDOW}, {columns}) VALUES ({WINDOW_KEY}, {values})"
    assert f"ck_report_windows_{constraint}" == broken_by(connection, statement)


def test_age_of_a_proven_history_is_counted(connection: Connection) -> None:
    """No day to come proves any."""
    statement = """
        INSERT INTO proven_histories (client_id, region, dataset, ad_product, age_days, account_key, window_date)
        VALUES ('c', 'NA', 'daily_targets', 'SPONSORED_PRODUCTS', -1, 'US.one', '2026-01-01')"""
    assert "ck_proven_histories_age_counted" == broken_by(connection, statement)


def test_a_window_that_waits_for_a_request_is_requested(connection: Connection) -> None:
    """A window can't be missing and in flight at once."""
    run(
        connection,
        f"{REPORT}) VALUES ('{ACCOUNT}', 'daily_targets', 'SP', '2026-01-10', '2026-01-10')",
    )
    statement = f"{WINDOW}, request_id) SELECT {WINDOW_KEY}, id FROM report_requests"
    assert broken_by(connection, statement) == "ck_report_windows_requested_has_request"


def test_a_window_waits_for_a_request_that_exists(connection: Connection) -> None:
    """Its request is a foreign key."""
    statement = f"{WINDOW}, status, request_id) VALUES ({WINDOW_KEY}, 'requested', 999)"
    assert broken_by(connection, statement) == "fk_report_windows_request_id"


def test_a_window_is_there_once(connection: Connection) -> None:
    """Account, country, dataset, report and day are its key."""
    run(connection, f"{WINDOW}) VALUES ({WINDOW_KEY})")
    assert broken_by(connection, f"{WINDOW}) VALUES ({WINDOW_KEY})") == "pk_report_windows"


def test_data_is_some_accounts(connection: Connection) -> None:
    """A window of an account that is not stored is refused, in another country too."""
    statement = f"{WINDOW}) VALUES ({WINDOW_KEY.replace('US', 'CA')})"
    assert broken_by(connection, statement) == "fk_report_windows_account_id_country_code"


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("impressions", "-1", "counts_not_negative"),
        ("clicks", "-1", "counts_not_negative"),
        ("orders", "-1", "counts_not_negative"),
        ("sales", "-0.000001", "amounts_in_range"),
        ("spend", "-0.000001", "amounts_in_range"),
        ("sales", "'NaN'", "amounts_in_range"),
        ("spend", "'NaN'", "amounts_in_range"),
    ],
)
def test_a_metric_is_a_number_from_zero_on(
    connection: Connection, column: str, value: str, constraint: str
) -> None:
    """No count and no amount is negative, and no amount is NaN."""
    statement = PERFORMANCE.format(column=column, value=value)
    assert f"ck_daily_target_performance_{constraint}" == broken_by(connection, statement)


HOURLY = """
    INSERT INTO hourly_product_performance (account, window_date, hour_at, row_key, ad_product, currency_code, request_id)
    SELECT id, '2026-01-10', '{hour_at}', decode('{key}', 'hex'), 'SPONSORED_PRODUCTS', 'USD', 1 FROM advertiser_accounts"""
KEY = "00" * 16


@pytest.fixture
def january(tables: Engine) -> None:
    """Make the partition of the hours of these tests."""
    ensure_partitions(tables, HOURLY_PRODUCTS, date(2026, 1, 10), date(2026, 1, 10))


@pytest.mark.parametrize(
    ("hour_at", "key", "constraint"),
    [
        ("2026-01-10 12:00:01Z", KEY, "hour_begins"),
        ("2026-01-10 12:20:00Z", KEY, "hour_begins"),
        ("2026-01-10 12:00:00Z", "00", "key_is_a_digest"),
    ],
)
@pytest.mark.usefixtures("january")
def test_an_hour_begins_on_a_quarter_and_has_a_key(
    connection: Connection, hour_at: str, key: str, constraint: str
) -> None:
    """No zone's hours begin elsewhere, and a key has 16 bytes."""
    statement = HOURLY.format(hour_at=hour_at, key=key)
    assert f"ck_hourly_product_performance_{constraint}" == broken_by(connection, statement)


@pytest.mark.usefixtures("january")
def test_an_hour_of_kolkata_is_an_hour(connection: Connection) -> None:
    """Half-hour zones begin theirs on the half hour."""
    run(connection, HOURLY.format(hour_at="2026-01-10 11:30:00Z", key=KEY))


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("'', now(), NULL", "ck_findings_key_is_short"),
        ("repeat('x', 101), now(), NULL", "ck_findings_key_is_short"),
        ("'k', now(), now() - interval '1 s'", "ck_findings_ends_after_start"),
    ],
)
def test_a_finding_begins_and_ends_in_order(
    connection: Connection, values: str, constraint: str
) -> None:
    """Its key is short; it is gone after it began."""
    columns = "finding, key, began_at, gone_at"
    assert constraint == broken_by(
        connection, f"INSERT INTO findings ({columns}) VALUES ('{{}}', {values})"
    )


def test_receivers_are_counted(connection: Connection) -> None:
    """From 1."""
    statement = "INSERT INTO alert_receivers (next_attempt_at, receiver) VALUES (now(), 0)"
    assert "ck_alert_receivers_receiver_counted" == broken_by(connection, statement)


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
