"""The output of a probe: shapes of answers without their values, and comparisons."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_sessions.masking import mask_text

EXPECTED: Final = "as expected"
APPLIED: Final = "applied"
DIFFERS: Final = "differs"
UNCHECKED: Final = "could not be checked"
ISSUE: Final = "Attach the recording to an issue"
_MOST_SHOWN: Final = 5
Shape = dict[str, set[str]]
"""The kinds of values (text, null, …) by JSON path, such as `adsAccounts.[].status`."""

_KINDS: Final = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    int: "whole number",
    Decimal: "number with a point",
    dict: "empty object",
    list: "empty list",
}
_FIELD: Final = re.compile(r"(?!.*\d{4})[A-Za-z_][\w.-]{0,60}", re.ASCII)
_DEEPEST: Final = 12


def field_name(key: str) -> str:
    """Return a key if it is a field's name, or `…` if it may be a value such as an id."""
    return key if _FIELD.fullmatch(key) and mask_text(key) == key else "…"


def add_to(shape: Shape, value: Any) -> None:
    """Add the JSON paths of a value, and the kind (text, null, …) at each path, to a shape."""
    for place, kind in _leaves(value, "", 0):
        shape.setdefault(place, set()).add(kind)


def as_json(shape: Shape) -> dict[str, str]:
    """Return a shape (the kinds of values at each JSON path) as data for JSON."""
    return {place: " | ".join(sorted(kinds)) for place, kinds in sorted(shape.items())}


def _leaves(value: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{field_name(key)}".lstrip("."), depth + 1)
    elif isinstance(value, list) and value and depth < _DEEPEST:
        for inner in value:
            yield from _leaves(inner, f"{place}.[]".lstrip("."), depth + 1)
    else:
        yield place or "the answer", _kind_of(value)


def _kind_of(value: Any) -> str:
    if isinstance(value, str) and value.isdecimal():
        return "digits as text"
    if isinstance(value, str) and not value:
        return "empty text"
    return _KINDS.get(type(value), type(value).__name__)


@dataclass(frozen=True)
class Override:
    """An override of the contract, for one ads account or its region."""

    dataset: str
    subject: str
    value: str
    of_account: bool = False

    def command(self, region: str) -> str:
        """Return the CLI command that stores the override."""
        of = " --account NAME" if self.of_account else ""
        return f"bidbeacon contract set {region} {self.dataset} {self.subject} {self.value}{of}"


@dataclass(frozen=True)
class Comparison:
    """The result of one check, and what to do.

    Attributes:
        verdict: As expected, applied, differs, or could not be checked.
        found: What was found, without ids, names and amounts, so that it may be recorded.
        amazon: Amazon's own message, which is shown in the terminal only.
        override: The override that `--apply` stores.
    """

    subject: str
    check: str
    verdict: str
    found: str = ""
    to_do: str = ""
    amazon: str = ""
    override: Override | None = None


def compared(
    subject: str, check: str, *differences: str, found: str = "", to_do: str = ISSUE
) -> Comparison:
    """Return the result of a check: the differences, or 'as expected' if there are none.

    The result shows `to_do` if there are differences, otherwise `found`.
    """
    if not differences:
        return Comparison(subject, check, EXPECTED, found)
    left = len(differences) - _MOST_SHOWN
    text = "; ".join([*differences[:_MOST_SHOWN], *([f"{left} more"] if left > 0 else [])])
    return Comparison(subject, check, DIFFERS, text, f"{to_do}.")


def refusal_of(error: AdsApiError) -> str:
    """Return a short description of an error, without ids and names."""
    if error.status is None:
        return f"no answer ({error.cause_code})"
    code = error.code or ""
    is_number = code.isdecimal() and len(code) <= len("400006")
    shown = f"code {code if is_number else field_name(code)}" if code else "no code"
    return f"refused ({error.status}, {shown})"
