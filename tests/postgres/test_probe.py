"""`bidbeacon probe` against the sandbox over HTTP, on a real database.

The clock of the probe is the sandbox's, which moves on whenever it waits.
"""

import json
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from bidbeacon_pipelines.accounts.queries import read_ads_account
from bidbeacon_pipelines.amazon_ads.reports import Report
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.cli import probe as probe_command
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, DATASETS, DatasetReport
from bidbeacon_pipelines.probe.amazon import Amazon
from bidbeacon_pipelines.requests.gate import enter_gate, hold_gate
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import SandboxHandle, running_sandbox
from tests.support.commands import run_command, unwrapped
from tests.support.reading import call, column, tuples, value
from tests.support.world import NOON, World

REPORTS = [report for dataset in DATASETS.values() for report in dataset.reports]
RunProbe = Callable[..., Result]
TODAY = NOON.date()
ONE = ("--yes", "--dataset", "hourly_targets")
"""A probe of one report."""
INSTANT = SandboxConfig(rows_per_day=12, report_seconds=0, export_seconds=0)
OVERRIDES = "SELECT subject, value FROM registry_overrides WHERE dataset = :dataset"
CREATES = "SELECT status FROM api_calls WHERE call = 'create_report' ORDER BY id"
SHARED = """
    SELECT (SELECT count(*) FROM report_gates),
           (SELECT count(*) FROM rate_limits WHERE call_class = 'create')"""
NAMES = """
    SELECT unnest(array_agg(name) || (SELECT array_agg(account_id || name) FROM ads_accounts)
                  || (SELECT array_agg(profile_id) FROM advertiser_accounts)
                  || (SELECT array_agg(keyword) FROM targets)) FROM campaigns"""


@pytest.fixture
def sandbox() -> Iterator[SandboxHandle]:
    """Yield a sandbox that makes reports at once, with a clock that stands still until the probe waits."""
    stands_still = {"clock_start": NOON, "clock_frozen": True}
    with running_sandbox(INSTANT.model_copy(update=stands_still)) as handle:
        yield handle


