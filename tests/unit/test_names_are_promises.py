"""Names that others rely on, written down: a change here is a change for everyone who uses them."""

from collections.abc import Iterator

from dagster import AssetKey, AssetsDefinition
from starlette.routing import Route, WebSocketRoute
from typer import Typer

import bidbeacon_pipelines.actions  # noqa: F401 - registers the action classes
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.server import create_app

ASSETS = [
    "account_daily_summary",
    "daily_campaign_performance",
    "daily_placement_performance",
    "daily_product_performance",
    "daily_purchased_product_performance",
    "daily_search_term_performance",
    "daily_target_performance",
    "hourly_campaign_performance",
    "hourly_product_performance",
    "hourly_target_performance",
]
EXTERNAL_ASSETS = [
    "accounts",
    "ad_groups",
    "ads",
    "amazon_ads",
    "campaigns",
    "portfolios",
    "reports/account_daily_summaries",
    "reports/ad_groups",
    "reports/ads",
    "reports/campaigns",
    "reports/daily_campaigns",
    "reports/daily_placements",
    "reports/daily_products",
    "reports/daily_purchased_products",
    "reports/daily_search_terms",
    "reports/daily_targets",
    "reports/hourly_campaigns",
    "reports/hourly_products",
    "reports/hourly_targets",
    "reports/portfolios",
    "reports/targets",
    "targets",
]
CHECKS = ["quarantine_is_small", "rows_reconcile_with_daily_totals", "window_is_fresh"]
JOBS = [
    "check_datasets",
    "delete_old_records",
    "load_windows",
    "poll_reports",
    "refresh_account",
    "sync_accounts",
    "sync_entities",
    "update_summaries",
]
SCHEDULES = [
    "check_datasets_hourly",
    "delete_old_records_daily",
    "sync_accounts_hourly",
]
SENSORS = [
    "close_crashed_sessions",
    "poll_reports_in_flight",
    "recover_lost_recordings",
    "refresh_due_accounts",
    "update_changed_summaries",
]
ACTION_TYPES = [
    "account-needs-person",
    "account-paused",
    "account-renamed",
    "account-resumed",
    "account-sync-failed",
    "accounts-synced",
    "action-rolled-back",
    "actions-lost",
    "actions-omitted",
    "cadence-changed",
    "creates-paused",
    "credentials-accepted",
    "credentials-refused",
    "dataset-checked",
    "entities-misread",
    "entities-synced",
    "export-failed",
    "export-pending",
    "export-requested",
    "exports-skipped",
    "load-requested",
    "loads-recorded",
    "old-records-deleted",
    "other-products-reported",
    "portfolios-not-listed",
    "product-history-learned",
    "quarantine-replayed",
    "region-not-listed",
    "report-adopted",
    "report-failed",
    "report-pending",
    "report-processed",
    "report-requested",
    "report-split",
    "report-split-by-product",
    "report-suspicious",
    "reports-planned",
    "request-retried",
    "session-finalized",
    "silence-accepted",
    "summary-updated",
    "targets-resolved",
    "wait-given-up",
    "waited-for-amazon",
    "window-skipped",
    "windows-expired",
    "windows-planned",
    "windows-queued",
    "windows-reopened",
    "windows-unconfirmed",
]
COMMANDS = [
    "accounts cadence",
    "accounts list",
    "accounts pause",
    "accounts rename",
    "accounts resume",
    "accounts sync",
    "alerts",
    "alerts test",
    "db shell",
    "db start",
    "db upgrade",
    "db url",
    "dev",
    "doctor",
    "entities list",
    "entities sync",
    "explain",
    "probe",
    "quarantine list",
    "quarantine replay",
    "refresh",
    "restatements",
    "sandbox",
    "sessions list",
    "sessions show",
    "sessions tail",
    "stream",
]
STREAM_ROUTES = [
    "/",
    "/accounts",
    "/accounts/{key}",
    "/api/account",
    "/api/account/alias",
    "/api/account/cadence",
    "/api/account/load-windows",
    "/api/account/pause",
    "/api/account/resume",
    "/api/account/sync-entities",
    "/api/accounts",
    "/api/actions",
    "/api/changes",
    "/api/coverage",
    "/api/explain",
    "/api/home",
    "/api/job-metrics",
    "/api/job-sessions",
    "/api/job-sessions/histogram",
    "/api/job-sessions/stream",
    "/api/job-sessions/values",
    "/api/job-sessions/ws",
    "/api/job-sessions/{session_id:uuid}",
    "/api/job-sessions/{session_id:uuid}/surroundings",
    "/api/problems/load",
    "/api/run-requests/{id:int}",
    "/coverage",
    "/healthz",
    "/login",
    "/metrics",
    "/readyz",
    "/sessions",
    "/sessions/{session_id:uuid}",
    "/web/{name}",
]


