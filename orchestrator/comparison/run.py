"""A comparison from its request to its result. Nothing is written before all of it is known to be sound."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from orchestrator.allowance import allowance
from orchestrator.comparison.design import METHODS, RAY_TUNE, Asked, Design, design
from orchestrator.comparison.fits import Fit, Fits, find_fits
from orchestrator.comparison.job import Job, JobPool, Jobs, pipeline_of
from orchestrator.comparison.results import Row, rows_of_results
from orchestrator.comparison.tuned import Tuned, find_tuned, finish_tuning, study_of, study_spec
from orchestrator.plan import StopReason, TimeLimits
from orchestrator.pool import WorkerPool
from orchestrator.progress import Display
from orchestrator.request import Request
from orchestrator.signals import StopRequest
from orchestrator.spill import Spill
from retrain.tune_rows import tuned_on
from tuner.errors import UsageError
from tuner.experiment import Provenance
from tuner.registry import open_registry
from tuner.registry.base import Registry, StudySpec
from tuner.space import config_key

if TYPE_CHECKING:
    from orchestrator.ray_tuning import RayTuning
    from retrain.config import Config

__all__ = ["Compared", "compare"]


@dataclass(frozen=True, slots=True)
class Compared:
    """The end of one comparison.

    Attributes:
        reason: why it ended.
        design: what was compared.
        rows: the figures; empty unless it came to its end.
        failures: what could not be tuned or fitted, and why.
        n_tuned, n_fitted: how many were done here; what was known before is not done again.
        elapsed_s: of it.
        folder: where the files go.
        command: what continues it.
        exit_code: of the process.
    """

    reason: StopReason
    design: Design
    rows: Sequence[Row]
    failures: Sequence[str]
    n_tuned: int
    n_fitted: int
    elapsed_s: float
    folder: Path
    command: Sequence[str]
    exit_code: int


@dataclass(slots=True)
class _State:
    """What is known so far."""

    provenances: dict[Job, Provenance] = field(default_factory=dict)
    specs: dict[Job, StudySpec] = field(default_factory=dict)
    tunings: dict[Job, Tuned] = field(default_factory=dict)
    n_tuned: int = 0


def compare(
    config: "Config", asked: Asked, folder: Path, request: Request, *, display: Display, stop: StopRequest
) -> Compared:
    """Tune, fit and test what is asked for, and write down what came of it.

    Args:
        config: names the data, the column of the sites, and the models' spaces.
        asked: what is to be compared.
        folder: for the files; made where it is missing.
        request: the workers, and the time for all of it.
        display: where progress is told.
        stop: whether the user asked to stop.

    Raises:
        UsageError: something cannot be compared; nothing was written.
        PoolError: the workers cannot be started, or were lost.
        StorageError: the registry cannot be used.
    """
    request = request.settled()
    started_at = time.monotonic() if request.started_at is None else request.started_at
    found = design(config, asked)
    _make(folder)
    allowed = allowance(request.timeout_s, started_at, time.monotonic())
    deadline = allowed.deadline
    with (
        open_registry(config.db, create=True, allow_network_fs=config.allow_network_fs) as registry,
        _Workers(found, request, Spill.of(config.db, config.root), display) as workers,
    ):
        state = _State()
        for job in found.jobs:  # one after another: the rows of all of them at once may be many
            pipeline = pipeline_of(found.configs, found.sites, job)
            state.provenances[job] = pipeline.provenance()
            state.specs[job] = study_spec(found, job, pipeline)
        display.note(_extent(found))
        stop.defer()
        reason = StopReason.DONE
        if asked.tune:
            reason = _tune_all(registry, found, state, workers, request, deadline, display, stop)
        defaults, tuned = _fits(found, state)
        known = find_fits(registry, config.name)
        wanted = {fit.key: fit for fit in (*defaults.values(), *tuned.values()) if fit.key not in known}
        fits = None
        if reason is StopReason.DONE and wanted:
            fits = Fits(
                registry,
                config.name,
                workers.pool(),
                list(wanted.values()),
                seed=config.study.seed,
                limits=TimeLimits(deadline, request.experiment_timeout_s, request.grace_s, allowed.overrun_s),
                display=display,
                stop=stop,
            )
            display.note(f"fitting and testing {len(wanted)} configurations ...")
            reason = fits.run()
            display.close()
        done = {} if fits is None else fits.found
        failed = {} if fits is None else fits.failed
    rows: list[Row] = []
    if reason is StopReason.DONE:
        rows = rows_of_results(found, defaults, tuned, state.tunings, {**known, **done}, failed)
    failures = [
        f"{job.model}, {tuning.study}: {tuning.why}" for job, tuning in state.tunings.items() if tuning.why
    ]
    failures += [f"{wanted[key].job.model}: {why}" for key, why in failed.items()]
    return Compared(
        reason=reason,
        design=found,
        rows=rows,
        failures=failures,
        n_tuned=state.n_tuned,
        n_fitted=len(done),
        elapsed_s=time.monotonic() - started_at,
        folder=folder,
        command=request.command,
        exit_code=stop.exit_code if reason is StopReason.INTERRUPTED else 5 if failures else 0,
    )


def _extent(found: Design) -> str:
    """How much it will be at the most; said before any of it begins."""
    n, n_models = len(found.jobs), len({job.model for job in found.jobs})
    said = f"to compare: {n_models} x {n // n_models} models x training sets"
    tunings = f"{n} tunings of {found.asked.trials} trials, at most {2 * n} fits"
    return f"{said}; {tunings if found.asked.tune else f'{n} fits'}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The results cannot be written to {str(folder)!r}: {error.strerror}.",
            "Give another --output-dir.",
        ) from None


class _Workers:
    """Started when they are first needed: a comparison of which all is known starts none.

    Attributes:
        spill: where results of tunings are kept that the registry would not take.
    """

    def __init__(self, found: Design, request: Request, spill: Spill | None, display: Display) -> None:
        self.spill = spill
        self._design, self._request, self._display = found, request, display
        self._pool: WorkerPool | None = None
        self._ray_tuning: RayTuning | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_ray_tuning()
        if self._pool is not None:
            self._pool.close()

    def pool(self) -> WorkerPool:
        """The workers that evaluate, fit and test."""
        if self._pool is None:
            from orchestrator import launch
            from orchestrator.confirming import starting

            self.end_ray_tuning()
            self._display.note(starting(self._n_workers, self._request))
            self._pool = launch.start_pool(self._request, self._jobs(), self._design.sites, self._n_workers)
        return self._pool

    def ray_tuning(self) -> "RayTuning":
        """Ray Tune, which has workers of its own."""
        if self._ray_tuning is None:
            from orchestrator.ray_tuning import RayTuning

            self._display.note(f"starting Ray Tune with {self._n_workers} trials at a time ...")
            address = self._request.address
            self._ray_tuning = RayTuning(self._jobs(), self._design.sites, self._n_workers, address)
        return self._ray_tuning

    def end_ray_tuning(self) -> None:
        """Give its machine back to the other workers."""
        if self._ray_tuning is not None:
            self._ray_tuning.close()
            self._ray_tuning = None

    @property
    def _n_workers(self) -> int:
        asked, n_jobs = self._design.asked, len(self._design.jobs)
        return self._request.n_workers_for(max(asked.trials + 1, 2 * n_jobs) if asked.tune else n_jobs)

    def _jobs(self) -> Jobs:
        return Jobs(self._design.configs, self._design.jobs, self._design.metrics)


def _tune_all(
    registry: Registry,
    found: Design,
    state: _State,
    workers: _Workers,
    request: Request,
    deadline: float | None,
    display: Display,
    stop: StopRequest,
) -> StopReason:
    """One tuning after another; those that came to their end before are taken as they are."""
    earlier = find_tuned(registry)
    state.tunings |= {job: earlier[spec.name] for job, spec in state.specs.items() if spec.name in earlier}
    left = [job for job in found.jobs if job not in state.tunings]
    if state.tunings:
        display.note(f"{len(state.tunings)} of {len(found.jobs)} tunings are known already")
    for number, job in enumerate(left, 1):
        if deadline is not None and time.monotonic() >= deadline:
            return StopReason.TIMEOUT
        part = tuned_on(state.provenances[job])
        display.note(f"tuning {number} of {len(left)}: {_spoken(found, job)}" + (f"; {part}" if part else ""))
        limit_s = _limit_s(found.asked.timeout_s, deadline)
        reason, why = _tune(registry, found, job, state.specs[job], workers, request, limit_s, display, stop)
        if reason is StopReason.INTERRUPTED:
            return reason
        if reason is StopReason.TIMEOUT and deadline is not None and time.monotonic() >= deadline:
            return reason
        study = study_of(registry, state.specs[job])
        state.tunings[job] = finish_tuning(registry, study, state.provenances[job], reason, why)
        state.n_tuned += 1
    return StopReason.DONE


def _tune(
    registry: Registry,
    found: Design,
    job: Job,
    spec: StudySpec,
    workers: _Workers,
    request: Request,
    limit_s: float | None,
    display: Display,
    stop: StopRequest,
) -> tuple[StopReason, str]:
    """Run the study of one job; why it ended, and what with where it failed."""
    from orchestrator.launch import conduct

    study = study_of(registry, spec)
    pipeline = pipeline_of(found.configs, found.sites, job)
    if found.asked.method == RAY_TUNE:
        from orchestrator.comparison.ray_tuned import tune_by_ray

        tuning = workers.ray_tuning()
        return tune_by_ray(
            *(registry, found, job, study, pipeline, tuning, request),
            limit_s=limit_s,
            display=display,
            stop=stop,
        )
    asked = replace(
        request,
        method=METHODS[found.asked.method],
        n_configs=found.asked.trials,
        timeout_s=limit_s,
        started_at=None,
    ).without_confirming()
    pool = JobPool(workers.pool(), job)
    result = conduct(registry, study, pipeline, pool, asked, display=display, stop=stop, spill=workers.spill)
    return result.reason, "; ".join(f"{cause} ({n} times)" for cause, n in result.causes)


def _limit_s(own_s: float | None, deadline: float | None) -> float | None:
    left = [own_s] if own_s is not None else []
    left += [deadline - time.monotonic()] if deadline is not None else []
    return max(0.0, min(left)) if left else None


def _spoken(found: Design, job: Job) -> str:
    names, on = found.sites.names, job.training
    where = {
        "all": "all sites" if len(names) > 1 else names[0],
        "others": f"the sites other than {names[on.site or 0]}",
        "own": names[on.site or 0],
    }[on.kind]
    return f"{job.model} on {job.size:.0%} of {where}"


def _fits(found: Design, state: _State) -> tuple[dict[Job, Fit], dict[Job, Fit]]:
    """What is to be fitted: the defaults of each job, and what tuning found where that is something else."""
    defaults: dict[Job, Fit] = {}
    tuned: dict[Job, Fit] = {}
    for job in found.jobs:
        baseline, tests = found.defaults(job.model), job.training.tests
        defaults[job] = Fit(job, baseline, state.provenances[job], tests)
        tuning = state.tunings.get(job)
        if (
            tuning is not None
            and tuning.params is not None
            and config_key(tuning.params) != config_key(baseline)
        ):
            tuned[job] = Fit(job, tuning.params, state.provenances[job], tests, baseline, tuning.experiment)
    return defaults, tuned