@pytest.fixture
def probe(
    world: World, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunProbe:
    """Run `bidbeacon probe` in a folder of its own, by the sandbox's clock."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    get_settings.cache_clear()

    def run(*options: str, answer: str = "", **tools: Any) -> Result:
        context = replace(world.context, **tools)
        opened = nullcontext(context)
        monkeypatch.setattr(probe_command, "open_job_context", lambda *_, **__: opened)
        return CliRunner().invoke(app, ["probe", *options], input=answer, env={"COLUMNS": "200"})

    return run


def findings_of(done: Result) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the findings of a probe with `--json`, by subject and check; several of one check are joined."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in json.loads(done.stdout):
        same = found.setdefault((one["subject"], one["check"]), one)
        if same is not one:
            same["found"] += f"; {one['found']}"
    return found


def verdicts(done: Result, *chosen: str) -> dict[tuple[str, str], str]:
    """Return what was found of the checks with these verdicts, but for reports without rows."""
    return {
        key: one["found"]
        for key, one in findings_of(done).items()
        if one["verdict"] in chosen and one["found"] != "there are no rows"
    }


def creates(world: World) -> list[int]:
    """Return the status of each create of a report."""
    return [call.status for call in world.sandbox.state.ledger.calls("create_report")]


def test_nothing_differs_where_amazon_keeps_to_the_contract(
    probe: RunProbe, world: World, tmp_path: Path
) -> None:
    """Two of each report, four exports, as it says before, and portfolios; 24 months of days and a field are refused; the recording names nobody."""
    world.sync_entities(world.account())
    world.sandbox.state.ledger.clear()
    world.advance(hours=2)  # the token ends, so that another one is asked for
    done = probe("--yes", "--json")
    assert (0, {}) == (done.exit_code, verdicts(done, "differs", "could not be checked")), done
    of_days = [report for report in REPORTS if not report.dataset.is_hourly]
    assert {207: 2 * len(REPORTS), 400: len(of_days) + 1} == Counter(creates(world))
    assert f"creates {2 * len(REPORTS)} reports and 4 exports for" in unwrapped(done.stderr)
    assert 4 == len(world.sandbox.state.ledger.calls("create_export"))
    found = findings_of(done)
    assert "456 days back" == found["daily_targets SP+SB+SD", "history"]["found"]
    assert "120 days in one report" == found["daily_targets SP+SB+SD", "period"]["found"]
    assert "CA, US" == found["countries", "rows"]["found"]
    assert "4 rows" == found["portfolios", "rows"]["found"]
    [file] = tmp_path.glob("bidbeacon-probe-*.json")
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    recording = file.read_text()
    names = [name for name in column(world.engine, NAMES) if len(name or "") > 8]
    assert [] == [name for name in names if name in recording]
    assert [] == re.findall(r"\d{5,}|amzn1|https?:", recording)
    assert '"[].metric.clicks": "whole number"' in recording


def test_no_piece_of_a_secret_is_in_what_a_probe_tells(
    probe: RunProbe, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as a key, a word or a code, nor across the place where a text is cut: not in the recording and not on the terminal."""
    secret = "Zk_vTq-muRsQ_uT-LwVxB_nC-pY"
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", secret)
    get_settings.cache_clear()
    get_settings()
    keys = {secret: 1, "timezone": secret, "currencyCode": secret}
    world.break_with("answer", call="list_profiles", add=keys)
    world.break_with("answer", call="create_export", add=keys | {"status": secret})
    world.break_with("refuse", call="retrieve_report", code=secret, message="x" * 480 + secret)
    world.advance(hours=2)
    done = probe(*ONE)
    [file] = tmp_path.glob("bidbeacon-probe-*.json")
    told = file.read_text() + done.output
    assert [] == [at for at in range(len(secret) - 5) if secret[at : at + 6] in told]
    assert r"got '\u2022\u2022\u2022'" in file.read_text()


DEVIATIONS: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    ("daily_targets", "names"): (
        {"kind": "refuse", "reason": "old_names"},
        "campaign.country is campaignCountry.value",
    ),
    ("daily_targets SP", "history"): (
        {"kind": "history", "days": 300},
        "300 days back, expected 456",
    ),
    ("daily_targets SP", "period"): (
        {"kind": "refuse", "reason": "too_large", "days": 60},
        "60 days in one report, expected 120",
    ),
    ("daily_targets SP+SB+SD", "grouping"): (
        {"kind": "refuse", "reason": "mixed_products"},
        "refused in one report",
    ),
    ("hourly_targets SP", "rows"): (
        {
            "kind": "rows",
            "dataset": "target_hourly",
            "drop": ["metric.clicks"],
            "add": {"metric.taps": 1},
        },
        "metric.taps: unknown",
    ),
    ("hourly_products SP", "rows"): (
        {"kind": "rows", "dataset": "ad_hourly", "write": {"metric.impressions": "list"}},
        "metric.impressions: expected a whole number",
    ),
    ("daily_targets SP", "filter"): (
        {"kind": "rows", "dataset": "target_daily", "change": "all_products"},
        "rows of Sponsored Brands",
    ),
    ("countries", "rows"): (
        {"kind": "rows", "change": "no_country", "country": "CA"},
        "no report has rows of CA",
    ),
    ("profiles", "answer"): (
        {
            "kind": "answer",
            "call": "list_profiles",
            "drop": ["timezone"],
            "add": {"timeZone": "America/Los_Angeles"},
        },
        "[].timeZone: unknown",
    ),
    ("ads", "rows"): ({"kind": "rows", "of": "ads", "drop": ["adType"]}, "adType: missing"),
}
"""Ten deviations: where each is named, the rule that makes it, and what is said of it."""


