"""`python -m tests.faults.ingest.loading_process URL REQUEST PART`: loads one report."""

import sys
from pathlib import Path
from uuid import uuid4

from bidbeacon_pipelines.accounts.queries import list_accounts, lock_rows
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS, DatasetReport
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.queries import get_request
from tests.faults.ingest.report_strategies import DAYS
from tests.postgres.load_world import LoadWorld
from tests.support.reading import call

REPORT = DatasetReport(HOURLY_TARGETS, ("SPONSORED_PRODUCTS",))


def load(shelf: LoadWorld, request_id: int, part: Path) -> LoadResult:
    """Load a report of two days that was asked for, in one transaction."""
    with shelf.engine.begin() as connection:
        lock_rows(connection, shelf.account)
        as_of = get_request(connection, request_id).created_at
        scope = ReportScope(REPORT, request_id, as_of, (DAYS[0], DAYS[-1]), uuid4())
        return shelf.load_scope(connection, scope, [part])


if __name__ == "__main__":
    url, request_id, part = sys.argv[1:]
    engine = make_engine(url)
    [account] = call(engine, list_accounts)
    load(LoadWorld(engine, Path(part).parent, account), int(request_id), Path(part))
