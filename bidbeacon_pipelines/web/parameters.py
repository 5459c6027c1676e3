"""Parameters of requests, and fields of their bodies, that several routes share."""

from datetime import date
from typing import Annotated

from pydantic import BeforeValidator

from bidbeacon_sessions.clock import read_day
from bidbeacon_sessions.filters import Value
from bidbeacon_sessions.server.answers import Parameters


def _parse_day(value: object) -> object:
    try:
        return read_day(str(value))
    except ValueError:
        raise ValueError("expected a day like 2026-11-23") from None


Day = Annotated[date, BeforeValidator(_parse_day)]


class AccountParameters(Parameters):
    """The account that is meant, by its name or key."""

    account: Value
