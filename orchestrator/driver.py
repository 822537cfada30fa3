"""Carries out what `plan` decides: claims, submits, records. One thread, one registry, one pool.

Order matters in one place above all: what came back from workers together is committed in one transaction,
before anything else is done with any of it. Whatever ends `run`, an exception included, gives the experiments
back that still run.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from orchestrator.claimed import Claimed, Result
from orchestrator.insist import Insist
from orchestrator.plan import (
    TICK_S,
    Cancel,
    Claim,
    Command,
    Propose,
    Recover,
    RunLimits,
    Snapshot,
    Stop,
    StopReason,
    Wait,
    Warn,
    plan,
)
from orchestrator.pool import Event, Finished, Patience, Printed, Progress, Returned, Started, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.pruning import Judge
from orchestrator.same_error import SameErrors
from orchestrator.signals import StopRequest
from orchestrator.spill import Spill
from orchestrator.tally import Tally
from orchestrator.telling import Teller, recovery_lines, status_of
from retrain.tables import seconds
from tuner.errors import ClaimLostError, PoolError, StorageError
from tuner.experiment import (
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Provenance,
    State,
    Study,
)
from tuner.registry.base import Registry, Run

__all__ = ["MEASURE_EVERY_S", "Driver"]

MEASURE_EVERY_S = 1.0
"""Intermediate reports are stored in one transaction per task and second, not in one each."""

_MOST_MEASURED = 100  # such transactions in a second: with more workers than that, each comes more rarely


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
        self._teller = Teller(display, limits)
        self._stop = stop
        self._judge = judge
        self._spill = spill
        self._clock = clock
        self._insist = Insist(display.note, self._in_a_hurry, until=limits.ends_at, clock=clock, pause=pause)
        self._tasks: dict[str, Claimed] = {}
        self._short_of_memory: set[int] = set()
        self._started_at = self._recovered_at = self._measured_at = clock()
        self._measure_every_s = max(MEASURE_EVERY_S, limits.n_workers / _MOST_MEASURED)
        self._first_claim_at: float | None = None
        self._n_waiting = 0
        self._counted_at = -math.inf
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
                self._teller.stopping(snapshot)
                for command in plan(snapshot, self._limits):
                    if isinstance(command, Stop):
                        self._teller.stopped(command.reason, snapshot)
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
        if n:
            self._teller.elsewhere()
        return n

    def _status(self) -> Status:
        now, first = self._clock(), self._first_claim_at
        return status_of(
            self._study,
            self._tally,
            n_running=min(len(self._tasks), self._pool.n_workers),
            n_left=len(self._tasks) + self._n_waiting + (self._n_to_propose or 0),
            elapsed_s=now - self._started_at,
            working_s=now - (first or now),
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
                self._tasks[key].warned = True
                self._teller.slow(self._tasks[key].right.experiment, after_s)
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
        patience = Patience() if self._judge is not None else None
        tasks = [Claimed.of(right, now, patience) for right in rights]
        self._tasks.update({task.key: task for task in tasks})
        if len(tasks) > self._pool.n_free:
            self._submit_ahead(tasks)
            return
        for task in tasks:
            try:
                self._pool.submit(task.work)
            except ValueError:  # its worker died between our look and now
                self._release(task)

    def _submit_ahead(self, tasks: Sequence[Claimed]) -> None:
        for task in tasks:
            task.started_at = math.inf
        try:
            self._pool.submit_ahead([task.work for task in tasks])
        except ValueError:  # a worker died between our look and now
            for task in tasks:
                self._release(task)

    def _release(self, task: Claimed) -> None:
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
        returned: list[Claimed] = []
        for event in events:
            task = self._tasks.get(event.key)
            if task is None:
                continue
            match event:
                case Finished():
                    ended[event.key] = task.as_asked(event.result)
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

    def _consider(self, task: Claimed, report: Progress) -> None:
        """Have a task stop where the pruner says so after its report; else let it go on at once."""
        if self._judge is None or task.pruned or task.cancelled:
            return
        prune = self._judge.should_prune(task.right.experiment, report.step, report.metrics)
        self._teller.lacking(self._judge.lacking)
        if prune:
            task.pruned = True
            self._pool.prune(task.key)
        elif report.waits:
            self._pool.go_on(task.key, report.step)

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
                self._lost(experiment)
                continue
            self._tally.add(experiment)
            if self._judge is not None:
                self._judge.end(experiment, result.measurements)
            if isinstance(result, Failure):
                self._teller.failure(experiment, result)
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
                self._lost(error)
                self._cancel(key, Failure(Outcome.CANCELLED, "the claim was lost"))

    def _salvage(self) -> None:
        """The registry is of no use any more: keep what still ends in the grace and the time left."""
        until = min(self._clock() + self._limits.grace_s, self._limits.ends_at)
        while self._tasks and self._spill is not None and not self._in_a_hurry():
            left_s = until - self._clock()
            events: Sequence[Event] = ()
            with suppress(PoolError):
                events = self._pool.wait(min(TICK_S, max(0.0, left_s)))
            self._keep(
                {
                    event.key: self._tasks[event.key].as_asked(event.result)
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

    def _lost(self, error: ClaimLostError) -> None:
        self._teller.fenced(error)
        self._insist(lambda: self._registry.log("fenced", str(error), salience=0.5))
