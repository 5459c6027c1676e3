"""The product's own load, from the gzipped parts on disk to the commit, as a job does it; in this process, or in one of its own.

`python -m bench.ingest_ours URL REQUEST PART…` loads one report and prints what it cost: that process imports what `bidbeacon refresh` does.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Engine, text

from bench.ingest_reports import DAYS, Report
from bench.ingest_world import ACCOUNT_KEY, DATASET, NOW, Contender, Place
from bidbeacon_pipelines.ingest.load import LoadResult, LoadRules, load_report
from bidbeacon_pipelines.ingest.targets import TargetIndex
from bidbeacon_pipelines.store.accounts import get_account
from bidbeacon_pipelines.store.engine import make_engine
from bidbeacon_pipelines.store.entities import list_targets
from bidbeacon_pipelines.store.performance import Scope, lock_rows
from bidbeacon_pipelines.store.requests import insert_request
from bidbeacon_pipelines.store.windows import attach_windows, create_windows, list_windows_of_request

OF_A_JOB = "bidbeacon_pipelines.jobs.refresh"
"""What `bidbeacon refresh` imports to load a report."""
OF_A_RUN = "bidbeacon_pipelines.definitions"
"""What a Dagster run imports."""
_MEMORY = Path("/proc/self/status")


@dataclass(frozen=True)
class Cost:
    """What a load in a process of its own cost.

    Attributes:
        seconds: From the parts on disk to the commit.
        cpu_seconds: Of the process in that time, user and system.
        peak_mb: Most memory that was resident at any time, with everything imported.
        imported_mb: The same before the load began.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    imported_mb: float


class Ours(Contender):
    """Loads reports with the product."""

    name = "ours"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._requests = 0

    def load(self, report: Report) -> None:
        """Load a report that waits since `request`."""
        result = load_parts(self.place.engine, self.request_id, report.parts)
        assert result.quarantined == report.bad, f"expected {report.bad} bad rows, got {result.quarantined}"
        assert result.unresolved == report.unresolved, (
            f"expected {report.unresolved}, got {result.unresolved}"
        )

    refresh = load

    def load_alone(self, report: Report, *imports: str) -> Cost:
        """Load it in a process of its own, which imports these modules besides."""
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "bench.ingest_ours",
            self.place.url,
            str(self.request_id),
            ",".join(imports),
        ]
        done = subprocess.run([*command, *map(str, report.parts)], check=True, stdout=subprocess.PIPE)
        return Cost(**json.loads(done.stdout))

    def request(self) -> None:
        """Let the windows wait for one more report, a day after the last; that is no part of a load."""
        self._requests += 1
        account = self.place.account
        sent_at = NOW + timedelta(days=self._requests)
        with self.place.engine.begin() as connection:
            create_windows(connection, account, DATASET.name, dict.fromkeys(DAYS, NOW))
            self.request_id = insert_request(
                connection,
                account,
                DATASET.name,
                DAYS[0],
                DAYS[-1],
                by_hand=False,
                session_id=uuid4(),
                created_at=sent_at,
            )
            attach_windows(connection, account, DATASET.name, DAYS, self.request_id)


def load_parts(engine: Engine, request_id: int, parts: Sequence[Path]) -> LoadResult:
    """Load a report as the job does: targets, rows, windows and the request's end in one transaction."""
    with engine.begin() as connection:
        account = get_account(connection, ACCOUNT_KEY)
        lock_rows(connection, account)
        created_at: datetime = connection.execute(
            text("SELECT created_at FROM report_requests WHERE id = :id"), {"id": request_id}
        ).scalar_one()
        result = load_report(
            connection,
            Scope(account, DATASET.name, request_id, created_at),
            DATASET,
            list_windows_of_request(connection, request_id),
            parts,
            targets=TargetIndex(list_targets(connection, account)),
            rules=_RULES,
        )
        connection.execute(
            text("UPDATE report_requests SET status = 'loaded', finished_at = now() WHERE id = :id"),
            {"id": request_id},
        )
    assert len(result.loaded) == len(DAYS), f"not every window was loaded: {result}"
    return result


_RULES = LoadRules(
    bad_row_share=0.02,
    held_again_at=lambda _: NOW,
    next_refresh_at=lambda _: NOW,
    refused_again_at=lambda _: NOW,
)


def _peak_mb() -> float:
    """Give the most memory this program held; the system's own count for a process also has what it was started from."""
    if _MEMORY.exists():
        [line] = [line for line in _MEMORY.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # in bytes on macOS


def main() -> None:
    """Load one report and print its cost."""
    url, request_id, imports, *parts = sys.argv[1:]
    for module in filter(None, imports.split(",")):
        __import__(module)
    engine = make_engine(url)
    imported, cpu, began = _peak_mb(), time.process_time(), time.perf_counter()
    load_parts(engine, int(request_id), list(map(Path, parts)))
    seconds = time.perf_counter() - began
    print(json.dumps(asdict(Cost(seconds, time.process_time() - cpu, _peak_mb(), imported))))


if __name__ == "__main__":
    main()
