"""Carries out what `plan` decides: claims, submits, records. One thread, one registry, one pool.

Order matters in one place above all: what came back from workers together is committed in one transaction,
before anything else is done with any of it. Whatever ends `run`, an exception included, gives the experiments
back that still run.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from orchestrator.insist import Insist
from orchestrator.plan import (
    TICK_S,
    Cancel,
    Claim,
    Command,
    Propose,
    Recover,
    RunLimits,
    Running,
    Snapshot,
    Stop,
    StopReason,
    Wait,
    Warn,
    plan,
)
from orchestrator.pool import Event, Finished, Printed, Progress, Returned, Started, Task, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.pruning import Judge
from orchestrator.same_error import SameErrors
from orchestrator.signals import StopRequest
from orchestrator.spill import Spill
from orchestrator.tally import Tally
from retrain.tables import seconds
from tuner.errors import ClaimLostError, PoolError, StorageError
from tuner.experiment import (
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Partial,
    Provenance,
    State,
    Study,
)
from tuner.registry.base import Claim as Right
from tuner.registry.base import Recovered, Registry, Run

__all__ = ["MEASURE_EVERY_S", "Driver", "recovery_lines"]

MEASURE_EVERY_S = 1.0
"""Intermediate reports are stored in one transaction per task and second, not in one each."""

_MOST_MEASURED = 100  # such transactions in a second: with more workers than that, each comes more rarely

_N_CAUSES_TOLD = 10

Result = Evaluation | Failure | Partial


@dataclass(kw_only=True)
class _Task(Running):
    """One claimed experiment in the pool, and what is to be recorded where its end was our doing.

    Attributes:
        pruned: it was told to stop at its next report.
    """

    right: Right
    why: Failure | None = None
    pruned: bool = False
    unsent: list[Measurement] = field(default_factory=list)


class Driver:
    """Runs a study's waiting experiments, and writes new candidates where a method is given.

    Args:
        registry: where the study is; claims are made in its owner's name.
        run: this invocation's row.
        pool: the workers; closed by the caller.
        tally: takes in what finishes.
        provenance: what results are scored on now; stored with each.
        propose: writes up to n candidates (None: a full design) and returns those that are new.
        n_to_propose: how many of them are still wanted; None for one full design.
        judge: says which running experiments should stop; None for none.
        spill: where results are kept that the registry would not take.
        stop: whether the user asked to stop.
        clock: monotonic seconds.

    Attributes:
        n_released: experiments given back at the end.
        exhausted: the method had fewer candidates than were wanted.
        same_errors: the experiments that failed alike, last in a row.
    """

    def __init__(
        self,
        registry: Registry,
        study: Study,
        run: Run,
        pool: WorkerPool,
        tally: Tally,
        *,
        provenance: Provenance,
        limits: RunLimits,
        propose: Callable[[int | None], Sequence[Experiment]] | None,
        n_to_propose: int | None,
        display: Display,
        stop: StopRequest,
        judge: Judge | None = None,
        spill: Spill | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry = registry
        self._study = study
        self._run = run
        self._pool = pool
        self._tally = tally
        self._provenance = provenance
        self._limits = limits
        self._propose_new = propose
        self._n_to_propose = n_to_propose if propose else 0
        self._display = display
        self._stop = stop
        self._judge = judge
        self._spill = spill
        self._clock = clock
        self._insist = Insist(display.note, self._in_a_hurry, clock=clock, pause=pause)
        self._tasks: dict[str, _Task] = {}
        self._short_of_memory: set[int] = set()
        self._causes_told: set[tuple[Outcome, str]] = set()
        self._started_at = self._recovered_at = self._measured_at = clock()
        self._measure_every_s = max(MEASURE_EVERY_S, limits.n_workers / _MOST_MEASURED)
        self._first_claim_at: float | None = None
        self._n_waiting = 0
        self._counted_at = -math.inf
        self._told_elsewhere = self._told_of_stop = False
        self.n_released = 0
        self.exhausted = False
        self.same_errors = SameErrors()

    def run(self) -> StopReason:
        """Go on until there is nothing left to do, the budget is spent or the user asks to stop.

        Raises:
            PoolError: the workers are gone for good.
            StorageError: the registry refused a write for too long.
        """
        try:
            while True:
                snapshot = self._snapshot()
                self._tell_of_stop(snapshot)
                for command in plan(snapshot, self._limits):
                    if isinstance(command, Stop):
                        self._tell_of_early_stop(command.reason, snapshot)
                        with suppress(PoolError):
                            self._take_in(self._pool.wait(0.0))
                        return command.reason
                    self._carry_out(command)
                self._display.show(self._status())
        except PoolError:
            raise
        except StorageError:
            self._salvage()
            raise
        finally:
            self._give_back()

    # ---- looking

    def _snapshot(self) -> Snapshot:
        n_elsewhere = self._look_for_work()
        return Snapshot(
            now=self._clock(),
            n_waiting=self._n_waiting,
            n_free=self._pool.n_free,
            running=self._tasks.values(),
            n_elsewhere=n_elsewhere,
            n_to_propose=self._n_to_propose,
            typical_s=self._tally.typical_s,
            n_short_of_memory=len(self._short_of_memory),
            recovered_at=self._recovered_at,
            stop_at=self._stop.stop_at,
            stop_now=self._stop.stop_now,
            failed_alike_at=self.same_errors.times,
            is_regional=self.same_errors.is_regional,
        )

    def _look_for_work(self) -> int:
        """Count what waits: each tick, since others write and claim too, and before the run is called done.

        In between, what we do ourselves is known. Returns how many of this run another orchestrator runs.
        """
        if self._has_work() and self._clock() - self._counted_at < TICK_S:
            return 0
        self._counted_at = self._clock()
        counts = self._insist(lambda: self._registry.counts(self._study))
        self._n_waiting = counts[State.WAITING]
        if self._judge is not None:
            n_ended = sum(n for state, n in counts.items() if state.finished)
            self._insist(partial(self._judge.catch_up, self._registry, n_ended, self._is_ours))
        return self._n_elsewhere() if counts[State.RUNNING] and not self._has_work() else 0

    def _is_ours(self, experiment: Experiment) -> bool:
        return any(task.right.experiment.id == experiment.id for task in self._tasks.values())

    def _has_work(self) -> bool:
        return bool(self._tasks or self._n_waiting or self._n_to_propose != 0)

    def _n_elsewhere(self) -> int:
        n = self._insist(lambda: self._registry.counts(self._study, self._run))[State.RUNNING]
        if n and not self._told_elsewhere:
            self._told_elsewhere = True
            self._display.note("another orchestrator runs the last experiments of this run; waiting for it")
        return n

    def _status(self) -> Status:
        n_done = self._tally.n_complete + self._tally.n_pruned + self._tally.n_failed
        best, baseline = self._tally.best, self._tally.baseline
        return Status(
            n_done=n_done,
            n_total=n_done + len(self._tasks) + self._n_waiting + (self._n_to_propose or 0),
            n_failed=self._tally.n_failed,
            n_pruned=self._tally.n_pruned,
            n_running=min(len(self._tasks), self._pool.n_workers),
            elapsed_s=self._clock() - self._started_at,
            working_s=self._clock() - (self._first_claim_at or self._clock()),
            metric=self._study.metric,
            best=best.value if best else None,
            baseline=baseline.value if baseline else None,
            best_error=best.std_error if best else None,
            baseline_error=baseline.std_error if baseline else None,
        )

    def _in_a_hurry(self) -> bool:
        asked = self._stop.stop_at
        return self._stop.stop_now or (asked is not None and self._clock() - asked >= self._limits.grace_s)

    # ---- acting

    def _carry_out(self, command: Command) -> None:
        match command:
            case Propose(n):
                self._propose(n)
            case Claim(n):
                self._claim(n)
            case Cancel(key, limit_s):
                self._cancel(key, Failure(Outcome.TIMEOUT, f"did not finish within {seconds(limit_s)}"))
            case Warn(key, after_s):
                task = self._tasks[key]
                task.warned = True
                self._display.note(
                    f"{task.right.experiment.public_id} has been running for {seconds(after_s)}; "
                    "only --experiment-timeout would end it"
                )
            case Recover():
                self._recovered_at = self._clock()
                self._counted_at = -math.inf
                for line in recovery_lines(self._insist(self._registry.recover)):
                    self._display.note(line)
            case Wait(wait_s):
                self._take_in(self._pool.wait(wait_s))

    def _propose(self, n: int | None) -> None:
        assert self._propose_new is not None
        n_rows = self._n_rows()
        new = self._insist(partial(self._propose_new, n))
        self._n_waiting += len(new)
        if n is None:
            self._n_to_propose = 0
            return
        assert self._n_to_propose is not None
        self._n_to_propose -= len(new)
        # Nothing new, but not exhausted, where another orchestrator wrote the very same at this moment.
        if not new and self._n_rows() == n_rows:
            self.exhausted = True
            self._n_to_propose = 0

    def _n_rows(self) -> int:
        return sum(self._insist(lambda: self._registry.counts(self._study)).values())

    def _claim(self, n: int) -> None:
        rights = self._insist(lambda: self._registry.claim(self._study, n))
        self._n_waiting = max(0, self._n_waiting - n) if len(rights) == n else 0
        now = self._clock()
        if rights and self._first_claim_at is None:
            self._first_claim_at = now
        # All are ours from here on, so that all are given back if a submit raises.
        tasks = [_Task(f"{right.experiment.public_id}#{right.attempt}", now, right=right) for right in rights]
        self._tasks.update({task.key: task for task in tasks})
        if len(tasks) > self._pool.n_free:
            self._submit_ahead(tasks)
            return
        for task in tasks:
            try:
                self._pool.submit(_work_of(task))
            except ValueError:  # its worker died between our look and now
                self._release(task)

    def _submit_ahead(self, tasks: Sequence[_Task]) -> None:
        for task in tasks:
            task.started_at = math.inf
        try:
            self._pool.submit_ahead([_work_of(task) for task in tasks])
        except ValueError:  # a worker died between our look and now
            for task in tasks:
                self._release(task)

    def _release(self, task: _Task) -> None:
        del self._tasks[task.key]
        if self._judge is not None:
            self._judge.forget(task.right.experiment)
        self._n_waiting += self._insist(partial(self._registry.release, [task.right]))

    def _cancel(self, key: str, why: Failure) -> None:
        task = self._tasks[key]
        task.cancelled, task.why = True, why
        self._pool.cancel(key)

    def _take_in(self, events: Iterable[Event]) -> None:
        ended: dict[str, Result] = {}
        returned: list[_Task] = []
        for event in events:
            task = self._tasks.get(event.key)
            if task is None:
                continue
            match event:
                case Finished():
                    ended[event.key] = _as_asked(task, event.result)
                case Returned():
                    returned.append(task)
                case Printed():
                    for line in event.lines:
                        self._display.note(f"{task.right.experiment.public_id} | {line}")
                case Started():  # and is the youngest of those that run
                    task.started_at = self._clock()
                    self._tasks[event.key] = self._tasks.pop(event.key)
                case Progress():
                    task.unsent += [Measurement(event.step, *item) for item in event.metrics.items()]
                    self._consider(task, event)
        if ended:
            self._record(ended)
        for task in returned:
            self._release(task)
        if self._clock() - self._measured_at >= self._measure_every_s:
            self._measured_at = self._clock()
            self._store_reports()

    def _consider(self, task: _Task, report: Progress) -> None:
        """Have a task stop where the pruner says so after its report."""
        if self._judge is None or task.pruned or task.cancelled:
            return
        if self._judge.should_prune(task.right.experiment, report.step, report.metrics):
            task.pruned = True
            self._pool.prune(task.key)

    def _record(self, ended: dict[str, Result]) -> None:
        """Commit the ends of all these attempts together, and only then tell of any."""
        results = [(self._tasks[key].right, result) for key, result in ended.items()]
        try:
            stored = self._insist(partial(self._registry.finish, results, self._provenance))
        except StorageError:
            self._keep(ended)
            raise
        for (key, result), experiment in zip(ended.items(), stored, strict=True):
            del self._tasks[key]
            if isinstance(experiment, ClaimLostError):
                self._tell_fenced(experiment)
                continue
            self._tally.add(experiment)
            if self._judge is not None:
                self._judge.end(experiment, result.measurements)
            if isinstance(result, Failure):
                self._tell_failure(experiment, result)
            if experiment.state.finished:
                self.same_errors.add(experiment, self._clock())
                self._short_of_memory.discard(experiment.id)
                continue
            self._n_waiting += 1  # it is tried again
            if isinstance(result, Failure) and result.outcome is Outcome.OUT_OF_MEMORY:
                self._short_of_memory.add(experiment.id)

    def _store_reports(self) -> None:
        """Store what running tasks reported. The reports of a finished one travel with its result."""
        for key, task in self._tasks.items():
            if not task.unsent or task.cancelled:
                continue
            unsent, task.unsent = task.unsent, []
            try:
                self._insist(partial(self._registry.measure, task.right, unsent))
            except ClaimLostError as error:
                self._tell_fenced(error)
                self._cancel(key, Failure(Outcome.CANCELLED, "the claim was lost"))

    def _salvage(self) -> None:
        """The registry is of no use any more: keep what still ends within the grace."""
        until = self._clock() + self._limits.grace_s
        while self._tasks and self._spill is not None and not self._in_a_hurry():
            left_s = until - self._clock()
            events: Sequence[Event] = ()
            with suppress(PoolError):
                events = self._pool.wait(min(TICK_S, max(0.0, left_s)))
            self._keep(
                {
                    event.key: _as_asked(self._tasks[event.key], event.result)
                    for event in events
                    if isinstance(event, Finished) and event.key in self._tasks
                }
            )
            if left_s <= 0:
                break

    def _keep(self, ended: dict[str, Result]) -> None:
        """Write results beside the registry that it would not take. Their claims are not given back."""
        if self._spill is None or not ended:
            return
        n = f"{len(ended)} result{'s' if len(ended) > 1 else ''}"
        try:
            self._spill.keep([(self._tasks[key].right, end) for key, end in ended.items()], self._provenance)
        except OSError as error:
            self._display.note(f"{n} could not be kept in {self._spill.path} either: {error.strerror}")
            self._spill = None
            return
        for key in ended:
            del self._tasks[key]
        self._display.note(f"{n} kept in {self._spill.path}; the next start stores what is kept there")

    def _give_back(self) -> None:
        if not self._tasks:
            return
        try:
            self.n_released = self._registry.release([task.right for task in self._tasks.values()])
        except StorageError as error:
            self._display.note(f"{error} What was running is taken back at the next start.")
        self._tasks.clear()

    # ---- telling

    def _tell_of_stop(self, snapshot: Snapshot) -> None:
        if snapshot.stop_at is None or snapshot.stop_now or not snapshot.running or self._told_of_stop:
            return
        self._told_of_stop = True
        n, grace = len(snapshot.running), seconds(self._limits.grace_s)
        self._display.note(
            f"finishing {n} running experiment{'s' if n > 1 else ''} (up to {grace}); Ctrl-C again stops now"
        )

    def _tell_of_early_stop(self, reason: StopReason, snapshot: Snapshot) -> None:
        deadline = self._limits.deadline
        if reason is StopReason.TIMEOUT and deadline is not None and snapshot.now < deadline:
            left_s, each_s = deadline - snapshot.now, snapshot.typical_s or 0.0
            self._display.note(
                f"{seconds(left_s)} are left, and an experiment takes about {seconds(each_s)}: none is begun"
            )

    def _tell_fenced(self, error: ClaimLostError) -> None:
        self._display.note(f"fenced: {error}")
        self._insist(lambda: self._registry.log("fenced", str(error), salience=0.5))

    def _tell_failure(self, experiment: Experiment, failure: Failure) -> None:
        """Each cause is told once, when it first turns up: a thousand failures are one line."""
        cause = (failure.outcome, failure.message)
        if cause in self._causes_told or len(self._causes_told) >= _N_CAUSES_TOLD:
            return
        self._causes_told.add(cause)
        again = "" if experiment.state.finished else "; it is tried again"
        self._display.note(f"{experiment.public_id} failed ({failure.outcome}): {failure.message}{again}")


def _work_of(task: _Task) -> Task:
    experiment = task.right.experiment
    return Task(task.key, experiment.params, experiment.seed, tuning=True)


def _as_asked(task: _Task, result: Result) -> Result:
    """What a pool calls cancelled has the reason for which we cancelled it."""
    if task.why is None or not isinstance(result, Failure) or result.outcome is not Outcome.CANCELLED:
        return result
    return replace(result, outcome=task.why.outcome, message=task.why.message)


def recovery_lines(recovered: Iterable[Recovered]) -> list[str]:
    """Say what was taken back, one line per dead orchestrator."""
    by_owner: dict[str, list[Recovered]] = defaultdict(list)
    for each in recovered:
        by_owner[each.owner].append(each)
    return [
        f"recovered {len(left)} experiment{'s' if len(left) > 1 else ''} left by orchestrator {owner[:4]} "
        f"(dead {seconds(max(each.dead_s for each in left))})"
        for owner, left in by_owner.items()
    ]
