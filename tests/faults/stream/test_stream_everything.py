"""Everything at once, for a minute: each fault of the suite, with readers of every kind, and the same judgement at the end."""

import pytest

from tests.faults.stream.stage import Stage
from tests.faults.stream.stream_chaos import WRITING, Chaos
from tests.stream.reading import AT_FULL_SPEED

RAGE_SECONDS = 60.0
KEPT_ROWS = "2000"


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_stream_everything_at_once(stage: Stage) -> None:
    """Kills, freezes, ended backends, two crashes, a log that is trimmed, cut, slow and sleeping readers: nothing is lost, doubled or invented."""
    servers = [stage.server(), stage.server()]
    steppers = [stage.stepper(), stage.stepper(KEPT_ROWS)]
    for _ in range(4):
        stage.writer(**WRITING)
    stage.follow_both(*servers)
    stage.follow_both(*servers, cut_seconds=(1, 3))
    stage.follow_both(*servers, job="job-a")
    stage.follow_both(*servers, status="running")
    slow = stage.follow(*servers, bytes_per_second=1_000)
    sleeper = stage.follow(*servers, bytes_per_second=AT_FULL_SPEED)
    chaos = Chaos(stage, servers, steppers)
    chaos.rage(RAGE_SECONDS / 2, crashes=1)
    sleeper.awake.clear()
    chaos.rage(RAGE_SECONDS / 2, crashes=1)
    sleeper.awake.set()
    slow.hurry()
    stage.stop_writing()
    stage.finish()
