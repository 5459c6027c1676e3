"""The database defends its own truth: each rule of the tables is broken once, and holds."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.store.engine import make_engine
from tests.postgres.load_world import add_account, run

ACCOUNT = "amzn1.ads-account.g.one"
REPORT = "INSERT INTO report_requests (account_id, dataset, start_date, end_date"
WINDOW = "INSERT INTO report_windows (account_id, country_code, dataset, window_date"
WINDOW_KEY = f"'{ACCOUNT}', 'US', 'daily_targets', '2026-01-10'"
PERFORMANCE = """
    INSERT INTO performance_daily (account_id, country_code, dataset, window_date, ad_id, entity_id, currency_code, campaign_id,
                                   ad_group_id, target_value, match_type, resolved, request_id, {column})
    VALUES ('{account}', 'US', 'daily_targets', '2026-01-10', '1', '2', 'USD', '3', '4', '', '', true, 1, {value})"""
RESTATEMENT = """
    INSERT INTO restatements (account_id, country_code, dataset, window_date, ad_id, entity_id, currency_code,
                              old_data_as_of, new_data_as_of, request_id, change, old_values, new_values)
    VALUES ('{account}', 'US', 'daily_targets', '2026-01-10', '1', '2', 'USD', now(), now(), 1, {rest})"""
EXPORT = "INSERT INTO entity_exports (account_id, country_code, kind, export_id, status) VALUES"


@pytest.fixture(scope="module")
def tables(_template: str, cluster_url: str) -> Iterator[Engine]:
    """Give an engine on migrated tables that nobody commits to."""
    engine = make_engine(make_url(cluster_url).set(database=_template).render_as_string(hide_password=False))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(tables: Engine) -> Iterator[Connection]:
    """Give a transaction with one account, rolled back at the end."""
    with tables.connect() as connection:
        add_account(connection)
        yield connection


def broken_by(connection: Connection, statement: str) -> str:
    """Give the name of the constraint that refuses a statement."""
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
def test_an_account_is_well_formed(connection: Connection, column: str, value: str, constraint: str) -> None:
    """Country, currency, region and key are of the forms that everything else relies on; `UK` is never stored."""
    found = broken_by(connection, f"UPDATE advertiser_accounts SET {column} = '{value}'")
    assert f"ck_advertiser_accounts_{constraint}" == found


def test_an_account_key_is_one_accounts(connection: Connection) -> None:
    """Two accounts whose ids end alike can't have one partition."""
    with pytest.raises(IntegrityError, match="uq_advertiser_accounts_account_key"):
        add_account(connection, account_id="amzn1.other.g.one")


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
    ],
)
def test_a_request_is_in_one_known_state(
    connection: Connection, columns: str, values: str, constraint: str
) -> None:
    """Its range has an order, its status is known, a report in flight has Amazon's id, and what ended has its end."""
    statement = f"{REPORT}{columns}) VALUES ('{ACCOUNT}', 'daily_targets', {values})"
    assert f"ck_report_requests_{constraint}" == broken_by(connection, statement)


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("region", "'SA'", "region_known"),
        ("ads_account_key", "'US one'", "key_is_plain"),
        ("needs_person", "'revoked'", "needs_person_for_something"),
        ("needs_person_for", "'nobody'", "needs_person_for_known"),
        ("refusals", "-1", "refusals_counted"),
    ],
)
def test_an_ads_account_is_well_formed(
    connection: Connection, column: str, value: str, constraint: str
) -> None:
    """Region, key, and why it needs a person are of the forms that everything else relies on."""
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
    statement = f"{REPORT}) VALUES ('nobody', 'daily_targets', '2026-01-10', '2026-01-10')"
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
    ],
)
def test_a_window_is_in_one_known_state(
    connection: Connection, columns: str, values: str, constraint: str
) -> None:
    """Its status is known; requested means a request, loaded means a load, expired means no refresh any more."""
    statement = f"{WINDOW}, {columns}) VALUES ({WINDOW_KEY}, {values})"
    assert f"ck_report_windows_{constraint}" == broken_by(connection, statement)


def test_a_window_that_waits_for_a_request_is_requested(connection: Connection) -> None:
    """A window can't be missing and in flight at once."""
    run(connection, f"{REPORT}) VALUES ('{ACCOUNT}', 'daily_targets', '2026-01-10', '2026-01-10')")
    statement = f"{WINDOW}, request_id) SELECT {WINDOW_KEY}, id FROM report_requests"
    assert broken_by(connection, statement) == "ck_report_windows_requested_has_request"


