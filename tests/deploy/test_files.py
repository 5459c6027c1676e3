"""The compose file and the manifests start the same processes, with Dagster's instance of one machine but for the launcher."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from tests.cluster.compose import COMPOSE, filled_in

pytestmark = pytest.mark.deploy

DEPLOY = PROJECT_ROOT / "deploy"
SECRETS = DEPLOY / "kubernetes" / "secrets.example.yaml"
PROCESSES = ("migrate", "code-location", "webserver", "daemon", "worker", "stream")
CREDENTIALS = {
    "BIDBEACON_ADS_API_CLIENT_SECRET",
    "BIDBEACON_ADS_API_REFRESH_TOKEN",
    "BIDBEACON_CREDENTIALS_FILE",
}
each_process = pytest.mark.parametrize("process", PROCESSES)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return the services of the compose file, with what a person must set."""
    must_be_set = re.findall(r"\$\{(\w+):\?", COMPOSE.read_text())
    written = yaml.safe_load(COMPOSE.read_text())["services"]
    given = dict.fromkeys(must_be_set, "a-secret-of-24-characters")
    services: dict[str, Any] = filled_in(written, given)
    return services


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], Any]:
    """Return what kustomize makes of the manifests, by kind and name."""
    build = subprocess.run(["kustomize", "build", DEPLOY], check=True, capture_output=True)
    made = yaml.safe_load_all(build.stdout)
    return {(one["kind"], one["metadata"]["name"]): one for one in made}


def workload(manifests: Mapping[tuple[str, str], Any], process: str) -> dict[str, Any]:
    """Return the specification of a process's Deployment or Job."""
    kind = "Job" if process == "migrate" else "Deployment"
    specification: dict[str, Any] = manifests[kind, process]["spec"]
    return specification


def container(manifests: Mapping[tuple[str, str], Any], process: str) -> dict[str, Any]:
    """Return the only container of a process's pods."""
    found: list[dict[str, Any]] = workload(manifests, process)["template"]["spec"]["containers"]
    [only] = found
    return only


def variables(manifests: Mapping[tuple[str, str], Any], process: str) -> set[str]:
    """Return the names of a process's environment variables."""
    secrets = {one["metadata"]["name"]: one for one in yaml.safe_load_all(SECRETS.read_text())}
    names = {one["name"] for one in container(manifests, process).get("env", ())}
    for source in container(manifests, process)["envFrom"]:
        if "secretRef" in source:
            names |= secrets[source["secretRef"]["name"]]["stringData"].keys()
        else:
            names |= manifests["ConfigMap", source["configMapRef"]["name"]]["data"].keys()
    return names


def test_the_instance_differs_only_in_what_many_hosts_need() -> None:
    """Both files have the same queue, limits, monitoring and retention."""
    one_host = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    cluster = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert "BidBeaconCeleryLauncher" == cluster.pop("run_launcher")["class"]
    assert "NoOpComputeLogManager" == cluster.pop("compute_logs")["class"]
    assert 0 == cluster["run_monitoring"].pop("max_resume_run_attempts")
    assert one_host == cluster


@each_process
def test_compose_and_kubernetes_start_the_same(
    compose: dict[str, Any], manifests: dict[tuple[str, str], Any], process: str
) -> None:
    """Each process has one command, and the same variables, wherever it runs."""
    service = compose[process]
    assert service["command"] == container(manifests, process)["args"]
    assert service["environment"].keys() == variables(manifests, process)


@each_process
def test_only_what_calls_amazon_has_its_secrets(
    compose: dict[str, Any], manifests: dict[tuple[str, str], Any], process: str
) -> None:
    """A stream or webserver that is broken into has no token of Amazon's; a file of them is for owner and group alone."""
    has_them = process in {"worker", "code-location"}
    service, pod = compose[process], workload(manifests, process)["template"]["spec"]
    given = CREDENTIALS & service["environment"].keys()
    assert (CREDENTIALS if has_them else set()) == given
    assert has_them == ("credentials" in service.get("secrets", ()))
    mounted = {volume["name"]: volume for volume in pod["volumes"]}
    assert has_them == ("credentials" in mounted)
    if has_them:
        assert 0o440 == mounted["credentials"]["secret"]["defaultMode"]


