"""The filter of sessions for lists, figures, stream, page and command line."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from bidbeacon_sessions.clock import DAYS_AGO, parse_duration, read_day, read_instant
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.sentences import did_you_mean
from bidbeacon_sessions.tables import SESSION_OUTCOMES, SESSION_STATUSES

LONGEST_VALUE = 200


def _parse_instant(value: object) -> object:
    return read_instant(value) if isinstance(value, str) else value


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("expected text without NUL")
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
"""Any text that PostgreSQL can store."""
Value = Annotated[str, Field(min_length=1, max_length=LONGEST_VALUE), AfterValidator(_without_nul)]
Instant = Annotated[AwareDatetime, BeforeValidator(_parse_instant)]


def expectation_of(problem: Mapping[str, Any]) -> str:
    """Return what pydantic expected instead of an invalid value, for a message to users."""
    message: str = problem["msg"].removeprefix("Value error, ")
    return re.sub(r"^\w+ should (be|have)", "expected", message)


class SessionFilter(BaseModel):
    """The criteria that sessions must match; a criterion that is None is ignored.

    Attributes:
        account: an account's key or name, or a part of one. It must match the session's account
            or a reference of an action. If `dataset` or `window` is given too, one reference must
            match all that are given.
        outcome: the session's outcome; if `account` is given, the outcome for that account.
        type: the session has an action of this type.
        since: the session started at or after this instant.
        before: the session started before this instant.
        text: words, or beginnings of words, in the session or in one of its actions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Value | None = None
    account: Value | None = None
    status: Literal["running", "succeeded", "failed", "cancelled", "crashed"] | None = None
    outcome: Literal["ok", "warnings", "problems"] | None = None
    type: Value | None = None
    dataset: Value | None = None
    window: Value | None = None
    run: Value | None = None
    since: Instant | None = None
    before: Instant | None = None
    text: Value | None = None

    def without(self, *names: str) -> "SessionFilter":
        """Return a copy of the filter without the given criteria."""
        return SessionFilter.model_construct(
            **{name: value for name, value in self if name not in names}
        )


class SessionPage(SessionFilter):
    """A filter with a page: at most `limit` sessions older than the session `older_than`."""

    older_than: UUID | None = None
    limit: int = Field(50, ge=1, le=200)


_NAMES = tuple(name for name in SessionFilter.model_fields if name != "text")
_WORDS: Mapping[str, Iterable[str]] = {
    "status": SESSION_STATUSES,
    "outcome": SESSION_OUTCOMES,
    "since": DAYS_AGO,
    "before": DAYS_AGO,
}
"""The words that some terms accept."""


def parse_terms(terms: Iterable[str], now: datetime) -> SessionFilter:
    """Parse a filter as written on the page: terms such as `status:failed`, and words.

    `since:` and `before:` take an instant, a day, `today`, `yesterday`, or a duration before `now`
    such as `2h`. Instants and days without a time zone are in UTC.

    Raises:
        UsageError: a name or value is invalid.
    """
    given: dict[str, Any] = {}
    for name, colon, value in (term.partition(":") for term in terms):
        if not colon:
            given["text"] = f"{given.get('text', '')} {name}".strip()
        elif name not in _NAMES:
            expected = ", ".join(f"{one}:…" for one in _NAMES)
            meant = did_you_mean(f"{name}:", [f"{one}:" for one in _NAMES])
            raise UsageError(f"Expected one of {expected}, got: {f'{name}:{value}'!r}.{meant}")
        else:
            is_time = name in {"since", "before"}
            given[name] = _parse_time(name, value, now) if is_time else value
    try:
        return SessionFilter(**given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        meant = did_you_mean(given[name], _WORDS.get(name, ()))
        expected = f"{name}: {expectation_of(problem)}, got: {given[name]!r}."
        raise UsageError(f"{expected}{meant}") from None


def _parse_time(name: str, value: str, now: datetime) -> datetime:
    if value in DAYS_AGO:
        return datetime.combine(read_day(value, today=now.date()), time(), UTC)
    try:
        instant = read_instant(value)
    except ValueError:
        try:
            return now - parse_duration(value)
        except (ValueError, OverflowError):
            raise UsageError(
                f"{name}: expected 2h, 3d, today, yesterday, 2026-11-23 or 2026-11-23T05:00:00Z, "
                f"got: {value!r}."
            ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def complete_term(begun: str) -> list[str]:
    """Return completions of a filter term: names, and values that are words of a fixed list."""
    name, colon, value = begun.partition(":")
    if not colon:
        return [f"{one}:" for one in _NAMES if one.startswith(name)]
    known = _WORDS.get(name, ())
    return [f"{name}:{one}" for one in known if one.startswith(value)]
