"""The loop of a confirmation: repeats on fresh folds over a pool of workers, each stored when it arrives.

What is run next is decided by the race anew after each end, from what is stored alone. So a confirmation that
was killed goes on where it stopped, and two at once take in what the other has stored.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from orchestrator.plan import TimeLimits
from orchestrator.pool import Task, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.signals import StopRequest
from orchestrator.task_loop import TaskLoop
from retrain.confirmation import Plan
from retrain.honest import next_runs, standing
from retrain.improvement import scores_of_folds
from retrain.tables import number
from tuner.experiment import Confirmation, Evaluation, Failure, Params, Study
from tuner.registry.base import Registry

__all__ = ["Repeats"]

Job = tuple[str, int]
"""Public id and seed."""


class Repeats(TaskLoop[Job]):
    """Runs the repeats of a plan until its race is over.

    Args:
        registry: where each repeat is stored.
        study: of all who take part.
        pool: the workers; closed by the caller.
        plan: who takes part.
        params: the configuration of each, by public id.
        around: what every `TaskLoop` is given.

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
        limits: TimeLimits,
        display: Display,
        stop: StopRequest,
        **around: Any,
    ) -> None:
        super().__init__(pool, limits=limits, display=display, stop=stop, **around)
        self.plan = plan
        self.n_done = 0
        self._registry = registry
        self._study = study
        self._params = params
        self._n_failed = 0
        self._told_stopped: set[str] = set()

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
        return next_runs(race)

    def _task(self, job: Job) -> Task:
        public_id, seed = job
        return Task(f"{public_id}~{seed}#{self.n_submitted}", self._params[public_id], seed)

    def _name(self, job: Job) -> str:
        return job[0]

    def _store(self, job: Job, evaluation: Evaluation) -> None:
        public_id, seed = job
        folds = scores_of_folds(evaluation.measurements, self._study.metric, evaluation.value)
        confirmation = Confirmation(
            public_id, seed, evaluation.value, tuple(folds), self.plan.provenance, evaluation.duration_s
        )
        self._insist(partial(self._registry.add_confirmation, confirmation))
        self.n_done += 1

    def _give_up(self, job: Job, failure: Failure) -> None:
        """Whoever it was is out."""
        public_id, said = job[0], f"{failure.outcome}: {failure.message}"
        self._n_failed += 1
        if public_id not in self.plan.failed:
            self.plan = self.plan.without(public_id, said)
            self._display.note(f"{public_id} cannot be confirmed and is left out: {said}")

    def _status(self, n_left: int) -> Status:
        return self._status_of(self.n_done, n_left, self._n_failed, self._study.metric)
