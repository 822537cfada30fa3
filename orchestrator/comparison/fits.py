"""The loop that fits and tests configurations over a pool; each is stored when it arrives.

A fit is a look at held-out rows, and counted as one. What was looked at before with the same data and code is
not fitted again.
"""

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.comparison.job import JOB, TEST, Job
from orchestrator.plan import TICK_S, StopReason
from orchestrator.pool import Event, Finished, Printed, Returned, Task, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.signals import StopRequest
from retrain.who import who
from tuner.experiment import Evaluation, Failure, Params, Provenance
from tuner.registry.base import HoldoutRead, Limits, Registry, RegistryReader
from tuner.space import config_key

__all__ = ["Fit", "Fits", "find_fits"]

WHY = "orchestrator compare"

Figures = Mapping[tuple[str, str, str], float]
"""By what, metric and test set: value, low, high, gain, gain_low, gain_high."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A configuration to fit on a job's training rows, and to test.

    Attributes:
        job: model and training rows.
        params: what is fitted.
        provenance: of the job.
        tests: names of its test sets.
        against: what the gain is measured over; None for the defaults themselves.
        experiment: public id of the experiment whose configuration it is.
    """

    job: Job
    params: Params
    provenance: Provenance
    tests: tuple[str, ...]
    against: Params | None = None
    experiment: str | None = None

    @property
    def scored_on(self) -> Provenance:
        """What its figures are of: also of what the gain is over."""
        if self.against is None:
            return self.provenance
        digest = hashlib.sha256(config_key(self.against).encode()).hexdigest()[:10]
        return replace(self.provenance, metric=f"{self.provenance.metric}; gain over {digest}")

    @property
    def key(self) -> tuple[Provenance, str]:
        """By which it is found again."""
        return self.scored_on, config_key(self.params)


def find_fits(registry: RegistryReader, pipeline: str) -> dict[tuple[Provenance, str], Figures]:
    """The figures of every fit of a comparison so far, by `Fit.key`."""
    found: dict[tuple[Provenance, str], Figures] = {}
    for read in registry.holdout_reads(pipeline):
        if read.why == WHY:
            found[read.provenance, config_key(read.params)] = _figures_of(read)
    return found


def _figures_of(read: HoldoutRead) -> Figures:
    figures: dict[tuple[str, str, str], float] = {}
    for name, value in read.metrics.items():
        what, metric, test = name.split(":", 2)
        figures["gain" if what == "gain" else "value", metric, test] = value
        if name in read.intervals:
            prefix = "gain_" if what == "gain" else ""
            figures[f"{prefix}low", metric, test], figures[f"{prefix}high", metric, test] = read.intervals[
                name
            ]
    return figures


@dataclass(slots=True)
class _Running:
    fit: Fit
    overdue: bool = False
    started_at: float = field(default=0.0)


