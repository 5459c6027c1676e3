"""The queries of planning with the plans that PostgreSQL makes for them, as Markdown."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from inspect import cleandoc
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, event

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.requests.queries import (
    insert_request,
    list_candidates,
    list_days_to_plan,
    list_next_due,
    list_plans,
)
from bidbeacon_pipelines.windows.due import list_ads_accounts_with_due_work

Statement = tuple[str, Any]


def explain_due_work(connection: Connection, *, now: datetime) -> str:
    """Return the question which ads accounts have due work, with its plan."""
    return explained(
        connection,
        "Which ads accounts have due work",
        lambda: list_ads_accounts_with_due_work(connection, now=now, datasets=tuple(DATASETS)),
    )


def explain_planning(
    connection: Connection, account: Account, dataset: Dataset, *, now: datetime, session_id: UUID
) -> Iterator[str]:
    """Return the statements that plan an ads account and create its reports, each with its plan; the caller rolls back."""
    today, account_id = now.date(), account.account_id
    calls: Mapping[str, Any] = {
        "The days that planning an ads account must know of": lambda: list_days_to_plan(
            connection, account_id, now=now
        ),
        "When its next windows fall due": lambda: list_next_due(
            connection, account_id, after=now, until=now + timedelta(hours=6)
        ),
        "What is planned for it already": lambda: list_plans(connection, account_id),
        "Storing a request": lambda: insert_request(
            connection,
            account_id=account_id,
            dataset=dataset.name,
            report=dataset.reports[0].name,
            start_date=today,
            end_date=today,
            by_hand=False,
            requested_by=session_id,
            created_at=now,
        ),
        "What may be created at a gate": lambda: list_candidates(
            connection, "bench", "EU", now=now, tolerance=timedelta(hours=12)
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
