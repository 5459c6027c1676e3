"""Which services `bidbeacon dev` runs, and with what."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.dev.services import make_dagster_home, service_environment, services
from bidbeacon_pipelines.reports.gates import LARGEST_LIMIT
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings

DATABASE_URL = "postgresql://someone:hidden-word@127.0.0.1:5432/db"


def test_without_credentials_the_sandbox_plays_amazons_part() -> None:
    """Sandbox, stream and Dagster run where no Amazon credentials are set."""
    assert [service.name for service in services(Settings())] == ["sandbox", "stream", "dagster"]


def test_with_credentials_no_sandbox_runs() -> None:
    """Stream and Dagster alone run where Amazon credentials are set."""
    assert [service.name for service in services(Settings(ads_api_client_id="amzn1.x"))] == [
        "stream",
        "dagster",
    ]


def test_a_newcomers_sandbox_makes_more_reports_at_a_time_than_amazon_is_asked_for_at_first() -> (
    None
):
    """Eight to begin with, and the sandbox refuses none; the setting wins, and with credentials nothing else counts."""
    name = "BIDBEACON_FIRST_REPORTS_IN_FLIGHT"
    assert "8" == service_environment(Settings(), DATABASE_URL)[name]
    assert "3" == service_environment(Settings(first_reports_in_flight=3), DATABASE_URL)[name]
    assert "2" == service_environment(Settings(ads_api_client_id="amzn1.x"), DATABASE_URL)[name]
    assert f"max_reports_in_flight={LARGEST_LIMIT:g}" in services(Settings())[0].command


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), "true"),
        (Settings(stream_changes_without_token=False), "false"),
        (Settings(stream_token=SecretStr("a-long-random-token")), "false"),
        (Settings(stream_public_url="https://stream.example.com"), "false"),
        (Settings(stream_public_url="http://localhost:8080"), "false"),
    ],
)
def test_the_stream_allows_changes_without_a_token_where_nobody_else_can_ask(
    settings: Settings, expected: str
) -> None:
    """Neither beside a token, nor beside a public address, nor where the setting forbids it."""
    environment = service_environment(settings, DATABASE_URL)
    assert expected == environment["BIDBEACON_STREAM_CHANGES_WITHOUT_TOKEN"]


def test_each_service_gets_its_port() -> None:
    """Ports of the settings reach commands, addresses and the names of the variables that set them."""
    settings = Settings(dagster_port=4000, stream_port=4030, sandbox_port=4040)
    found = {service.port_variable: service for service in services(settings)}
    expected = {
        "BIDBEACON_DAGSTER_PORT": 4000,
        "BIDBEACON_STREAM_PORT": 4030,
        "BIDBEACON_SANDBOX_PORT": 4040,
    }
    assert {variable: service.port for variable, service in found.items()} == expected
    for variable, port in expected.items():
        assert found[variable].url == f"http://127.0.0.1:{port}"
        assert str(port) in found[variable].command


def test_a_service_on_every_address_is_asked_on_loopback() -> None:
    """A service that listens on 0.0.0.0 is shown and asked at 127.0.0.1."""
    dagster = services(Settings(bind_host="0.0.0.0", allow_other_machines=True))[-1]
    assert (dagster.host, dagster.health_url) == ("0.0.0.0", "http://127.0.0.1:3000/server_info")


def test_the_databases_address_travels_by_environment_only(tmp_path: Path) -> None:
    """The password is in a variable, and in no command."""
    settings = Settings(home=tmp_path)
    assert service_environment(settings, DATABASE_URL)["BIDBEACON_DATABASE_URL"] == DATABASE_URL
    assert not any(
        "hidden-word" in argument for service in services(settings) for argument in service.command
    )


def test_dagsters_home_leads_to_the_projects_own_configuration(tmp_path: Path) -> None:
    """DAGSTER_HOME is an absolute folder of the local state, and its `dagster.yaml` is the project's, also at a second start."""
    settings = Settings(home=tmp_path / "state")
    make_dagster_home(settings)
    make_dagster_home(settings)
    home = Path(service_environment(settings, DATABASE_URL)["DAGSTER_HOME"])
    assert home.is_absolute()
    assert home.parent == settings.home
    assert (home / "dagster.yaml").samefile(PROJECT_ROOT / "dagster.yaml")
