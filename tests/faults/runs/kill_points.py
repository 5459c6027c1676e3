"""Where a run worker is killed: it is halted at one exact place, by a trigger in Postgres or by a slow sandbox."""

from dataclasses import dataclass

from bidbeacon_sandbox.rules import Operation
from tests.faults.halting import halt_before, halt_no_more, is_halted
from tests.support.rules import rule
from tests.support.waiting import wait_until
from tests.support.world import World


@dataclass(frozen=True)
class KillPoint:
    """One place of a run: a database statement that never ends, or a call to Amazon that does not.

    Attributes:
        name: what had happened by then.
        trigger: `event ON table FOR EACH …` of the statement that is halted.
        call: the call that is not answered.
        amazon_seconds: how long Amazon works on the report; absent: half a second.
        after_its_session: whether the run's session has ended by then, so that only Dagster's run
            is left to close.
    """

    name: str
    trigger: str | None = None
    call: Operation | None = None
    amazon_seconds: float | None = None
    after_its_session: bool = False

    def arm(self, world: World) -> None:
        """Halt the next run that comes by."""
        if self.amazon_seconds is not None:
            world.break_with("report_ends", status="COMPLETED", seconds=self.amazon_seconds)
        if self.trigger is not None:
            halt_before(world.engine, self.trigger)
        else:
            world.execute("DELETE FROM access_tokens")  # so that the run needs one
            slow = rule("slow", self.call, seconds=600)
            world.sandbox.state.rules.add(slow)

    def wait_until_reached(self, world: World) -> None:
        """Wait until a run is halted here."""
        wait_until(lambda: self._is_reached(world), f"a run is halted: {self.name}", seconds=60)

    def disarm(self, world: World) -> None:
        """Let later runs pass, and have the server notice that the halted client is gone.

        Amazon refuses, as it does, a report that it is making already.
        """
        world.sandbox.state.rules.clear()
        world.break_with("duplicate")
        halt_no_more(world.engine)

    def _is_reached(self, world: World) -> bool:
        if self.trigger is not None:
            return is_halted(world.engine)
        return any(rule["struck"] for rule in world.sandbox.state.rules.overview())


BEFORE_THE_LOCK = KillPoint(
    "the request is planned, and not sent",
    trigger="UPDATE ON report_requests FOR EACH ROW WHEN (NEW.status = 'planned' AND NEW.locked_by IS NOT NULL)",
)
BEFORE_IT_ARRIVES = KillPoint("the attempt is stored, and Amazon never hears of it", call="token")
BEFORE_THE_ANSWER_IS_STORED = KillPoint(
    "Amazon has accepted the report, and nobody knows its id",
    trigger="UPDATE ON report_requests FOR EACH ROW WHEN (OLD.status = 'sent' AND NEW.report_id IS NOT NULL)",
    amazon_seconds=20,
)
WHILE_AMAZON_WORKS = KillPoint(
    "the report is in flight, and a poll is not answered", call="retrieve_report"
)
DURING_THE_DOWNLOAD = KillPoint("a part is on its way", call="download")
INSIDE_THE_LOAD = KillPoint(
    "rows are being merged", trigger="INSERT ON daily_targets FOR EACH STATEMENT"
)
AFTER_THE_LOAD = KillPoint(
    "the rows are loaded, and Dagster's materialization is not stored",
    trigger="INSERT ON dagster.event_logs FOR EACH ROW WHEN (NEW.dagster_event_type = 'ASSET_MATERIALIZATION')",
)
AFTER_ITS_SESSION = KillPoint(
    "the session has ended, and Dagster does not know that the step has",
    trigger="INSERT ON dagster.event_logs FOR EACH ROW WHEN (NEW.dagster_event_type = 'STEP_SUCCESS')",
    after_its_session=True,
)

OTHER_KILL_POINTS = (
    BEFORE_THE_LOCK,
    BEFORE_IT_ARRIVES,
    BEFORE_THE_ANSWER_IS_STORED,
    WHILE_AMAZON_WORKS,
    DURING_THE_DOWNLOAD,
    AFTER_THE_LOAD,
    AFTER_ITS_SESSION,
)
