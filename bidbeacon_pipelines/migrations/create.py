"""The statements that create the schema in an empty database."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from bidbeacon_pipelines.database.schema import VIEWS_VERSION
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.entities.queries import IS_DELIVERABLE_FUNCTION
from bidbeacon_pipelines.loading.restatements import WINDOW_RESTATEMENTS_VIEW, performance_rows_view
from bidbeacon_pipelines.states.window_states import WINDOW_STATES_FUNCTION
from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_pipelines.views import SCHEMA, make_views
from bidbeacon_sessions.tables import JOB_SESSION_ACCOUNTS_VIEW, JOB_SESSIONS_VIEW, SessionsBase

# This style does not double percent signs.
_DIALECT = postgresql.dialect(paramstyle="named")


def list_views(datasets: Sequence[Dataset] = ALL_DATASETS) -> dict[str, str]:
    """Return the SQL of all functions and views by kind and name, in dependency order.

    The SQL of a view also sets the comments of the view.
    """
    return {
        "VIEW job_sessions": JOB_SESSIONS_VIEW,
        "VIEW job_session_accounts": JOB_SESSION_ACCOUNTS_VIEW,
        "FUNCTION is_deliverable": IS_DELIVERABLE_FUNCTION,
        "FUNCTION window_states": WINDOW_STATES_FUNCTION,
        "VIEW performance_rows": performance_rows_view(datasets),
        "VIEW window_restatements": WINDOW_RESTATEMENTS_VIEW,
        **{f"VIEW {view.full_name}": view.sql for view in make_views(datasets)},
    }


def list_statements(
    revision: str,
    oldest_program: str,
    *,
    views_version: int = VIEWS_VERSION,
    tables: MetaData = PipelinesBase.metadata,
) -> list[str]:
    """Return the statements that create the schema of this package and `bidbeacon_sessions`.

    `tables` are the tables of this package. `revision` is the newest migration. `oldest_program`
    is the newest migration that the oldest program compatible with this schema contains.
    """
    return [
        *_list_tables(SessionsBase.metadata),
        *_list_tables(tables),
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
        *list_views().values(),
        "INSERT INTO session_change_cursor DEFAULT VALUES",
        (
            "INSERT INTO installation (oldest_program, views_version) "
            f"VALUES ('{oldest_program}', {views_version})"
        ),
        (
            "CREATE TABLE alembic_version "
            "(version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)"
        ),
        f"INSERT INTO alembic_version VALUES ('{revision}')",
    ]


def _list_tables(metadata: MetaData) -> Iterator[str]:
    for table in metadata.sorted_tables:
        yield _compile(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield _compile(CreateIndex(index))
        if table.comment:
            yield _compile(SetTableComment(table))
        for column in table.columns:
            if column.comment:
                yield _compile(SetColumnComment(column))


def _compile(statement: CreateTable | CreateIndex | SetTableComment | SetColumnComment) -> str:
    return str(statement.compile(dialect=_DIALECT)).strip()


def run(connection: Connection, *statements: str) -> None:
    """Run statements without parameters, in one request to the server."""
    script = ";\n".join(statements)
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})
