"""The loop over a pool of workers for tasks that are no experiments, each stored when it arrives.

Confirmations and comparisons run on it. What is to be run is asked anew after each end, from what is stored.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from orchestrator.insist import Insist
from orchestrator.plan import TICK_S, StopReason, TimeLimits, experiment_limit
from orchestrator.pool import Event, Finished, Printed, Returned, Task, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.signals import StopRequest
from retrain.tables import seconds
from tuner.experiment import Evaluation, Failure, Outcome
from tuner.registry.base import Limits

__all__ = ["TaskLoop"]

Job = TypeVar("Job", bound=Hashable)


@dataclass(slots=True)
class _Running(Generic[Job]):
    job: Job
    started_at: float
    overdue: bool = False


class TaskLoop(ABC, Generic[Job]):
    """Runs jobs until none is wanted, the time is up or the user asks to stop.

    Args:
        pool: the workers; closed by the caller.
        typical_s: how long a job takes, where known.
        clock: monotonic seconds.

    Attributes:
        n_submitted: tasks so far; the number of a task makes its key unique.
    """

    retries_overdue: ClassVar[bool] = True
    """Whether a job that took too long is tried again, as any other failure is."""

    def __init__(
        self,
        pool: WorkerPool,
        *,
        limits: TimeLimits,
        display: Display,
        stop: StopRequest,
        typical_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.n_submitted = 0
        self._pool = pool
        self._limits = limits
        self._display = display
        self._stop = stop
        self._clock = clock
        self._timeout_s = experiment_limit(limits.experiment_timeout_s, typical_s)
        self._insist = Insist(
            display.note, lambda: stop.stop_now, until=limits.ends_at, clock=clock, pause=pause
        )
        self._running: dict[str, _Running[Job]] = {}
        self._ended_badly: Counter[tuple[Job, bool]] = Counter()
        self._started_at = clock()

    @abstractmethod
    def _wanted(self) -> list[Job]:
        """What is still to be run, in order, what runs included."""

    @abstractmethod
    def _task(self, job: Job) -> Task:
        """The task of a job, with a key that no other has."""

    @abstractmethod
    def _store(self, job: Job, evaluation: Evaluation) -> None:
        """Keep what came of a job."""

    @abstractmethod
    def _give_up(self, job: Job, failure: Failure) -> None:
        """The job failed as often as it may: want it no more."""

    @abstractmethod
    def _status(self, n_left: int) -> Status:
        """How far it is; see `_status_of`."""

    @abstractmethod
    def _name(self, job: Job) -> str:
        """What a job is called in messages."""

    def run(self) -> StopReason:
        """Go on until the end.

        Raises:
            PoolError: the workers are gone for good.
            StorageError: the registry refused for too long.
        """
        while True:
            wanted = self._wanted()
            self._display.show(self._status(len(wanted)))
            if not wanted:
                self._forget_running()
                return StopReason.DONE
            if self._stop.stop_now:
                return StopReason.INTERRUPTED
            stop = self._stopping()
            if stop is None:
                self._submit(wanted)
            elif not self._running or self._clock() >= stop[0]:
                return stop[1]
            self._cancel_overdue()
            self._take_in(self._pool.wait(TICK_S))

    def _stopping(self) -> tuple[float, StopReason] | None:
        """Until when what runs may go on, and why, where no more is begun."""
        limits, asked = self._limits, self._stop.stop_at
        ends = []
        if asked is not None:
            ends.append((asked, asked + limits.grace_s, StopReason.INTERRUPTED))
        if limits.deadline is not None and self._clock() >= limits.deadline:
            ends.append((limits.deadline, limits.ends_at, StopReason.TIMEOUT))
        return (min(end for _, end, _ in ends), min(ends)[2]) if ends else None

    def _submit(self, wanted: Iterable[Job]) -> None:
        busy = {each.job for each in self._running.values()}
        for job in wanted:
            if not self._pool.n_free:
                return
            if job in busy:
                continue
            self.n_submitted += 1
            task = self._task(job)
            try:
                self._pool.submit(task)
            except ValueError:  # its worker died between our look and now
                return
            self._running[task.key] = _Running(job, self._clock())

    def _cancel_overdue(self) -> None:
        for key, each in self._running.items():
            late = self._timeout_s is not None and self._clock() >= each.started_at + self._timeout_s
            if late and not each.overdue:
                each.overdue = True
                self._pool.cancel(key)

    def _forget_running(self) -> None:
        """Nobody needs what still runs: whoever it was for is out, or another has stored it."""
        for key in self._running:
            self._pool.cancel(key)
        self._running.clear()

    def _take_in(self, events: Iterable[Event]) -> None:
        for event in events:
            each = self._running.get(event.key)
            if each is None:
                continue
            if isinstance(event, Finished):
                del self._running[event.key]
                if isinstance(event.result, Evaluation):
                    self._store(each.job, event.result)
                elif isinstance(event.result, Failure):  # nothing is pruned here
                    self._fail(each, event.result)
            elif isinstance(event, Returned):
                del self._running[event.key]
            elif isinstance(event, Printed):
                for line in event.lines:
                    self._display.note(f"{self._name(each.job)} | {line}")

    def _fail(self, each: _Running[Job], failure: Failure) -> None:
        """Try again as often as the search does."""
        if each.overdue:
            failure = Failure(Outcome.TIMEOUT, f"did not finish within {seconds(self._timeout_s or 0.0)}")
        died, limits = failure.outcome.is_worker_death, Limits()
        self._ended_badly[each.job, died] += 1
        n_left = (limits.deaths if died else limits.failures) - self._ended_badly[each.job, died]
        if n_left > 0 and (self.retries_overdue or not each.overdue):
            said = f"{failure.outcome}: {failure.message}"
            self._display.note(f"{self._name(each.job)} failed ({said}); it is tried again")
            return
        self._give_up(each.job, failure)

    def _status_of(self, n_done: int, n_left: int, n_failed: int, metric: str) -> Status:
        elapsed_s = self._clock() - self._started_at
        return Status(
            n_done=n_done,
            n_total=n_done + n_left,
            n_failed=n_failed,
            n_running=len(self._running),
            elapsed_s=elapsed_s,
            working_s=elapsed_s,
            metric=metric,
        )
