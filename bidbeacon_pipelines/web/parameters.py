"""HTTP parameters that several routes share, and the answers to wrong parameters."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator

from bidbeacon_pipelines.accounts.names import AmbiguousAccountError, BadAliasError
from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.accounts.rules import BadCadenceError, NothingToDoError
from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.problems.alerts import FindingIsOverError
from bidbeacon_pipelines.problems.explain import UnknownReportError
from bidbeacon_sessions.clock import read_day
from bidbeacon_sessions.filters import Value
from bidbeacon_sessions.server.answers import Parameters, RefusedError

_CORRECT = "Correct it, and send the request again."
_ANSWERS: Mapping[type[Exception], tuple[int, str]] = {
    UnknownAccountError: (404, "Use the name or key of an account from /api/accounts."),
    UnknownDatasetError: (404, "Use the name of a dataset, such as daily_targets."),
    UnknownReportError: (404, "Omit `report` to explain the window in the worst state."),
    FindingIsOverError: (404, "Home shows the current findings."),
    AmbiguousAccountError: (400, "Use a key, or a name with a country, as in Acme Merch · US."),
    BadAliasError: (400, _CORRECT),
    BadCadenceError: (400, _CORRECT),
}


@contextmanager
def refusing_errors() -> Iterator[None]:
    """Convert errors of the block that the user can correct to `RefusedError` with advice.

    Raises:
        RefusedError: The block raised an error that the user can correct.
    """
    try:
        yield
    except tuple(_ANSWERS) as error:
        kinds = type(error).mro()
        status, what_to_do = next(_ANSWERS[kind] for kind in kinds if kind in _ANSWERS)
        raise RefusedError(status, str(error), what_to_do) from error
    except NothingToDoError as error:
        raise RefusedError(409, str(error), error.what_to_do) from error


def _parse_day(value: object) -> object:
    try:
        return read_day(str(value))
    except ValueError:
        raise ValueError("expected a day like 2026-11-23") from None


Day = Annotated[date, BeforeValidator(_parse_day)]


class AccountParameters(Parameters):
    """The account that a request is about, by its name or key."""

    account: Value