@each_process
def test_a_process_can_write_nowhere_but_to_its_folders(
    compose: dict[str, Any], manifests: dict[tuple[str, str], Any], process: str
) -> None:
    """It is an ordinary user on a read-only file system, without any capability."""
    service = compose[process]
    assert (service["user"], service["read_only"]) == ("10001:10001", True)
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    pod = workload(manifests, process)["template"]["spec"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (
        True,
        10001,
    )
    assert not pod["automountServiceAccountToken"]
    assert container(manifests, process)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_there_is_a_process_for_each_run_that_may_start(
    compose: dict[str, Any], manifests: dict[tuple[str, str], Any]
) -> None:
    """A run that waited in Redis for another one to end would be failed by run monitoring."""
    instance = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    runs = instance["concurrency"]["runs"]["max_concurrent_runs"]
    for workers, command in (
        (compose["worker"]["deploy"]["replicas"], compose["worker"]["command"]),
        (workload(manifests, "worker")["replicas"], container(manifests, "worker")["args"]),
    ):
        assert runs == workers * int(command[command.index("--concurrency") + 1])


def test_a_stopped_worker_has_time_to_close_its_sessions(
    compose: dict[str, Any], manifests: dict[tuple[str, str], Any]
) -> None:
    """The grace period is longer than runs may take to end, and be interrupted."""
    # Importing the module loads all definitions and needs a Redis.
    worker = (PROJECT_ROOT / "bidbeacon_pipelines" / "celery_worker.py").read_text()
    [to_end] = re.findall(r"^SHUTDOWN_SECONDS: Final = (\d+)$", worker, re.MULTILINE)
    seconds = workload(manifests, "worker")["template"]["spec"]["terminationGracePeriodSeconds"]
    assert f"{seconds}s" == compose["worker"]["stop_grace_period"]
    assert 2 * int(to_end) < seconds


def test_the_daemon_outranks_workers_and_is_alone(
    manifests: dict[tuple[str, str], Any],
) -> None:
    """On a full node a worker makes room for it; a new one starts after the old one has ended."""
    daemon, worker = (
        workload(manifests, name)["template"]["spec"] for name in ("daemon", "worker")
    )
    ranks = [
        manifests["PriorityClass", pod["priorityClassName"]]["value"] for pod in (daemon, worker)
    ]
    assert ranks[0] > ranks[1]
    spec = workload(manifests, "daemon")
    assert (1, "Recreate") == (spec["replicas"], spec["strategy"]["type"])


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.*")), ids=lambda path: path.name)
def test_every_variable_is_a_setting_or_documented(file: Path) -> None:
    """Each name with our prefix is one of our settings; docs/how-to/run-on-many-machines.md explains the others."""
    settings = {f"BIDBEACON_{name.upper()}" for name in Settings.model_fields}
    page = (PROJECT_ROOT / "docs" / "how-to" / "run-on-many-machines.md").read_text()
    for name in set(_variables_in(file.read_text())):
        assert name in settings or f"`{name}`" in page, name


def _variables_in(text: str) -> Iterator[str]:
    yield from re.findall(r"\bBIDBEACON_[A-Z_]+[A-Z]\b", text)
    yield from re.findall(r"\$\{(\w+)", text)


def test_the_charts_processes_have_the_same_variables_and_files(
    manifests: dict[tuple[str, str], Any],
) -> None:
    """The values file gives the webserver what the manifests give it, in the same place."""
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())["dagsterWebserver"]
    secrets = {one["metadata"]["name"]: one for one in yaml.safe_load_all(SECRETS.read_text())}
    named = {one["name"] for one in values["env"]} - {"HOME"}
    for secret in values["envSecrets"]:
        named |= secrets[secret["name"]]["stringData"].keys()
    assert variables(manifests, "webserver") == named
    home = {one["name"]: one["value"] for one in values["env"]}["DAGSTER_HOME"]
    assert f"{home}/dagster.yaml" in {one["mountPath"] for one in values["volumeMounts"]}
