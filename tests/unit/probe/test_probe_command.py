"""`bidbeacon probe` as a person runs it, without any database."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bidbeacon_pipelines.amazon_ads import client
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimits
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.probe.expectations import report_checks
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import running_sandbox
from tests.rules import rule

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "bidbeacon_pipelines")
FAST: dict[str, Any] = {"report_seconds": 0, "export_seconds": 0, "rows_per_day": 30}
PENDING = rule("report_ends", "create_report", status="COMPLETED", seconds=10**6)
RunProbe = Callable[..., Result]


def environment(folder: Path, url: str) -> dict[str, str]:
    """Return the settings of a probe of the sandbox at an address: they name no database."""
    return {
        "BIDBEACON_HOME": str(folder / "home"),
        "BIDBEACON_SANDBOX_PORT": url.rpartition(":")[2],
        "BIDBEACON_REPORT_POLL_SECONDS": "1",
        "COLUMNS": "200",
    }


@pytest.fixture
def run_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProbe:
    """Run `bidbeacon probe` in this process and a folder of its own, against the sandbox at an address.

    It pauses for no rate limit: half a second before each of some twenty reports would make up most
    of these tests' time.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "RateLimits", lambda now: RateLimits(0, now))

    def run(url: str, *options: str) -> Result:
        get_settings.cache_clear()
        return CliRunner().invoke(app, ["probe", *options], env=environment(tmp_path, url))

    return run


def test_an_honest_sandbox_is_exit_code_0(
    run_probe: RunProbe, tmp_path: Path, busy: dict[str, Any], busy_day: str
) -> None:
    """All is as expected, the recording has a name of its own and is private, and nothing else is written."""
    with running_sandbox(SandboxConfig(**(FAST | busy))) as sandbox:
        done = run_probe(sandbox.url, "--day", busy_day)
    assert (0, True) == (done.exit_code, "0 differs, 0 could not be checked." in done.stdout), (
        done.output
    )
    [file] = tmp_path.iterdir()
    assert re.fullmatch(r"bidbeacon-probe-\d{8}-\d{6}\.json", file.name)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert f"The redacted recording is in {file.name}." in done.stderr


def test_a_difference_is_exit_code_1(
    run_probe: RunProbe, tmp_path: Path, busy: dict[str, Any], busy_day: str
) -> None:
    """A difference and what to do about it are printed."""
    config = SandboxConfig(
        **(FAST | busy),
        rules=(
            rule("rows", rename={"metric.clicks": "metric.clickCount"}),
            rule("answer", "list_profiles", words={"countryCode": {"UK": "GB"}}),
        ),
    )
    with running_sandbox(config) as sandbox:
        first = run_probe(sandbox.url, "--record", "first.json", "--day", busy_day)
    assert 1 == first.exit_code, first.stderr
    assert "missing: metric.clicks; unknown: metric.clickCount" in first.stdout
    assert "→ A new field is ignored" in first.stdout


def test_an_account_by_name_and_json(
    run_probe: RunProbe, busy: dict[str, Any], busy_day: str
) -> None:
    """`--account` takes a name, and `--json` prints one object a check."""
    with running_sandbox(SandboxConfig(**(FAST | busy))) as sandbox:
        done = run_probe(
            sandbox.url, "--account", "株式会社さくら商店", "--day", busy_day, "--json"
        )
    findings = {(one["subject"], one["check"]): one for one in json.loads(done.stdout)}
    assert 0 == done.exit_code, done.stderr
    assert "JP" == findings["reports", "countries"]["found"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--account", "nobody"),
            "--account: Expected one ads account called 'nobody', got: 0. Listed are: ",
        ),
        (("--record", "missing/file.json"), "--record: missing/file.json can't be written"),
        (("--day", "yesterday"), "does not match the format"),
    ],
)
def test_mistakes_are_exit_code_2(
    run_probe: RunProbe, options: tuple[str, ...], sentence: str
) -> None:
    """An account that is not listed, a place that can't be written, a day that is none."""
    with running_sandbox(SandboxConfig(**FAST)) as sandbox:
        done = run_probe(sandbox.url, *options)
        creates = sandbox.state.ledger.calls("create_report")
    assert (2, []) == (done.exit_code, creates)
    assert sentence in done.stderr


@pytest.mark.parametrize("options", [(), ("--account", "nobody")])
def test_without_an_account_is_exit_code_1(run_probe: RunProbe, options: tuple[str, ...]) -> None:
    """Where Amazon refuses the credentials, everything that was not asked says so; no account is blamed."""
    struck = rule("token", what="revoked")
    with running_sandbox(SandboxConfig(**FAST, rules=(struck,))) as sandbox:
        done = run_probe(sandbox.url, *options)
    assert 1 == done.exit_code
    assert "refused (400, invalid_grant)" in done.stdout
    assert "0 differs" in done.stdout


def test_incomplete_credentials_leave_no_file_behind(
    run_probe: RunProbe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a secret nothing is asked, and the line says what to set."""
    monkeypatch.setenv("BIDBEACON_ADS_API_CLIENT_ID", "amzn1.application-oa2-client.1")
    done = run_probe("http://127.0.0.1:3040")
    assert (1, []) == (done.exit_code, list(tmp_path.iterdir()))
    assert "BIDBEACON_ADS_API_CLIENT_ID, …_CLIENT_SECRET and …_REFRESH_TOKEN" in done.stderr


def test_an_interrupt_prints_what_was_found(tmp_path: Path) -> None:
    """Ctrl-C while a report is pending ends with 130, a table, a recording, and no traceback."""
    with running_sandbox(SandboxConfig(**FAST, rules=(PENDING,))) as sandbox:
        command = [*COMMAND, "probe", "--record", "recording.json"]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=os.environ | environment(tmp_path, sandbox.url) | {"PYTHONPATH": str(ROOT)},
            text=True,
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "not ready" in line:
                    break
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=240)
    assert 130 == process.returncode
    assert re.search(r"accounts +as expected +status, fields, values", out)
    assert re.search(rf"{report_checks()[1].name} +could not be checked +request +interrupted", out)
    assert "Traceback" not in err
    assert json.loads((tmp_path / "recording.json").read_text())["exchanges"]
