"""Reads how a sandbox is wanted on the command line; what can't be understood is answered with what there is."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from bidbeacon_pipelines.sandbox.config import SandboxConfig
from bidbeacon_pipelines.sandbox.errors import OptionError
from bidbeacon_pipelines.sandbox.fault_rules import (
    FAULTS,
    BadRow,
    FaultOptions,
    FaultRule,
    every_fault,
    options_of,
)

_RULES = TypeAdapter(tuple[FaultRule, ...])
_SETTINGS = tuple(name for name in SandboxConfig.model_fields if not name.startswith("faults"))
_RULE_FIELDS = tuple(name for name in FaultRule.model_fields if name not in {"fault", "options"})


def read_config(
    *,
    faults: Iterable[str] = (),
    fault_all: float | None = None,
    faults_file: Path | None = None,
    frozen: bool = False,
    others: Iterable[str] = (),
    **settings: Any,
) -> SandboxConfig:
    """Make the configuration of a sandbox from options as they were typed; those that are None keep their default.

    Args:
        faults: Rules as `parse_fault` reads them; they come first, then every fault, then the file's rules.
        fault_all: The probability of every fault there is.
        faults_file: A JSON file with a list of rules.
        frozen: Whether the clock stands still.
        others: Further settings as `name=value`; they win over the rest.
        settings: Other fields of `SandboxConfig`, values or their texts.

    Raises:
        OptionError: one of them can't be understood.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    rules = [parse_fault(text) for text in faults]
    if fault_all is not None:
        rules += _every_fault(fault_all)
    if faults_file is not None:
        rules += _read_file(faults_file)
    if frozen:
        given["clock_rate"] = 0
    given |= dict(map(_setting, others))
    try:
        return SandboxConfig.model_validate(given | {"faults": tuple(rules)})
    except ValidationError as error:
        raise OptionError(_sentence(error, "the sandbox")) from error


def parse_fault(text: str) -> FaultRule:
    """Read a rule such as `throttle` or `throttle:probability=0.1,retry_after=http-date,times=3`.

    Several `kinds` are joined by `+`. Values with commas need a JSON file.

    Raises:
        OptionError: the fault or an option is unknown, or a value is none of the option's.
    """
    name, _, rest = text.partition(":")
    fault = next((fault for fault in FAULTS if fault == name.strip()), None)
    if fault is None:
        raise OptionError(f"There is no fault {name.strip()!r}. There are: {', '.join(FAULTS)}")
    rule: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in _pairs(rest):
        if key in _RULE_FIELDS:
            rule[key] = value
        elif key in options_of(fault):
            options[key] = value.split("+") if key == "kinds" else value
        else:
            there_are = ", ".join((*_RULE_FIELDS, *options_of(fault)))
            raise OptionError(f"{fault} has no option {key!r}. There are: {there_are}")
    try:
        return FaultRule(fault=fault, **rule, options=FaultOptions(**options))
    except ValidationError as error:
        raise OptionError(_sentence(error, f"--fault {text}")) from error


def _setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if name not in _SETTINGS:
        raise OptionError(f"There is no setting {name!r}. There are: {', '.join(_SETTINGS)}")
    return name, value


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _every_fault(probability: float) -> tuple[FaultRule, ...]:
    if not 0 <= probability <= 1:
        raise OptionError(f"--fault-all is a probability from 0 to 1; got {probability}")
    return every_fault(probability)


def _read_file(path: Path) -> tuple[FaultRule, ...]:
    try:
        return _RULES.validate_python(json.loads(path.read_text()))
    except OSError as error:
        raise OptionError(f"{path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        raise OptionError(_sentence(error, str(path))) from error
    except ValueError as error:
        raise OptionError(f"{path} is not JSON: {error}") from error


def _sentence(error: ValidationError, subject: str) -> str:
    """Say the first thing that is wrong, where, and what came."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    there_are = f". There are: {', '.join(get_args(BadRow))}" if "kinds" in first["loc"] else ""
    return f"{subject}: {place}: {first['msg']}; got {first['input']!r}{there_are}"