def test_a_window_waits_for_a_request_that_exists(connection: Connection) -> None:
    """Its request is a foreign key."""
    statement = f"{WINDOW}, status, request_id) VALUES ({WINDOW_KEY}, 'requested', 999)"
    assert broken_by(connection, statement) == "fk_report_windows_request_id"


def test_a_window_is_there_once(connection: Connection) -> None:
    """Account, country, dataset and day are its key."""
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
        ("sales", "-0.000001", "amounts_not_negative"),
        ("spend", "-0.000001", "amounts_not_negative"),
        ("sales", "'NaN'", "amounts_are_numbers"),
        ("spend", "'NaN'", "amounts_are_numbers"),
    ],
)
def test_a_metric_is_a_number_from_zero_on(
    connection: Connection, column: str, value: str, constraint: str
) -> None:
    """No count and no amount is negative, and no amount is NaN."""
    statement = PERFORMANCE.format(account=ACCOUNT, column=column, value=value)
    assert f"ck_performance_daily_{constraint}" == broken_by(connection, statement)


HOURLY = """
    INSERT INTO performance_hourly (account_id, country_code, dataset, window_date, hour_at, ad_id, entity_id, currency_code,
                                    campaign_id, ad_group_id, resolved, request_id)
    VALUES ('{account}', 'US', 'hourly_products', '2026-01-10', '{hour_at}', '1', '2', 'USD', '3', '4', {resolved}, 1)"""


@pytest.mark.parametrize(
    ("hour_at", "resolved", "constraint"),
    [
        ("2026-01-10 12:00:01Z", "true", "hour_begins"),
        ("2026-01-10 12:20:00Z", "true", "hour_begins"),
        ("2026-01-10 12:00:00Z", "false", "unresolved_is_named"),
    ],
)
def test_an_hour_begins_on_a_quarter_and_an_unresolved_row_has_its_texts(
    connection: Connection, hour_at: str, resolved: str, constraint: str
) -> None:
    """No zone's hours begin elsewhere; without its texts a row could never be resolved."""
    statement = HOURLY.format(account=ACCOUNT, hour_at=hour_at, resolved=resolved)
    assert f"ck_performance_hourly_{constraint}" == broken_by(connection, statement)


def test_an_hour_of_kolkata_is_an_hour(connection: Connection) -> None:
    """Half-hour zones begin theirs on the half hour."""
    run(connection, HOURLY.format(account=ACCOUNT, hour_at="2026-01-10 11:30:00Z", resolved="true"))


@pytest.mark.parametrize(
    ("rest", "constraint"),
    [
        ("'moved', '{}', '{}'", "change_known"),
        ("'appeared', '{}', '{}'", "old_values_fit"),
        ("'changed', NULL, '{}'", "old_values_fit"),
        ("'vanished', '{}', '{}'", "new_values_fit"),
        ("'changed', '{}', NULL", "new_values_fit"),
    ],
)
def test_a_restatement_has_the_values_its_change_needs(
    connection: Connection, rest: str, constraint: str
) -> None:
    """Appeared has no old values, vanished no new ones, changed has both."""
    statement = RESTATEMENT.format(account=ACCOUNT, rest=rest)
    assert f"ck_restatements_{constraint}" == broken_by(connection, statement)


def test_one_export_of_a_kind_is_in_flight(connection: Connection) -> None:
    """A second one is refused while the first has not ended, and welcome afterwards."""
    values = f"('{ACCOUNT}', 'US', 'targets', 'e', 'in_flight')"
    run(connection, f"{EXPORT} {values}")
    assert broken_by_nested(connection, f"{EXPORT} {values}") == "uq_entity_exports_in_flight"
    run(connection, "UPDATE entity_exports SET status = 'loaded'")
    run(connection, f"{EXPORT} {values}")


def broken_by_nested(connection: Connection, statement: str) -> str:
    """As `broken_by`, in a savepoint of its own, so that the transaction goes on."""
    savepoint = connection.begin_nested()
    name = broken_by(connection, statement)
    savepoint.rollback()
    return name


@pytest.mark.parametrize(("kind", "status"), [("portfolios", "in_flight"), ("targets", "lost")])
def test_an_export_is_of_a_known_kind_and_state(connection: Connection, kind: str, status: str) -> None:
    """Kinds are Amazon's four; states are ours."""
    found = broken_by(connection, f"{EXPORT} ('{ACCOUNT}', 'US', '{kind}', 'e', '{status}')")
    assert found in {"ck_entity_exports_kind_known", "ck_entity_exports_status_known"}
