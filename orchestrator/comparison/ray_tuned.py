"""Tuning of a job by Ray Tune, whose trials become experiments of the job's study.

A tuning that is interrupted is searched again from its seed; what it had tried is recognised and kept.
"""

import statistics
import time

from orchestrator.comparison.design import RAY_TUNE, Design
from orchestrator.comparison.job import JOB, Job
from orchestrator.heartbeat import Heartbeat
from orchestrator.plan import StopReason
from orchestrator.progress import Display, Status
from orchestrator.ray_tuning import RayTuning, Search, Tried
from orchestrator.request import Request
from orchestrator.run_info import run_info
from orchestrator.signals import StopRequest
from orchestrator.telling import recovery_lines
from retrain.pipeline import Pipeline
from tuner.experiment import (
    Direction,
    Evaluation,
    Failure,
    Outcome,
    Partial,
    Provenance,
    State,
    Study,
    Suggestion,
)
from tuner.registry.base import Claim, Limits, Registry, Run
from tuner.space import config_key

__all__ = ["tune_by_ray"]


def tune_by_ray(
    registry: Registry,
    found: Design,
    job: Job,
    study: Study,
    pipeline: Pipeline,
    tuning: RayTuning,
    request: Request,
    *,
    limit_s: float | None,
    display: Display,
    stop: StopRequest,
) -> tuple[StopReason, str]:
    """Have Ray Tune search, and store each trial as it ends; why it ended, and what failed."""
    config, asked = found.configs[job.model], found.asked
    for line in recovery_lines(registry.recover()):
        display.note(line)
    run = registry.start_run(
        study, method=RAY_TUNE, n_wanted=asked.trials, seed=study.seed, info=run_info(request.command)
    )
    search = Search(
        space=study.space,
        extra={JOB: job.key},
        metric=study.metric,
        mode="max" if study.direction is Direction.MAXIMIZE else "min",
        n_trials=asked.trials + 1,
        n_steps=found.n_folds(job) * config.splits.repeats,
        seed=study.seed,
        timeout_s=limit_s,
    )
    recorded = _Recorded(registry, study, run, pipeline.provenance(), asked.trials + 1, display)
    started_at = time.monotonic()
    try:
        with Heartbeat(registry.heartbeat):
            whole = tuning.run(search, recorded.take, lambda: stop.stop_at is not None)
    finally:
        recorded.close()
        display.close()
    if not whole:
        return StopReason.INTERRUPTED, ""
    if limit_s is not None and time.monotonic() - started_at >= limit_s:
        return StopReason.TIMEOUT, recorded.why
    registry.end_run(run)
    return StopReason.DONE, recorded.why


class _Recorded:
    """Makes an experiment of each trial that ended.

    Attributes:
        why: what the last failed trial failed with.
    """

    def __init__(
        self, registry: Registry, study: Study, run: Run, provenance: Provenance, n: int, display: Display
    ) -> None:
        self.why = ""
        self._registry, self._study, self._run, self._provenance = registry, study, run, provenance
        self._display, self._n_total = display, n
        self._held: dict[str, Claim] = {}
        self._n_done = self._n_failed = 0
        self._started_at = time.monotonic()

    def take(self, tried: Tried) -> None:
        """Write the row of a trial, claim it and end it. One that the study has already stays as it is."""
        self._n_done += 1
        self._registry.add(self._study, [Suggestion(tried.params, RAY_TUNE)], run=self._run)
        waiting = self._registry.counts(self._study)[State.WAITING]
        for claim in self._registry.claim(self._study, waiting) if waiting else ():
            self._held[config_key(claim.experiment.params)] = claim
        held = self._held.pop(config_key(tried.params), None)
        if held is not None:
            self._registry.finish(
                [(held, self._end_of(tried))], self._provenance, Limits(failures=1, deaths=1)
            )
        self._display.show(self._status())

    def close(self) -> None:
        """Give back what was never tried, such as the defaults where the time was over at once."""
        self._registry.release(list(self._held.values()))
        self._held.clear()

    def _end_of(self, tried: Tried) -> Evaluation | Failure | Partial:
        if isinstance(tried.result, Evaluation):
            return tried.result
        if isinstance(tried.result, Failure):
            self._n_failed += 1
            self.why = f"{tried.result.outcome}: {tried.result.message}"
            return tried.result
        if not tried.reports:
            return Failure(Outcome.CANCELLED, "Ray Tune ended it before its first report")
        value = statistics.fmean(each.value for each in tried.reports)
        return Partial(value, tried.reports[-1].step, {}, tried.reports, tried.duration_s)

    def _status(self) -> Status:
        elapsed_s = time.monotonic() - self._started_at
        best = next(iter(self._registry.best(self._study, 1, self._provenance)), None)
        return Status(
            n_done=self._n_done,
            n_total=self._n_total,
            n_failed=self._n_failed,
            n_running=0,
            elapsed_s=elapsed_s,
            working_s=elapsed_s,
            metric=self._study.metric,
            best=None if best is None else best.value,
            best_error=None if best is None else best.std_error,
        )
