"""The contender that is the product itself, in this process or in one of its own."""

import json
import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

from benchmarks.ingest_load import DATASET, NOW, Cost, load_parts
from benchmarks.ingest_reports import DAYS, Report
from benchmarks.ingest_world import Contender, Place
from bidbeacon_pipelines.requests.queries import insert_request
from bidbeacon_pipelines.windows.queries import WindowTimes, attach_windows, create_windows

OF_A_JOB = "bidbeacon_pipelines.requests.refresh"
"""Modules that `bidbeacon load` imports to load a report."""
OF_A_RUN = "bidbeacon_pipelines.definitions"
"""What a Dagster run imports."""


class Ours(Contender):
    """Loads reports with the product."""

    name = "ours"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._requests = 0

    def load(self, report: Report) -> None:
        """Load a report that waits since `request`."""
        [result] = load_parts(self.place.engine, self.request_id, report.parts)
        assert result.quarantined == report.bad, (
            f"expected {report.bad} bad rows, got {result.quarantined}"
        )
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
            "benchmarks.ingest_load",
            self.place.url,
            str(self.request_id),
            ",".join(imports),
        ]
        done = subprocess.run(
            [*command, *map(str, report.parts)], check=True, stdout=subprocess.PIPE
        )
        return Cost(**json.loads(done.stdout))

    def request(self) -> None:
        """Let the windows wait for one more report, a day after the last; that is no part of a load."""
        self._requests += 1
        sent_at = NOW + timedelta(days=self._requests)
        with self.place.engine.begin() as connection:
            for account in self.place.accounts:
                times = dict.fromkeys(DAYS, WindowTimes(NOW, NOW + timedelta(days=700)))
                create_windows(connection, account, DATASET.name, "SP", times)
            self.request_id = insert_request(
                connection,
                self.place.account.account_id,
                DATASET.name,
                "SP",
                DAYS[0],
                DAYS[-1],
                by_hand=False,
                session_id=uuid4(),
                created_at=sent_at,
            )
            attach_windows(connection, self.request_id, now=sent_at)
