"""Faults at random for a while: whoever is on stage is killed, frozen, cut off or crashed, and started again."""

import random
import time
from collections.abc import Callable

from tests.faults.stream.stage import Stage
from tests.faults.stream.stream_programs import Program, Server

ANY_BACKEND = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"""
WRITING = {"sessions": 30, "actions": 120}
PAUSE_SECONDS = 0.4
FREEZE_SECONDS = 3.0


class Chaos:
    """Strikes what it is given.

    Args:
        stage: with its writers running.
        servers: of the stream.
        steppers: beside them.
        seed: which faults come in which order.
    """

    def __init__(
        self, stage: Stage, servers: list[Server], steppers: list[Program], *, seed: int = 1
    ) -> None:
        self._stage = stage
        self._servers = servers
        self._steppers = steppers
        self._chance = random.Random(seed)
        self._frozen: list[tuple[float, Program]] = []

    def rage(self, seconds: float, crashes: int) -> None:
        """Strike again and again; the database crashes so many times, evenly spread."""
        begin = time.monotonic()
        crash_at = [begin + seconds * (number + 1) / (crashes + 1) for number in range(crashes)]
        strikes: dict[Callable[[], None], int] = {
            self._kill_a_writer: 3,
            self._kill_a_stepper: 4,
            self._kill_a_server: 2,
            self._freeze_somebody: 3,
            self._end_a_backend: 20,
        }
        while time.monotonic() < begin + seconds:
            if crash_at and time.monotonic() > crash_at[0]:
                crash_at.pop(0)
                self._crash()
            self._chance.choices(list(strikes), list(strikes.values()))[0]()
            self._thaw()
            self._stage.pause(PAUSE_SECONDS)
        self._thaw(everybody=True)

    def _kill_a_writer(self) -> None:
        self._chance.choice([one for one in self._stage.writers if one.ended is None]).kill()
        self._stage.writer(**WRITING)
        self._stage.faults["writers killed"] += 1

    def _kill_a_stepper(self) -> None:
        self._restart(self._chance.choice(self._steppers), "steppers killed")

    def _kill_a_server(self) -> None:
        self._restart(self._chance.choice(self._servers), "servers killed")

    def _restart(self, doomed: Program, counted: str) -> None:
        self._frozen = [(until, one) for until, one in self._frozen if one is not doomed]
        doomed.kill()
        doomed.start()
        self._stage.faults[counted] += 1

    def _freeze_somebody(self) -> None:
        chosen = self._chance.choice([*self._servers, *self._steppers])
        chosen.freeze()
        self._frozen.append((time.monotonic() + self._chance.uniform(0, FREEZE_SECONDS), chosen))
        self._stage.faults["processes frozen"] += 1

    def _thaw(self, *, everybody: bool = False) -> None:
        for until, one in list(self._frozen):
            if everybody or time.monotonic() > until:
                one.thaw()
                self._frozen.remove((until, one))

    def _end_a_backend(self) -> None:
        self._stage.faults["backends ended"] += len(self._stage.rows(ANY_BACKEND))

    def _crash(self) -> None:
        self._stage.cluster.crash()
        self._stage.cluster.start()
        self._stage.faults["database crashed"] += 1
