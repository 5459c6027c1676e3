"""Findings of a probe: a verdict for each check, and the overrides that follow from it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.probe.shapes import field_name

_MOST_SHOWN: Final = 5
ISSUE: Final = "Attach the recording to an issue"


class Verdict(StrEnum):
    """The result of one check."""

    EXPECTED = "as expected"
    APPLIED = "applied"
    DIFFERS = "differs"
    UNCHECKED = "could not be checked"


@dataclass(frozen=True)
class Override:
    """A row for the table of overrides, with which the product works as Amazon does; of one ads account or its region."""

    dataset: str
    what: str
    value: str
    of_account: bool = False

    def command(self, region: str) -> str:
        """Return the command that stores it."""
        of = " --account NAME" if self.of_account else ""
        return f"bidbeacon contract set {region} {self.dataset} {self.what} {self.value}{of}"


@dataclass(frozen=True)
class Finding:
    """One check: what was checked, what came of it, and what to do.

    Attributes:
        found: Without ids, names and amounts, so that it may be recorded.
        amazon: Amazon's own words, for the terminal only.
        override: What `--apply` stores.
    """

    subject: str
    check: str
    verdict: Verdict
    found: str = ""
    to_do: str = ""
    amazon: str = ""
    override: Override | None = None


def judged(
    subject: str, check: str, differences: Iterable[str], *, found: str = "", to_do: str = ISSUE
) -> Finding:
    """Return that something differs if there are differences, else that all is as expected."""
    every = list(differences)
    if not every:
        return Finding(subject, check, Verdict.EXPECTED, found)
    more = [f"{len(every) - _MOST_SHOWN} more"] if len(every) > _MOST_SHOWN else []
    text = "; ".join([*every[:_MOST_SHOWN], *more])
    return Finding(subject, check, Verdict.DIFFERS, text, f"{to_do}.")


def refused(subject: str, check: str, error: AdsApiError, *, to_do: str = "") -> Finding:
    """Return that Amazon refuses something, with its code; its words are not for the recording."""
    verdict = Verdict.DIFFERS if to_do else Verdict.UNCHECKED
    return Finding(subject, check, verdict, refusal_of(error), to_do, amazon=error.reason)


def refusal_of(error: AdsApiError) -> str:
    """Return what went wrong in a few words that name nobody."""
    code = "no code" if error.code is None else f"code {_code(error.code)}"
    if error.status is None:
        return f"no answer ({error.cause_code})"
    return f"refused ({error.status}, {code})"


def _code(code: str) -> str:
    return code if code.isdecimal() and len(code) <= len("400006") else field_name(code)
