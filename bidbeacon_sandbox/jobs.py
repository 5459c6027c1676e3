"""What takes Amazon a while: reports and exports that were accepted, kept over a restart."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from bidbeacon_sandbox.rules import AnyRule, Limits
from bidbeacon_sandbox.store import SandboxError, Store

_Rule = TypeVar("_Rule", bound=Limits)


class Job(BaseModel):
    """A report or an export, with the rules that struck its creation; it never changes.

    A report is about all countries of its account. `ready_at` is when it completes or fails; None:
    never.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    account_id: str
    country: str | None = None
    created_at: AwareDatetime
    ready_at: AwareDatetime | None
    rules: tuple[AnyRule, ...] = ()

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

    def __init__(self, model: type[_Job], store: Store) -> None:
        self._kind = model.__name__
        self._store = store
        try:
            kept = [model.model_validate_json(text) for text in store.read(self._kind)]
        except ValidationError as error:
            raise SandboxError(
                "The state folder is of another version of the sandbox: remove it, and start again."
            ) from error
        self._jobs = {job.id: job for job in kept}

    def keep(self, job: _Job) -> _Job:
        """Add a job that was accepted."""
        self._jobs[job.id] = job
        self._store.put(self._kind, job.id, job.model_dump_json())
        return job

    def delete(self, job: _Job) -> None:
        """Forget a job, also after a restart."""
        del self._jobs[job.id]
        self._store.remove(self._kind, job.id)

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
