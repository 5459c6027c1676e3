"""The product's own load, from the gzipped parts on disk to the commit, as a job does it.

`python -m benchmarks.ingest_load URL REQUEST PART…` loads one report and prints its cost. This
module imports only what a load needs, since its imports count in the memory.
"""

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Engine

from benchmarks.ingest_reports import DAYS
from bidbeacon_pipelines.accounts.queries import get_account, lock_rows
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS, DatasetReport
from bidbeacon_pipelines.loading.load import LoadResult, LoadRules, load_report
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.queries import get_request
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.queries import list_windows_of_request
from bidbeacon_pipelines.windows.rules import failed
from tests.support.rows import change_requests

DATASET = HOURLY_TARGETS
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_MEMORY = Path("/proc/self/status")
_OF_A_JOB = "bidbeacon_pipelines.requests.dispatch"
"""The module that `bidbeacon load` imports to load a report."""


@dataclass(frozen=True)
class Cost:
    """The cost of a load in a process of its own.

    Attributes:
        cpu_seconds: User and system time, from the parts on disk to the commit.
        peak_mb: The most resident memory, with everything imported.
    """

    cpu_seconds: float
    peak_mb: float


def load_parts(engine: Engine, request_id: int, parts: Sequence[Path]) -> list[LoadResult]:
    """Load a report as the job does, in one transaction; return the result of each country."""
    with engine.begin() as connection:
        waiting = [
            (get_account(connection, key), windows)
            for key, windows in list_windows_of_request(connection, request_id).items()
        ]
        for account, _ in waiting:
            lock_rows(connection, account)
        created_at = get_request(connection, request_id).created_at
        report, period = DatasetReport(DATASET, ("SPONSORED_PRODUCTS",)), (DAYS[0], DAYS[-1])
        scope = ReportScope(report, request_id, created_at, period, uuid4())
        results = list(load_report(connection, scope, waiting, parts, _RULES).values())
        ended = {"status": "loaded", "finished_at": created_at}
        change_requests(connection, ReportRequest.id == request_id, **ended)
    loaded = {len(result.loaded) for result in results}
    assert loaded == {len(DAYS)}, f"not every window was loaded: {results}"
    return results


_RULES = LoadRules(
    now=NOW,
    bad_row_share=0.02,
    refused=lambda _, window, cause: failed(window, cause, NOW),
)


def _peak_mb() -> float:
    """Return the peak memory of this program; `ru_maxrss` would include its parent's."""
    if _MEMORY.exists():
        [line] = [line for line in _MEMORY.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # in bytes on macOS


def main() -> None:
    """Load one report and print its cost."""
    url, request_id, *parts = sys.argv[1:]
    __import__(_OF_A_JOB)
    engine, began = make_engine(url), time.process_time()
    load_parts(engine, int(request_id), list(map(Path, parts)))
    print(json.dumps(asdict(Cost(time.process_time() - began, _peak_mb()))))


if __name__ == "__main__":
    main()
