"""Names that others rely on, written down: a change here is a change for everyone who uses them."""

import inspect
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import pytest
import typer.main
from dagster import AssetKey
from starlette.routing import Mount, Route, WebSocketRoute

import bidbeacon_pipelines.actions  # noqa: F401 - registers the action classes
import bidbeacon_sessions
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore, tables, with_job_session
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.messages import Event
from bidbeacon_sessions.server import create_app


def _names(text: str, separator: str | None = None) -> list[str]:
    return [name.strip() for name in text.split(separator)]


TOP_LEVEL_NAMES = _names("""
    Action ActionDefinitionError Reference SessionClosedError SessionRecorder SessionStore SessionsError Subject with_job_session
""")
DATASETS = _names("""
    daily_campaigns daily_placements daily_products daily_purchased_products daily_search_terms daily_targets
    hourly_campaigns hourly_products hourly_targets
""")
"""Each is the name of a dataset, its table, its asset and its view."""
ENTITIES = ["ad_groups", "ads", "campaigns", "portfolios", "targets"]
ASSETS = ["accounts", *ENTITIES, *DATASETS]
VIEWS = ["account_daily_summaries", *ENTITIES, *DATASETS]
EXTERNAL_ASSETS = ["amazon_ads", *(f"reports/{view}" for view in VIEWS)]
CHECKS = ["quarantine_is_small", "rows_reconcile_with_daily_totals", "window_is_fresh"]
JOBS = _names("""
    check_datasets delete_old_records load_datasets load_windows poll_reports record_again refresh_account
    sync_accounts sync_entities
""")
SCHEDULES = _names("""
    check_datasets_hourly delete_old_records_daily sync_accounts_hourly
""")
SENSORS = _names("close_crashed_sessions poll_reports_in_flight refresh_due_accounts")
MILESTONES = _names("windows-queued report-requested report-processed window-skipped report-failed")
"""The milestones of a window: queued, requested, processed, skipped, failed."""
OTHER_ACTIONS = _names("""
    account-assigned account-needs-attention account-paused account-renamed account-resumed account-sync-failed accounts-synced
    actions-omitted cadence-changed creates-paused credentials-accepted
    credentials-refused dataset-checked entities-misread entities-synced entity-sync-requested export-failed export-pending export-requested
    exports-skipped load-requested loads-recorded old-records-deleted other-products-reported portfolios-not-listed
    quarantine-replayed region-not-listed registry-overridden report-accepted report-adopted report-pending report-split
    report-suspicious reports-planned request-retried rows-kept session-finalized silence-accepted
    wait-given-up windows-expired windows-not-served windows-planned windows-reopened
    windows-unconfirmed
""")
COMMANDS = _names(
    """
    accounts cadence, accounts list, accounts pause, accounts rename, accounts resume, accounts sync,
    alerts acknowledge, alerts list, alerts test, alerts unacknowledge, contract forget, contract list, contract set, credentials assign, credentials check,
    credentials list, db shell, db start, db upgrade, db url, dev, doctor,
    entities list, entities sync, explain, load, login, probe, quarantine list, quarantine replay, refresh, restatements, sessions list, sessions show, sessions tail,
    stream, windows accept, windows keep
""",
    ",",
)
STREAM_ROUTES = _names("""
    / /accounts /accounts/{key} /api/account /api/account-list /api/account/accept-report /api/account/alias /api/account/cadence /api/account/keep-rows /api/account/load-windows
    /api/account/pause /api/account/resume /api/account/sync-entities /api/account/wanted /api/accounts /api/changes
    /api/coverage /api/explain /api/findings/acknowledge /api/findings/act /api/findings/keep /api/findings/unacknowledge /api/home /api/job-metrics /api/job-sessions /api/job-sessions/histogram
    /api/job-sessions/stream /api/job-sessions/values /api/job-sessions/ws /api/job-sessions/{session_id:uuid}
    /api/job-sessions/{session_id:uuid}/surroundings /api/queue /api/trends /causes /coverage /healthz
    /login /metrics /queue /readyz /sessions /sessions/{session_id:uuid} /web/{name}
""")


def assert_listed(register: str, listed: Iterable[str], found: Iterable[str]) -> None:
    """Compare the names that the program has with a register of this file; a failure says what to change there."""
    listed, found = sorted(listed), sorted(found)
    new, gone = sorted(set(found) - set(listed)), sorted(set(listed) - set(found))
    assert listed == found, (
        f"{register} in tests/unit/test_names_are_promises.py: add {new}, remove {gone}. "
        "Others rely on these names: a change belongs into CHANGELOG.md."
    )


