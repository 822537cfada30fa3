"""The loop that fits and tests configurations over a pool; each is stored when it arrives.

A fit is a look at held-out rows, and counted as one. What was looked at before with the same data and code is
not fitted again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from orchestrator.comparison.job import JOB, TEST, Job
from orchestrator.plan import TimeLimits
from orchestrator.pool import Task, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.signals import StopRequest
from orchestrator.task_loop import TaskLoop
from retrain.who import who
from tuner.experiment import Evaluation, Failure, Outcome, Params, Provenance
from tuner.registry.base import HoldoutRead, Registry, RegistryReader
from tuner.space import config_key

__all__ = ["Fit", "Fits", "find_fits"]

WHY = "orchestrator compare"

Key = tuple[Provenance, str]
"""What a fit's figures are of: data, code, metric and what the gain is over; and the configuration."""

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
    def key(self) -> Key:
        """By which it is found again."""
        return self.scored_on, config_key(self.params)


def find_fits(registry: RegistryReader, pipeline: str) -> dict[Key, Figures]:
    """The figures of every fit of a comparison so far, by `Fit.key`."""
    found: dict[Key, Figures] = {}
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


class Fits(TaskLoop[Key]):
    """Fits and tests until nothing is left, the time is up or the user asks to stop.

    Args:
        registry: where looks are counted.
        pipeline: the name they are stored under.
        pool: the workers; closed by the caller.
        fits: what there is to do.
        seed: of every fit.
        around: what every `TaskLoop` is given.

    Attributes:
        found: figures by `Fit.key`.
        failed: why, by `Fit.key`.
    """

    retries_overdue = False

    def __init__(
        self,
        registry: Registry,
        pipeline: str,
        pool: WorkerPool,
        fits: Sequence[Fit],
        *,
        seed: int,
        limits: TimeLimits,
        display: Display,
        stop: StopRequest,
        **around: Any,
    ) -> None:
        super().__init__(pool, limits=limits, display=display, stop=stop, **around)
        self.found: dict[Key, Figures] = {}
        self.failed: dict[Key, str] = {}
        self._registry, self._pipeline, self._seed = registry, pipeline, seed
        self._fits = {fit.key: fit for fit in fits}

    def _wanted(self) -> list[Key]:
        return [key for key in self._fits if key not in self.found and key not in self.failed]

    def _task(self, job: Key) -> Task:
        fit = self._fits[job]
        both = [dict(fit.params)] + ([] if fit.against is None else [dict(fit.against)])
        key = f"{fit.job.key}#{self.n_submitted}"
        return Task(key, {JOB: fit.job.key, TEST: json.dumps(both)}, self._seed)

    def _name(self, job: Key) -> str:
        return self._fits[job].job.key

    def _store(self, job: Key, evaluation: Evaluation) -> None:
        fit = self._fits[job]
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
        self._insist(partial(self._registry.add_holdout_read, read))
        self.found[job] = figures

    def _give_up(self, job: Key, failure: Failure) -> None:
        overdue = failure.outcome is Outcome.TIMEOUT
        self.failed[job] = "it took too long" if overdue else f"{failure.outcome}: {failure.message}"
        self._display.note(f"{self._fits[job].job.model} could not be fitted: {self.failed[job]}")

    def _status(self, n_left: int) -> Status:
        return self._status_of(len(self.found) + len(self.failed), n_left, len(self.failed), "")