@pytest.mark.datasets("daily_targets", "hourly_targets", "hourly_products")
def test_ten_deviations_are_named_and_applied_as_far_as_possible(
    probe: RunProbe, world: World
) -> None:
    """Another name, a shorter history, a smaller period and another grouping are stored; then days are loaded by them."""
    for rule, _ in DEVIATIONS.values():
        world.break_with(**rule)
    done = probe("--yes", "--json", "--apply")
    found = verdicts(done, "differs", "applied")
    assert 1 == done.exit_code  # six of them can't be applied
    named = {key: said for key, (_, said) in DEVIATIONS.items() if said in found.get(key, "")}
    assert DEVIATIONS.keys() == named.keys(), found
    by_product = {f"history:{name}": "300" for name in ("SP", "SB", "SD")}
    by_product |= {f"period:{name}": "60" for name in ("SP", "SB", "SD")}
    by_dataset = {"grouping": "SP,SB,SD", "field:campaign.country": "campaignCountry.value"}
    stored = tuples(world.engine, OVERRIDES, dataset=DAILY_TARGETS.name)
    assert by_product | by_dataset == dict(stored)
    applied = {check for _, check in verdicts(done, "applied")}
    assert {"period", "history", "grouping", "names"} == applied

    account, day = world.account(), TODAY - timedelta(days=3)
    world.sandbox.state.ledger.clear()
    world.load(account, day)
    statuses = {one.report: one.status for one in world.windows(account, day)}
    assert dict.fromkeys(("SP", "SB", "SD"), "loaded") == statuses
    assert {207} == set(creates(world))
    world.plan(account)
    planned = """SELECT min(start_date), max(end_date - start_date) + 1 FROM report_requests
                  WHERE dataset = 'daily_targets'"""
    [(first, days)] = tuples(world.engine, planned)
    assert (True, 60) == (first >= TODAY - timedelta(days=299), days)


TARGETS = ("--yes", "--dataset", "daily_targets", "--json")
HISTORY = ("daily_targets SP+SB+SD", "history")


def test_a_longer_history_is_applied(probe: RunProbe, world: World) -> None:
    """It is believed because rows came; a second probe finds nothing more, and the next refresh makes the windows of the older days."""
    world.break_with("history", days=730)
    done = probe(*TARGETS, "--apply")
    applied = {HISTORY: "730 days back, expected 456"}
    assert (0, applied) == (done.exit_code, verdicts(done, "applied"))
    stored = tuples(world.engine, OVERRIDES, dataset="daily_targets")
    assert [("history:SP+SB+SD", "730")] == stored
    assert {} == verdicts(probe(*TARGETS), "differs")
    world.plan(world.account())
    oldest = """SELECT min(window_date) FROM report_windows
                 WHERE dataset = 'daily_targets' AND next_refresh_at IS NOT NULL"""
    assert TODAY - timedelta(days=729) == value(world.engine, oldest)


@pytest.mark.parametrize(
    ("days", "verdict", "found"),
    [
        (300, "could not be checked", "no rows come from 456 days back"),
        (400, "could not be checked", "rows come from 400 days back only, expected 456"),
        (456, "as expected", "456 days back"),
    ],
)
def test_an_empty_success_shows_no_history(
    probe: RunProbe, world: World, days: int, verdict: str, found: str
) -> None:
    """Neither a shorter one nor a longer one, so nothing is stored: the account may have had no campaigns then."""
    world.break_with("history", days=days, empty=True)
    done = probe(*TARGETS, "--apply")
    assert (0, found) == (done.exit_code, verdicts(done, verdict)[HISTORY])
    assert [] == tuples(world.engine, OVERRIDES, dataset="daily_targets")


