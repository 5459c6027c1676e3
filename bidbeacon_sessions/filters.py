"""The filter of sessions: the same for lists, figures, the stream, the page's address and the command line."""

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
    """Return what was expected of an invalid value, for people."""
    told: str = problem["msg"].removeprefix("Value error, ")
    return re.sub(r"^\w+ should (be|have)", "expected", told)


class SessionFilter(BaseModel):
    """Which sessions are meant; a field that is None does not restrict.

    Attributes:
        account: a key, a name or a part of one. Together with `dataset` and `window` it means one
            reference that is of all three; without them it also means the session's own account.
        outcome: that of the session; together with `account`, what it achieved for that account.
        type: sessions with an action of this type.
        since: started at or after this instant.
        before: started before this instant.
        text: words that the session or one of its actions contains, each may be a beginning.
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
    """A page of a list, newest first: at most `limit` sessions that come after `older_than` in it."""

    older_than: UUID | None = None
    limit: int = Field(50, ge=1, le=200)
