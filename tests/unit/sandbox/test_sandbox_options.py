"""How a sandbox is described on the command line, and what is said of mistakes."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.config import OptionError, parse_fault, read_config
from bidbeacon_pipelines.sandbox.faults import (
    FAULTS,
    BadRow,
    FaultName,
    FaultOptions,
    FaultRule,
    every_fault,
    options_of,
)


def test_a_bare_fault() -> None:
    """A fault's name alone is a rule that always strikes."""
    assert FaultRule(fault="throttle") == parse_fault("throttle")


def test_a_fault_with_everything() -> None:
    """Rule fields and options of the fault follow a colon, in any order."""
    text = "throttle:probability=0.1, retry_after=http-date,account=abc,operation=get_export,times=3,seconds=2.5"
    expected = FaultRule(
        fault="throttle",
        account="abc",
        operation="get_export",
        probability=0.1,
        times=3,
        options=FaultOptions(retry_after="http-date", seconds=2.5),
    )
    assert expected == parse_fault(text)


def test_kinds_are_joined_by_plus() -> None:
    """Several kinds of bad rows are joined by a plus sign."""
    rule = parse_fault("bad_rows:share=0.2,kinds=null_metric+wrong_type")
    assert (0.2, ("null_metric", "wrong_type")) == (rule.options.share, rule.options.kinds)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_can_be_written(fault: FaultName) -> None:
    """Each fault can be put in force by its name, and each of its options is one that there is."""
    assert fault == parse_fault(f"{fault}:probability=0.5").fault
    assert set(options_of(fault)) <= set(FaultOptions.model_fields)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("earthquake", ["no fault 'earthquake'", *FAULTS]),
        ("", ["no fault ''", "throttle"]),
        ("slow:status=500", ["slow has no option 'status'", "probability", "times", "seconds"]),
        ("redirect:hours=1", ["redirect has no option 'hours'", "location"]),
        ("throttle:retry_after=soon", ["retry_after", "'http-date'", "got 'soon'"]),
        ("throttle:probability=2", ["probability", "less than or equal to 1", "got '2'"]),
        ("throttle:operation=fly", ["operation", "'create_report'", "got 'fly'"]),
        ("throttle:times", ["times", "got ''"]),
        ("bad_rows:kinds=ugly", ["kinds", "got 'ugly'", *get_args(BadRow)]),
    ],
)
def test_mistakes_in_faults(text: str, parts: list[str]) -> None:
    """A mistake in a rule is answered with what is wrong and what there is."""
    with pytest.raises(OptionError) as error:
        parse_fault(text)
    assert [] == [part for part in parts if part not in str(error.value)]


def test_options_of_another_fault_are_refused() -> None:
    """A rule with an option that its fault doesn't read is refused, with those that it does."""
    with pytest.raises(ValueError, match="wrong_size has the options factor; got status"):
        FaultRule(fault="wrong_size", options=FaultOptions(status=500))
    with pytest.raises(ValueError, match="forbidden has no options; got seconds"):
        FaultRule(fault="forbidden", options=FaultOptions(seconds=1))


def test_rules_read_what_they_write() -> None:
    """A rule written out in full, defaults too, can be read again."""
    rules = every_fault(0.25)
    assert rules == tuple(FaultRule.model_validate_json(rule.model_dump_json()) for rule in rules)


def test_every_fault() -> None:
    """--fault-all is a rule for each fault there is; none keeps a report PENDING for ever."""
    rules = read_config(fault_all=0.1).faults
    assert list(FAULTS) == [rule.fault for rule in rules]
    assert {0.1} == {rule.probability for rule in rules}
    assert [600] == [rule.options.seconds for rule in rules if rule.fault == "report_pending"]


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_every_fault_needs_a_probability(probability: float) -> None:
    """--fault-all takes a probability."""
    with pytest.raises(OptionError, match="from 0 to 1"):
        read_config(fault_all=probability)


def test_rules_of_all_sources(tmp_path: Path) -> None:
    """Rules of flags come first, then every fault, then the file's."""
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"fault": "no_resign"}]))
    rules = read_config(faults=["slow", "throttle:times=1"], fault_all=0.5, faults_file=file).faults
    names = [rule.fault for rule in rules]
    assert ["slow", "throttle", *FAULTS, "no_resign"] == names


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("nothing", "is not JSON"),
        ('"slow"', "expected a rule"),
        ('[{"fault": "slow"}, {"fault": "x"}]', "There is no fault 'x'"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, content: str, part: str) -> None:
    """A faults file that can't be understood is named, with what is wrong in it."""
    file = tmp_path / "faults.json"
    file.write_text(content)
    with pytest.raises(OptionError, match=part) as error:
        read_config(faults_file=file)
    assert str(file) in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A faults file that isn't there is named."""
    with pytest.raises(OptionError, match=r"none\.json can't be read"):
        read_config(faults_file=tmp_path / "none.json")


def test_defaults_stay() -> None:
    """Options that aren't given leave the settings as they are."""
    assert SandboxConfig() == read_config(seed=None, rows_per_day=None, clock_rate=None)


def test_settings() -> None:
    """Settings are taken over, the clock's start as an instant with a zone, and frozen is rate 0."""
    config = read_config(
        seed=7, clock_start="2026-01-15T00:00:00Z", clock_rate=86_400, calls_per_second=5
    )
    assert (7, 86_400, 5) == (config.seed, config.clock_rate, config.calls_per_second)
    assert config.clock_start is not None
    assert "2026-01-15T00:00:00+00:00" == config.clock_start.isoformat()
    assert 0 == read_config(frozen=True, clock_rate=5).clock_rate


@pytest.mark.parametrize(
    "settings",
    [
        {"clock_start": "2026-01-15T00:00:00"},
        {"clock_start": "noon"},
        {"clock_rate": -1},
        {"accounts": 0},
    ],
)
def test_mistakes_in_settings(settings: dict[str, Any]) -> None:
    """A setting that can't be is named, with what came."""
    with pytest.raises(OptionError, match=next(iter(settings))) as error:
        read_config(**settings)
    assert repr(next(iter(settings.values()))) in str(error.value)


def test_any_other_setting() -> None:
    """Any setting can be given as name=value, and wins over its own flag; faults have their own flags."""
    config = read_config(seed=1, others=["seed=9", "url_seconds=1e6", "refusals=multi_status"])
    assert (9, 1e6, "multi_status") == (config.seed, config.url_seconds, config.refusals)
    for name in ("speed", "faults", "faults_file"):
        with pytest.raises(OptionError, match=f"no setting '{name}'. There are: seed, accounts"):
            read_config(others=[f"{name}=1"])
