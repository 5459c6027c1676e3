"""Everything at once, for a minute: each fault of the suite, with readers of every kind, and the same judgement at the end."""

import random
import time
from collections.abc import Callable

import pytest

from tests.faults.stream.stage import ANY_BACKEND, Stage
from tests.faults.stream.stream_programs import Program
from tests.stream.reading import AT_FULL_SPEED

RAGE_SECONDS = 60.0
KEPT_ROWS = "2000"
WRITING = {"sessions": 30, "actions": 120}
PAUSE_SECONDS = 0.4
FREEZE_SECONDS = 3.0


class Chaos:
    """Kills, freezes and cuts off what is on stage, at random, and starts it again."""

    def __init__(self, stage: Stage, programs: list[Program]) -> None:
        self._stage = stage
        self._programs = programs
        self._chance = random.Random(1)
        self._frozen: dict[Program, float] = {}

    def rage(self, seconds: float) -> None:
        """Strike again and again; the database crashes in the middle."""
        begin, has_crashed = time.monotonic(), False
        strikes: dict[Callable[[], None], int] = {
            self._kill_a_writer: 3,
            self._kill_a_program: 6,
            self._freeze_a_program: 3,
            self._end_a_backend: 20,
        }
        while (now := time.monotonic()) < begin + seconds:
            if not has_crashed and now > begin + seconds / 2:
                has_crashed = True
                self._stage.cluster.crash()
                self._stage.cluster.start()
            self._chance.choices(list(strikes), list(strikes.values()))[0]()
            self._thaw(now)
            self._stage.pause(PAUSE_SECONDS)
        self._thaw(float("inf"))

    def _kill_a_writer(self) -> None:
        self._chance.choice([one for one in self._stage.writers if one.ended is None]).kill()
        self._stage.writer(**WRITING)
        self._stage.faults["writers killed"] += 1

    def _kill_a_program(self) -> None:
        doomed = self._chance.choice(self._programs)
        self._frozen.pop(doomed, None)
        doomed.kill()
        doomed.start()
        self._stage.faults["servers and steppers killed"] += 1

    def _freeze_a_program(self) -> None:
        chosen = self._chance.choice(self._programs)
        chosen.freeze()
        self._frozen[chosen] = time.monotonic() + self._chance.uniform(0, FREEZE_SECONDS)
        self._stage.faults["processes frozen"] += 1

    def _thaw(self, now: float) -> None:
        for one in [one for one, until in self._frozen.items() if now > until]:
            one.thaw()
            del self._frozen[one]

    def _end_a_backend(self) -> None:
        self._stage.faults["backends ended"] += len(self._stage.rows(ANY_BACKEND))


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
    chaos = Chaos(stage, [*servers, *steppers])
    chaos.rage(RAGE_SECONDS / 2)
    sleeper.awake.clear()
    chaos.rage(RAGE_SECONDS / 2)
    sleeper.awake.set()
    slow.hurry()
    stage.stop_writing()
    stage.finish()