def test_asset_names() -> None:
    """One asset a dataset, and one that sums them up."""
    assets = [asset for asset in defs.assets or () if isinstance(asset, AssetsDefinition)]
    assert sorted(key.to_user_string() for asset in assets for key in asset.keys) == ASSETS


def test_external_asset_names() -> None:
    """What lies before and behind the datasets in the lineage."""
    graph = defs.resolve_asset_graph()
    found = [
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if not graph.get(key).is_materializable
    ]
    assert sorted(found) == EXTERNAL_ASSETS


def test_the_lineage_begins_at_amazon_and_ends_at_what_analysts_read() -> None:
    """Every dataset and kind of entity leads back to Amazon, and its view leads back to it."""
    graph = defs.resolve_asset_graph()
    for view in (name for name in EXTERNAL_ASSETS if name.startswith("reports/")):
        ancestors = {
            key.to_user_string() for key in graph.get_ancestor_asset_keys(AssetKey(view.split("/")))
        }
        assert {"amazon_ads", "accounts"} <= ancestors, view
        assert ancestors & {*ASSETS, view.removeprefix("reports/")}, view
    roots = [key for key in graph.get_all_asset_keys() if not graph.get(key).parent_keys]
    assert [AssetKey("amazon_ads")] == roots


def test_check_names() -> None:
    """Every dataset's asset has the same three checks."""
    checked: dict[str, list[str]] = {}
    for key in defs.resolve_asset_graph().asset_check_keys:
        checked.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    assert dict.fromkeys(ASSETS[1:], CHECKS) == {
        name: sorted(found) for name, found in checked.items()
    }


def test_job_schedule_and_sensor_names() -> None:
    """What Dagster's UI lists, and what tags, links and run requests name."""
    assert sorted({job.name for job in defs.jobs or ()}) == JOBS  # modules import each other's jobs
    assert sorted(schedule.name for schedule in defs.schedules or ()) == SCHEDULES
    assert sorted(sensor.name for sensor in defs.sensors or ()) == SENSORS


def test_action_types() -> None:
    """Stored in `session_actions.type`, queried by people, sent to readers of the stream."""
    ours = {
        name for name, kind in action_classes().items() if kind.__module__.startswith("bidbeacon")
    }
    assert sorted(ours) == ACTION_TYPES


def test_commands() -> None:
    """What scripts call."""
    assert sorted(_commands(app)) == COMMANDS


def test_stream_routes() -> None:
    """What readers of the stream and health checks ask for."""
    store = SessionStore.connect("postgresql://nowhere")
    app = create_app(store, extension=pipelines_extension(store, Settings()))
    paths = {route.path for route in app.routes if isinstance(route, (Route, WebSocketRoute))}
    assert sorted(paths) == STREAM_ROUTES


def _commands(typer: Typer, prefix: str = "") -> Iterator[str]:
    for command in typer.registered_commands:
        assert command.callback is not None
        yield prefix + (command.name or command.callback.__name__)
    for group in typer.registered_groups:
        assert group.typer_instance is not None
        if group.typer_instance.info.invoke_without_command is True:
            yield f"{prefix}{group.name}"
        yield from _commands(group.typer_instance, f"{prefix}{group.name} ")
