"""SQL on loads: what became of every row of a report. The counts add up, which the table itself checks."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, text

from bidbeacon_pipelines.store.performance import Scope


@dataclass(frozen=True)
class RowCounts:
    """What became of the rows of a report, for one account.

    Attributes:
        rows_read: Rows in the report's files.
        rows_loaded: Rows that its windows hold now.
        rows_summed: Rows that were added to others of the same key.
        rows_quarantined: Rows that can't be understood.
        rows_withheld: Good rows of windows that did not take them: refused, held or unconfirmed.
        rows_not_waited_for: Rows of other countries, of days that no window waits for, and of ad products that were not asked for.
    """

    rows_read: int
    rows_loaded: int
    rows_summed: int
    rows_quarantined: int
    rows_withheld: int
    rows_not_waited_for: int


def insert_load(connection: Connection, scope: Scope, counts: RowCounts) -> None:
    """Store what became of the rows of a report that was loaded."""
    connection.execute(
        text("""
            INSERT INTO report_loads (request_id, account_id, country_code, dataset, rows_read, rows_loaded, rows_summed,
                                      rows_quarantined, rows_withheld, rows_not_waited_for)
            VALUES (:request_id, :account_id, :country_code, :dataset, :rows_read, :rows_loaded, :rows_summed,
                    :rows_quarantined, :rows_withheld, :rows_not_waited_for)"""),
        scope.values | asdict(counts),
    )
