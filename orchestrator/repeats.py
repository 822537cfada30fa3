"""The loop of a confirmation: repeats on fresh folds over a pool of workers, each stored when it arrives.

What is run next is decided by the race anew after each end, from what is stored alone. So a confirmation that
was killed goes on where it stopped, and two at once take in what the other has stored.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from orchestrator.insist import Insist
from orchestrator.plan import TICK_S, StopReason, experiment_limit
from orchestrator.pool import Event, Finished, Printed, Returned, Task, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.signals import StopRequest
from retrain.confirmation import Plan
from retrain.honest import next_runs, standing
from retrain.improvement import scores_of_folds
from retrain.tables import number, seconds
from tuner.experiment import Confirmation, Evaluation, Failure, Outcome, Params, Study
from tuner.registry.base import Limits, Registry

__all__ = ["RepeatLimits", "Repeats"]

Job = tuple[str, int]
"""Public id and seed."""


@dataclass(frozen=True, slots=True)
class RepeatLimits:
    """What holds for a whole confirmation; times as in `plan.RunLimits`."""

    deadline: float | None = None
    experiment_timeout_s: float | None = None
    grace_s: float = 30.0
    overrun_s: float = math.inf


@dataclass(slots=True)
class _Running:
    job: Job
    started_at: float
    overdue: bool = False


class Repeats:
    """Runs the repeats of a plan until its race is over.

    Args:
        registry: where each repeat is stored.
        study: of all who take part.
        pool: the workers; closed by the caller.
        plan: who takes part.
        params: the configuration of each, by public id.
        typical_s: how long an evaluation takes, where known.
        clock: monotonic seconds.

    Attributes:
        plan: the same, with those that failed.
        n_done: repeats that were run here.
    """

    def __init__(
        self,
        registry: Registry,
        study: Study,
        pool: WorkerPool,
        plan: Plan,
        params: Mapping[str, Params],
        *,
        limits: RepeatLimits,
        display: Display,
        stop: StopRequest,
        typical_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.plan = plan
        self.n_done = 0
        self._registry = registry
        self._study = study
        self._pool = pool
        self._params = params
        self._limits = limits
        self._display = display
        self._stop = stop
        self._clock = clock
        self._timeout_s = experiment_limit(limits.experiment_timeout_s, typical_s)
        self._insist = Insist(display.note, lambda: stop.stop_now, clock=clock, pause=pause)
        self._running: dict[str, _Running] = {}
        self._ended_badly: Counter[tuple[Job, bool]] = Counter()
        self._n_submitted = 0
        self._n_failed = 0
        self._told_stopped: set[str] = set()
        self._started_at = clock()

    def run(self) -> StopReason:
        """Go on until nothing is left to run, the time is up or the user asks to stop.

        Raises:
            PoolError: the workers are gone for good.
            StorageError: the registry refused for too long.
        """
        while True:
            wanted = self._wanted()
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

    def _wanted(self) -> list[Job]:
        """What is still to be run, what runs included, by what is stored now: others may confirm, too."""
        stored = self._insist(partial(self._registry.confirmations, self._study, self.plan.provenance))
        race = self.plan.race(self._study.direction, stored)
        for loser in standing(race).stopped:
            if loser.candidate not in self._told_stopped:
                self._told_stopped.add(loser.candidate)
                gap = number(loser.gap, 2)
                self._display.note(
                    f"{loser.candidate} is out after {loser.after} repeats: {gap} behind {loser.behind}"
                )
        wanted = next_runs(race)
        self._display.show(self._status(len(wanted)))
        return wanted

    def _stopping(self) -> tuple[float, StopReason] | None:
        """Until when what runs may go on, and why, where no more is begun."""
        limits, asked = self._limits, self._stop.stop_at
        ends = []
        if asked is not None:
            ends.append((asked, asked + limits.grace_s, StopReason.INTERRUPTED))
        if limits.deadline is not None and self._clock() >= limits.deadline:
            last = limits.deadline + min(limits.grace_s, limits.overrun_s)
            ends.append((limits.deadline, last, StopReason.TIMEOUT))
        return (min(end for _, end, _ in ends), min(ends)[2]) if ends else None

    def _submit(self, wanted: Iterable[Job]) -> None:
        busy = {each.job for each in self._running.values()}
        for job in wanted:
            if not self._pool.n_free:
                return
            if job in busy:
                continue
            public_id, seed = job
            self._n_submitted += 1
            key = f"{public_id}~{seed}#{self._n_submitted}"
            try:
                self._pool.submit(Task(key, self._params[public_id], seed))
            except ValueError:  # its worker died between our look and now
                return
            self._running[key] = _Running(job, self._clock())

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
                    self._display.note(f"{each.job[0]} | {line}")

    def _store(self, job: Job, evaluation: Evaluation) -> None:
        public_id, seed = job
        folds = scores_of_folds(evaluation.measurements, self._study.metric, evaluation.value)
        confirmation = Confirmation(
            public_id, seed, evaluation.value, tuple(folds), self.plan.provenance, evaluation.duration_s
        )
        self._insist(partial(self._registry.add_confirmation, confirmation))
        self.n_done += 1

    def _fail(self, each: _Running, failure: Failure) -> None:
        """Try again as often as the search does; then whoever it was is out."""
        if each.overdue:
            failure = Failure(Outcome.TIMEOUT, f"did not finish within {seconds(self._timeout_s or 0.0)}")
        died = failure.outcome.is_worker_death
        self._ended_badly[each.job, died] += 1
        limits = Limits()
        public_id, said = each.job[0], f"{failure.outcome}: {failure.message}"
        if self._ended_badly[each.job, died] < (limits.deaths if died else limits.failures):
            self._display.note(f"{public_id} failed ({said}); it is tried again")
            return
        self._n_failed += 1
        if public_id not in self.plan.failed:
            self.plan = self.plan.without(public_id, said)
            self._display.note(f"{public_id} cannot be confirmed and is left out: {said}")

    def _status(self, n_left: int) -> Status:
        now = self._clock()
        return Status(
            n_done=self.n_done,
            n_total=self.n_done + n_left,
            n_failed=self._n_failed,
            n_running=len(self._running),
            elapsed_s=now - self._started_at,
            working_s=now - self._started_at,
            metric=self._study.metric,
        )
