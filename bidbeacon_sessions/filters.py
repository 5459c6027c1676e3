"""The session filter, shared by lists, figures, stream, page and command line."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from bidbeacon_sessions.clock import read_instant

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
    """The criteria of a list of sessions; a field that is None does not restrict.

    Attributes:
        account: a key, a name or a part of one. Together with `dataset` and `window` it matches one
            reference to all three; without them it also matches the session's own account.
        outcome: the session's outcome; together with `account`, its outcome for that account.
        type: the type of one of its actions.
        since: started at or after this instant.
        before: started before this instant.
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
        """Return the filter without some of its restrictions."""
        return SessionFilter.model_construct(
            **{name: value for name, value in self if name not in names}
        )


class SessionPage(SessionFilter):
    """A page of a list, newest first: at most `limit` sessions after `older_than`."""

    older_than: UUID | None = None
    limit: int = Field(50, ge=1, le=200)
