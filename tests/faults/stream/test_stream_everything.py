"""Everything at once, for a minute: each fault of the suite, with readers of every kind, and the same judgement at the end."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil
import pytest

from tests.faults.stream.stage import ANY_BACKEND, Stage
from tests.processes import Program
from tests.stream.reading import AT_FULL_SPEED

pytestmark = pytest.mark.faults

RAGE_SECONDS = 60.0
KEPT_ROWS = "2000"
WRITING = {"sessions": 30, "actions": 120}
PAUSE_SECONDS = 0.4
FREEZE_SECONDS = 3.0


def rage(stage: Stage, programs: Sequence[Program], chance: random.Random) -> None:
    """Kill, freeze and cut off what is on stage, at random, and start it again."""

    def kill_a_writer() -> None:
        chance.choice([one for one in stage.writers if one.ended is None]).kill()
        stage.writer(**WRITING)

    def kill_a_program() -> None:
        doomed = chance.choice(programs)
        doomed.kill()
        doomed.start()

    def freeze_a_program() -> None:
        process = chance.choice(programs).process
        process.suspend()
        threading.Timer(chance.uniform(0, FREEZE_SECONDS), thaw, [process]).start()

    def thaw(process: psutil.Popen) -> None:
        with suppress(psutil.NoSuchProcess):  # it was killed meanwhile
            process.resume()

    def end_a_backend() -> None:
        stage.rows(ANY_BACKEND)

    strikes: dict[Callable[[], None], int] = {
        kill_a_writer: 3,
        kill_a_program: 6,
        freeze_a_program: 3,
        end_a_backend: 20,
    }
    end = time.monotonic() + RAGE_SECONDS / 4
    while time.monotonic() < end:
        [strike] = chance.choices(list(strikes), list(strikes.values()))
        strike()
        stage.faults[strike.__name__] += 1
        time.sleep(PAUSE_SECONDS)


@pytest.mark.timeout(240)
def test_stream_everything_at_once(stage: Stage) -> None:
    """Kills, freezes, ended backends, two crashes, a log that is trimmed, cut, slow and sleeping readers: nothing is lost, doubled or invented."""
    servers = [stage.server(), stage.server()]
    steppers = [stage.stepper(), stage.stepper(KEPT_ROWS)]
    stage.writer(4, **WRITING)
    stage.follow_both(*servers)
    stage.follow_both(*servers, cut_seconds=(1, 3))
    stage.follow_both(*servers, job="job-a")
    stage.follow_both(*servers, status="running")
    slow = stage.follow(*servers, bytes_per_second=1_000)
    sleeper = stage.follow(*servers, bytes_per_second=AT_FULL_SPEED)
    chance = random.Random(1)
    for is_asleep in (False, True):
        if is_asleep:
            sleeper.awake.clear()
        rage(stage, [*servers, *steppers], chance)
        stage.cluster.crash()
        rage(stage, [*servers, *steppers], chance)
    sleeper.awake.set()
    slow.hurry()
    stage.stop_writing()
    stage.finish()
