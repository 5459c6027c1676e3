"""The queries of planning with the plans that PostgreSQL makes for them, as Markdown."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from inspect import cleandoc
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, event

from bidbeacon_pipelines.reports.datasets import DATASETS, Dataset
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.requests import (
    count_open_requests,
    insert_request,
    list_turns,
)
from bidbeacon_pipelines.store.windows import list_accounts_with_due_work, list_windows_to_plan

Statement = tuple[str, Any]


def explain_due_work(connection: Connection, *, now: datetime, slots: int) -> str:
    """Give the question which accounts have due work, with its plan."""
    return explained(
        connection,
        "Which accounts have due work",
        lambda: list_accounts_with_due_work(connection, now=now, slots=slots, datasets=tuple(DATASETS)),
    )


def explain_planning(
    connection: Connection, account: Account, dataset: Dataset, *, now: datetime, session_id: UUID
) -> Iterator[str]:
    """Give the statements that plan one dataset of an account, each with its plan; the caller rolls back."""
    today = now.date()
    calls: Mapping[str, Any] = {
        "The windows that planning an account must know of": lambda: list_windows_to_plan(
            connection, account, tuple(DATASETS), now=now
        ),
        "Reports in flight of an ads account": lambda: count_open_requests(connection, account.account_id),
        "How long datasets, and their oldest due windows, have been passed over": lambda: list_turns(
            connection, account, dict.fromkeys(DATASETS, now - timedelta(hours=12))
        ),
        "Storing a request in a free slot": lambda: insert_request(
            connection,
            account,
            dataset.name,
            today,
            today,
            by_hand=False,
            session_id=session_id,
            created_at=now,
        ),
    }
    for title, call in calls.items():
        yield explained(connection, title, call)


def explained(connection: Connection, title: str, call: Callable[[], object]) -> str:
    """Make the call once, so that everything is in memory, and explain the last statement that it sends, under a title."""
    sql, values = _statement_of(connection, call)
    plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", values)
    lines = "\n".join(plan.scalars())
    return f"## {title}\n\n```sql\n{cleandoc(sql)}\n```\n\n```\n{lines}\n```\n"


def _statement_of(connection: Connection, call: Callable[[], object]) -> Statement:
    sent: list[Statement] = []

    def note(_connection: object, _cursor: object, sql: str, values: Any, *_rest: object) -> None:
        sent.append((sql, values))

    event.listen(connection, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(connection, "before_cursor_execute", note)
    return sent[-1]
