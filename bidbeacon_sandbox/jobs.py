"""What takes Amazon a while: reports and exports that were accepted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from bidbeacon_sandbox.rules import Limits

_Rule = TypeVar("_Rule", bound=Limits)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A report or an export, with the rules that struck its creation; it never changes.

    A report is about all countries of its account. `ready_at` is when it completes or fails; None:
    never.
    """

    id: str
    account_id: str
    country: str | None = None
    created_at: datetime
    ready_at: datetime | None
    rules: tuple[Limits, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """The contract's reports that it is."""
        return ()

    @property
    def part_count(self) -> int | None:
        """How many files it has; None: as many as its rows need."""
        return 1

    def rules_of(self, kind: type[_Rule]) -> tuple[_Rule, ...]:
        """Return its rules of one kind."""
        return tuple(rule for rule in self.rules if isinstance(rule, kind))


_Job = TypeVar("_Job", bound=Job)


class Jobs(Generic[_Job]):
    """All reports, or all exports, of a sandbox, oldest first."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}

    def keep(self, job: _Job) -> _Job:
        """Add a job that was accepted."""
        self._jobs[job.id] = job
        return job

    def delete(self, job: _Job) -> None:
        """Forget a job."""
        del self._jobs[job.id]

    def find(self, job_id: str) -> _Job | None:
        """Return the job with this id; None where there is none."""
        return self._jobs.get(job_id)

    def rows(self, job: _Job) -> Iterator[str]:
        """Return what the files of a job hold, as JSON texts."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[_Job]:
        return iter(list(self._jobs.values()))