def test_probe_by_its_own_clock_shares_limits_gate_and_log(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person runs it: nothing of the process is simulated."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    with running_sandbox(INSTANT) as sandbox:
        monkeypatch.setenv("BIDBEACON_SANDBOX_URL", sandbox.url)
        get_settings.cache_clear()
        found = findings_of(run_command("probe", *ONE, "--json", code=None))
    assert "13 days back" == found["hourly_targets SP", "history"]["found"]
    assert "as expected" == found["unknown field", "refusal"]["verdict"]
    assert [207, 207, 400] == column(engine, CREATES)
    assert [(1, 1)] == tuples(engine, SHARED)


def test_table_says_what_to_do(probe: RunProbe, world: World, tmp_path: Path) -> None:
    """Each difference with the command that stores it, or what the product does about such rows; the recording is private."""
    (tmp_path / "mine.json").touch(mode=0o644)
    world.break_with("refuse", reason="old_names")
    world.break_with("rows", drop=["metric.clicks"])
    done = probe(*ONE, "--record", "mine.json")
    assert 1 == done.exit_code
    text = unwrapped(done.stdout)
    assert "bidbeacon contract set NA hourly_targets field:campaign.country" in text
    assert re.search(r"metric.clicks: missing \(\d+ of \d+ rows\)", text)
    assert re.search(r"→ BidBeacon would set (\d+) of \1 rows aside", text)
    assert "The recording is in mine.json." in done.stderr
    assert 0o600 == stat.S_IMODE((tmp_path / "mine.json").stat().st_mode)
    assert [] == tuples(world.engine, OVERRIDES, dataset="hourly_targets")


def test_confirmation_says_what_it_takes(probe: RunProbe, world: World, tmp_path: Path) -> None:
    """Whoever declines has created nothing, and has no file."""
    before = len(creates(world))
    done = probe(answer="n\n")
    said = unwrapped(done.stderr)
    minutes = sum(2 * report.dataset.usual_latency // timedelta(minutes=1) for report in REPORTS)
    assert f"creates {2 * len(REPORTS)} reports and 4 exports for" in said
    assert f"usually takes {minutes} minutes" in said
    assert "costs no money and changes nothing at Amazon" in said
    assert (1, before, []) == (done.exit_code, len(creates(world)), [*tmp_path.glob("*.json")])
    assert 0 == probe("--dataset", "hourly_targets", answer="y\n").exit_code


def test_throttled_creates_close_the_gate_of_all_processes(probe: RunProbe, world: World) -> None:
    """The probe waits as the product does, and goes on."""
    world.break_with("answer", "create_report", status=429, times=2)
    done = probe(*ONE, "--json")
    assert (0, [429, 429, 207, 207, 400]) == (done.exit_code, creates(world))
    assert "Amazon throttles reports (429)" in done.stderr
    assert [(2, 0)] == tuples(world.engine, "SELECT refused_count, refusals FROM report_gates")


def test_report_of_a_probe_keeps_the_last_place_at_the_gate(world: World) -> None:
    """Until then nobody else creates one; where there is another place, everybody may."""
    ads_account = read_ads_account(world.engine, world.account().account_key)

    def may_enter() -> bool:
        return call(world.engine, enter_gate, ads_account, world.context.now(), first_limit=1)

    def hold() -> None:
        now = world.context.now()
        call(world.engine, hold_gate, ads_account, now, until=now + timedelta(minutes=1))

    assert may_enter()
    hold()
    world.advance(seconds=59)
    assert not may_enter()
    world.advance(seconds=1)
    assert may_enter()
    world.execute("UPDATE report_gates SET in_flight_limit = 2")
    hold()
    world.advance(seconds=1)
    assert may_enter()


def test_account_that_may_not_be_reported_on(probe: RunProbe, world: World) -> None:
    """It is said with what to do, after one create; the rest was not asked."""
    world.break_with("refuse", reason="no_rights")
    done = probe("--yes", "--json")
    refused = findings_of(done)["daily_campaigns SP+SB+SD", "request"]
    assert (1, 1) == (done.exit_code, len(creates(world)))
    assert "refused (403, code FORBIDDEN)" == refused["found"]
    assert refused["to_do"].startswith("Grant the authorizing user the rights")
    assert ("daily_targets SP+SB+SD", "everything") in verdicts(done, "could not be checked")


def test_report_that_fails_could_not_be_checked(probe: RunProbe, world: World) -> None:
    """It is no difference: Amazon may make it the next time."""
    world.break_with("report_ends", status="FAILED", times=1)
    world.break_with("export_ends", times=1)
    done = probe(*ONE, "--json")
    unchecked = verdicts(done, "could not be checked")
    assert "the report ended with status FAILED" == unchecked["hourly_targets SP", "rows"]
    assert "the export ended with status FAILED" == unchecked["campaigns", "rows"]
    assert 0 == done.exit_code


def test_report_of_a_longer_history_that_fails_is_one_check(
    probe: RunProbe, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """History and longest period are judged all the same."""
    world.break_with("history", days=730)
    find_ended = Amazon.find_ended

    def find(amazon: Amazon, report: DatasetReport, start: date, end: date) -> Report | None:
        if start == TODAY - timedelta(days=730):
            world.break_with("report_ends", status="FAILED", times=1)
        return find_ended(amazon, report, start, end)

    monkeypatch.setattr(Amazon, "find_ended", find)
    done, subject = probe(*TARGETS), HISTORY[0]
    unchecked = verdicts(done, "could not be checked").items()
    own = {check: found for (of, check), found in unchecked if of == subject}
    assert {"longer history": "the report ended with status FAILED"} == own
    assert {(subject, "period"), (subject, "history")} <= set(verdicts(done, "as expected"))


def test_refusal_that_the_product_cannot_learn_from(probe: RunProbe, world: World) -> None:
    """A field that there isn't is accepted."""
    world.break_with("refuse", ignore_unknown=True)
    done = probe(*ONE, "--json")
    assert {("unknown field", "refusal"): "Amazon accepts the unknown field"} == verdicts(
        done, "differs"
    )


def test_interrupted_probe_prints_what_it_found(
    probe: RunProbe, world: World, tmp_path: Path
) -> None:
    """Its session is cancelled, and the recording is written."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    world.break_with("report_ends", status="COMPLETED", seconds=10**6)
    done = probe(*ONE, "--json", "--record", "mine.json", sleep=interrupt)
    assert 130 == done.exit_code
    assert "interrupted" == findings_of(done)["countries", "everything"]["found"]
    assert "as expected" == findings_of(done)["accounts", "answer"]["verdict"]
    assert json.loads((tmp_path / "mine.json").read_text())["files"]["campaigns"]["rows"] > 0
    ended = "SELECT status FROM job_sessions WHERE job_name = 'probe'"
    assert "cancelled" == value(world.engine, ended)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--account", "nobody"), "No account 'nobody'"),
        (("--record", "missing/file.json", "--yes"), "missing/file.json can't be written"),
        (("--day", "yesterday"), "expected a day like 2026-11-23"),
        (("--dataset", "weather"), "expected a dataset (daily_campaigns,"),
    ],
)
def test_mistakes_are_exit_code_2(
    probe: RunProbe, world: World, options: tuple[str, ...], sentence: str
) -> None:
    """An account, a file, a day or a dataset that there isn't: no report is created."""
    done = probe(*options)
    assert (2, []) == (done.exit_code, creates(world))
    assert sentence in unwrapped(done.stderr)


def test_without_a_database_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, probe: RunProbe, world: World
) -> None:
    """Limits and the gate are shared through it."""
    monkeypatch.delenv("BIDBEACON_DATABASE_URL")
    get_settings.cache_clear()
    done = probe("--yes")
    assert (2, []) == (done.exit_code, creates(world))
    assert "No database is running" in done.stderr