class Fits:
    """Fits and tests until nothing is left, the time is up or the user asks to stop.

    Args:
        registry: where looks are counted.
        pipeline: the name they are stored under.
        pool: the workers; closed by the caller.
        fits: what there is to do.
        seed: of every fit.
        deadline: on the clock; None for none.
        timeout_s: after which one fit is ended; None for none.
        grace_s: how long running ones may go on after a stop.
        clock: monotonic seconds.

    Attributes:
        found: figures by `Fit.key`.
        failed: why, by `Fit.key`.
    """

    def __init__(
        self,
        registry: Registry,
        pipeline: str,
        pool: WorkerPool,
        fits: Sequence[Fit],
        *,
        seed: int,
        deadline: float | None,
        timeout_s: float | None,
        grace_s: float,
        display: Display,
        stop: StopRequest,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.found: dict[tuple[Provenance, str], Figures] = {}
        self.failed: dict[tuple[Provenance, str], str] = {}
        self._registry, self._pipeline, self._pool = registry, pipeline, pool
        self._waiting = deque(fits)
        self._n_total = len(fits)
        self._seed, self._deadline, self._timeout_s, self._grace_s = seed, deadline, timeout_s, grace_s
        self._display, self._stop, self._clock = display, stop, clock
        self._running: dict[str, _Running] = {}
        self._ended_badly: Counter[tuple[tuple[Provenance, str], bool]] = Counter()
        self._n_submitted = 0
        self._started_at = clock()

    def run(self) -> StopReason:
        """Go on until the end.

        Raises:
            PoolError: the workers are gone for good.
            StorageError: the registry refused a look.
        """
        while self._waiting or self._running:
            if self._stop.stop_now:
                return StopReason.INTERRUPTED
            since = self._stopping()
            if since is None:
                self._submit()
            elif not self._running or self._clock() >= since[0] + self._grace_s:
                return since[1]
            self._cancel_overdue()
            self._take_in(self._pool.wait(TICK_S))
            self._display.show(self._status())
        return StopReason.DONE

    def _stopping(self) -> tuple[float, StopReason] | None:
        if self._stop.stop_at is not None:
            return self._stop.stop_at, StopReason.INTERRUPTED
        if self._deadline is not None and self._clock() >= self._deadline:
            return self._deadline, StopReason.TIMEOUT
        return None

    def _submit(self) -> None:
        while self._waiting and self._pool.n_free:
            fit = self._waiting.popleft()
            self._n_submitted += 1
            key = f"{fit.job.key}#{self._n_submitted}"
            both = [dict(fit.params)] + ([] if fit.against is None else [dict(fit.against)])
            try:
                self._pool.submit(Task(key, {JOB: fit.job.key, TEST: json.dumps(both)}, self._seed))
            except ValueError:  # its worker died between our look and now
                self._waiting.appendleft(fit)
                return
            self._running[key] = _Running(fit, started_at=self._clock())

    def _cancel_overdue(self) -> None:
        for key, each in self._running.items():
            late = self._timeout_s is not None and self._clock() >= each.started_at + self._timeout_s
            if late and not each.overdue:
                each.overdue = True
                self._pool.cancel(key)

    def _take_in(self, events: Iterable[Event]) -> None:
        for event in events:
            each = self._running.get(event.key)
            if each is None:
                continue
            if isinstance(event, Finished):
                del self._running[event.key]
                if isinstance(event.result, Evaluation):
                    self._store(each.fit, event.result)
                elif isinstance(event.result, Failure):  # nothing is pruned here
                    self._fail(each, event.result)
            elif isinstance(event, Returned):
                del self._running[event.key]
                self._waiting.appendleft(each.fit)
            elif isinstance(event, Printed):
                for line in event.lines:
                    self._display.note(f"{each.fit.job.key} | {line}")

    def _store(self, fit: Fit, evaluation: Evaluation) -> None:
        figures: dict[tuple[str, str, str], float] = {}
        for name, value in evaluation.metrics.items():
            what, metric, number = name.split(":", 2)
            figures[what, metric, fit.tests[int(number)]] = value
        read = HoldoutRead(
            self._pipeline,
            fit.params,
            {
                f"{'gain' if what == 'gain' else 'test'}:{metric}:{test}": value
                for (what, metric, test), value in figures.items()
                if what in ("value", "gain")
            },
            fit.scored_on,
            WHY,
            who(),
            experiment=fit.experiment,
            intervals={
                f"{name}:{metric}:{test}": (figures[low, metric, test], figures[high, metric, test])
                for name, low, high in (("test", "low", "high"), ("gain", "gain_low", "gain_high"))
                for (what, metric, test) in figures
                if what == low
            },
        )
        self._registry.add_holdout_read(read)
        self.found[fit.key] = figures

    def _fail(self, each: _Running, failure: Failure) -> None:
        """Try again as often as a search does."""
        died, limits, key = failure.outcome.is_worker_death, Limits(), each.fit.key
        self._ended_badly[key, died] += 1
        if not each.overdue and self._ended_badly[key, died] < (limits.deaths if died else limits.failures):
            self._waiting.append(each.fit)
            return
        said = "it took too long" if each.overdue else f"{failure.outcome}: {failure.message}"
        self.failed[key] = said
        self._display.note(f"{each.fit.job.model} could not be fitted: {said}")

    def _status(self) -> Status:
        elapsed_s = self._clock() - self._started_at
        return Status(
            n_done=len(self.found) + len(self.failed),
            n_total=self._n_total,
            n_failed=len(self.failed),
            n_running=len(self._running),
            elapsed_s=elapsed_s,
            working_s=elapsed_s,
            metric="",
        )