def test_promises() -> None:
    """Promised names: packages and command, the session of a job, its view, the stream's event, the milestones."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"bidbeacon", "bidbeacon-sandbox"} == project["project"]["scripts"].keys()
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {"bidbeacon_pipelines", "bidbeacon_sandbox", "bidbeacon_sessions"} <= set(packages)
    assert_listed("TOP_LEVEL_NAMES", TOP_LEVEL_NAMES, bidbeacon_sessions.__all__)
    parameters = list(inspect.signature(with_job_session).parameters)
    assert parameters[0] == "job_name"
    assert {"input", "store", "account", "run_id", "step_key", "retry_number"} <= set(parameters)
    assert "CREATE VIEW job_sessions AS" in tables.JOB_SESSIONS_VIEW
    assert "job_sessions" in (defs.resources or {})
    assert "job-sessions:updated" in get_args(Event)
    assert set(MILESTONES) <= action_classes().keys()


def test_asset_names() -> None:
    """Accounts, entities, and one asset a dataset; what lies before and behind is external."""
    graph = defs.resolve_asset_graph()
    found: dict[bool, list[str]] = {True: [], False: []}
    for key in graph.get_all_asset_keys():
        found[graph.get(key).is_materializable].append(key.to_user_string())
    assert_listed("ASSETS (or DATASETS)", ASSETS, found[True])
    assert_listed("EXTERNAL_ASSETS (or DATASETS)", EXTERNAL_ASSETS, found[False])


def test_the_lineage_begins_at_amazon_and_ends_at_what_analysts_read() -> None:
    """Every dataset and kind of entity leads back to Amazon, and its view leads back to it."""
    graph = defs.resolve_asset_graph()
    for view in VIEWS:
        keys = graph.get_ancestor_asset_keys(AssetKey(["reports", view]))
        ancestors = {key.to_user_string() for key in keys}
        assert {"amazon_ads", "accounts"} <= ancestors, view
        assert ancestors & {*ASSETS} - {"accounts"}, view
    roots = [key for key in graph.get_all_asset_keys() if not graph.get(key).parent_keys]
    assert [AssetKey("amazon_ads")] == roots


def test_check_names() -> None:
    """Every dataset's asset has the same three checks."""
    checked: dict[str, list[str]] = {}
    for key in defs.resolve_asset_graph().asset_check_keys:
        checked.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    assert_listed("DATASETS", DATASETS, checked)
    for names in checked.values():
        assert_listed("CHECKS", CHECKS, names)


def test_job_schedule_and_sensor_names() -> None:
    """What Dagster's UI lists, and what tags, links and run requests name."""
    jobs = {job.name for job in defs.jobs or ()}  # modules import each other's jobs
    assert_listed("JOBS", JOBS, jobs)
    assert_listed("SCHEDULES", SCHEDULES, [schedule.name for schedule in defs.schedules or ()])
    assert_listed("SENSORS", SENSORS, [sensor.name for sensor in defs.sensors or ()])


def test_all_jobs_run_in_one_process() -> None:
    """The executor is said once, in the definitions."""
    assert {"in_process"} == {job.executor_def.name for job in defs.resolve_all_job_defs()}


@pytest.mark.parametrize(
    ("assets", "automation"),
    [
        (DATASETS, {"poll_reports_in_flight", "refresh_due_accounts"}),
        (["accounts"], {"refresh_due_accounts", "sync_accounts_hourly"}),
        (["campaigns", "targets"], {"refresh_due_accounts"}),
    ],
)
def test_page_of_an_asset_lists_what_refreshes_it(assets: list[str], automation: set[str]) -> None:
    """Dagster finds sensors and schedules by the asset jobs that they start."""
    repository = defs.get_repository_def()
    triggers = {one.name: {job.job_name for job in one.targets} for one in repository.sensor_defs}
    triggers |= {one.name: {one.job_name} for one in repository.schedule_defs}
    for asset in map(AssetKey, assets):
        every = repository.get_all_jobs()
        jobs = {job.name for job in every if asset in job.asset_layer.executable_asset_keys}
        assert automation == {name for name, started in triggers.items() if started & jobs}, asset


def test_action_types() -> None:
    """Stored in `session_actions.type`, queried by people, sent to readers of the stream."""
    classes = action_classes().items()
    ours = [name for name, kind in classes if kind.__module__.startswith("bidbeacon")]
    assert_listed("OTHER_ACTIONS", [*MILESTONES, *OTHER_ACTIONS], ours)


def test_commands() -> None:
    """What scripts call."""
    assert_listed("COMMANDS", COMMANDS, _commands(typer.main.get_command(app)))


def test_stream_routes() -> None:
    """What readers of the stream and health checks ask for."""
    store = SessionStore.connect("postgresql://nowhere")
    app = create_app(store, extension=pipelines_extension(store, Settings()))
    routes = (one for one in app.routes if isinstance(one, (Mount, Route, WebSocketRoute)))
    assert_listed("STREAM_ROUTES", STREAM_ROUTES, {route.path for route in routes})


def _commands(group: Any, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} ")
        else:
            yield prefix + name
