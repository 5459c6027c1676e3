"""`python -m tests.faults.ingest.loading_process URL REQUEST PART`: loads one report, and says when it begins and when it has committed."""

import sys
from pathlib import Path

from bidbeacon_pipelines.accounts.queries import lock_rows
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS, DatasetReport
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.queries import get_request
from tests.faults.ingest.report_strategies import DAYS
from tests.postgres.load_world import LoadWorld

REPORT = DatasetReport(HOURLY_TARGETS, ("SPONSORED_PRODUCTS",))


def load(shelf: LoadWorld, request_id: int, part: Path) -> LoadResult:
    """Load a report of two days that was asked for, in one transaction."""
    with shelf.engine.begin() as connection:
        lock_rows(connection, shelf.account)
        as_of = get_request(connection, request_id).created_at
        scope = ReportScope(REPORT, request_id, as_of, (DAYS[0], DAYS[-1]))
        return shelf.load_scope(connection, scope, [part])


def main() -> None:
    """Load."""
    url, request_id, part = sys.argv[1:]
    shelf = LoadWorld(make_engine(url), Path(part).parent)
    tell("begun")
    load(shelf, int(request_id), Path(part))
    tell("committed")


def tell(word: str) -> None:
    """Print a word at once."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
