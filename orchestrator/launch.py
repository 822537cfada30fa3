"""One invocation from its request to its result: everything around the driver's loop.

Nothing is written before the request, the pipeline and its data are known to be sound.
"""

import shlex
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator.allowance import Allowance, allowance
from orchestrator.confirming import confirm_best
from orchestrator.driver import Driver
from orchestrator.estimate import Estimate
from orchestrator.ground import is_outdated, renew_references
from orchestrator.heartbeat import Heartbeat
from orchestrator.plan import RunLimits, StopReason
from orchestrator.pool import WorkerPool
from orchestrator.progress import Display
from orchestrator.pruning import Judge
from orchestrator.remembering import keep_in_memory, start_from_memory
from orchestrator.request import Request
from orchestrator.result import RunResult
from orchestrator.run_info import run_info
from orchestrator.signals import StopRequest
from orchestrator.spill import Spill
from orchestrator.tally import N_DURATIONS, Tally
from orchestrator.telling import recovery_lines
from retrain.pipeline import FOLDS, Pipeline
from tuner.errors import NotFoundError, PoolError, UsageError
from tuner.experiment import Experiment, Outcome, Params, Provenance, State, Study
from tuner.propose import propose, take_stock
from tuner.pruners import make_pruner
from tuner.recollect import Recollected
from tuner.registry import open_registry
from tuner.registry.base import Registry, Run

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["conduct", "deployed_in_space", "launch", "load_checked", "start_pool"]

_STOCK_S = 5.0
_NAMES = {"ray": "Ray", "local": "local"}


def launch(config: "Config", request: Request, *, display: Display, stop: StopRequest) -> RunResult:
    """Run what a configuration and a request ask for.

    Raises:
        UsageError: the request, the configuration or the data must change. Nothing was written.
        NotFoundError: no method was given, and nothing waits; or a phase has nothing to start from.
        PoolError: the workers cannot be started, or were lost.
        StorageError: the registry cannot be used.
    """
    from retrain.deploy.deployed import found_in_place
    from retrain.improvement import folds_of
    from retrain.opening import open_or_make
    from retrain.phases import phase_line, searching
    from retrain.tuning import open_configured_study

    request = request.settled()
    started_at = time.monotonic() if request.started_at is None else request.started_at
    config = searching(config)
    n_open = _n_open(config, request)
    n_workers = request.n_workers_for(n_open)
    pipeline = load_checked(config, request)
    if (line := phase_line(config)) is not None:
        display.note(line)
    display.note(f"starting {_count(n_workers, f'{_NAMES[request.pool]} worker')} ...")
    data = pipeline.load()
    pipeline.use(data)
    # The workers start while the registry is made ready.
    with (
        start_pool(request, pipeline, data, n_workers) as pool,
        open_or_make(config, lambda: found_in_place(config, pipeline.space)) as registry,
    ):
        study = open_configured_study(config, registry, pipeline, seed=request.seed)
        if request.seed not in (None, study.seed):
            display.note(f"study {study.name!r} keeps the seed it was made with, {study.seed}")
        deployed = deployed_in_space(config, registry, pipeline)
        spill = Spill.of(config.db, config.root)
        return conduct(
            registry,
            study,
            pipeline,
            pool,
            request,
            deployed=deployed,
            folds=folds_of(config),
            display=display,
            stop=stop,
            spill=spill,
            started_at=started_at,
        )


def load_checked(config: "Config", request: Request) -> Pipeline:
    """The pipeline, without its data, that can do what a settled request asks of it.

    Raises:
        UsageError: the request or the configuration must change.
    """
    from retrain.pipelines import load_pipeline
    from retrain.tuning import check_method

    pipeline = load_pipeline(config)
    if request.confirm and pipeline.goals.objectives:
        raise UsageError(
            "A run with several objectives ends in a front, of which no one is the best to confirm.",
            "Leave out --confirm.",
        )
    if request.method is not None:
        check_method(config, pipeline, request.method)
    return pipeline


def conduct(
    registry: Registry,
    study: Study,
    pipeline: Pipeline,
    pool: WorkerPool,
    request: Request,
    *,
    deployed: Params | None = None,
    folds: int | None = None,
    display: Display,
    stop: StopRequest,
    spill: Spill | None = None,
    started_at: float | None = None,
    begun_at: float | None = None,
) -> RunResult:
    """Run a study with a pipeline whose data are in use, on a pool that may still be starting.

    The caller opened registry and pool, and closes them; the request is settled. `deployed` is what is in
    production now, where it is in the space: it is scored again where its result cannot be compared. `folds`
    is of one cross-validation, where they are the configured ones: a confirmation needs it. `spill` is where
    results are kept that the registry would not take. The request's time began at `started_at`, on the
    monotonic clock; by default it begins now. What is no part of the start of this run, such as another run
    in that time, was over at `begun_at`.

    Raises:
        PoolError: the workers cannot be started, or were lost.
        StorageError: the registry cannot be used.
    """
    started_at = time.monotonic() if started_at is None else started_at
    if spill is not None:
        spill.bring_in(registry, display.note)
    for line in recovery_lines(registry.recover()):
        display.note(line)
    provenance = pipeline.provenance()
    renew_references(registry, study, provenance, deployed, display)
    run, n_left = _start_run(registry, study, request, provenance, display)
    n_waiting = registry.counts(study)[State.WAITING]
    if n_waiting or n_left != 0:
        display.note(_to_run(study, n_waiting, n_left))
    memory = None
    if n_left != 0:
        memory = start_from_memory(registry, study, pipeline, request, provenance, display)
    tally = Tally(study, provenance, _earlier(registry, study, provenance))
    n_failed_before = _n_failed(registry, study, run)
    if (n_waiting or n_left) and (line := _estimate_line(n_waiting, n_left, pool, tally, request)):
        display.note(line)
    stop.defer()
    now = time.monotonic()
    start_s = now - (started_at if begun_at is None else begun_at)
    allowed = allowance(request.timeout_s, started_at, now, start_s=start_s)
    driver = Driver(
        registry,
        study,
        run,
        pool,
        tally,
        provenance=provenance,
        limits=RunLimits(
            n_workers=pool.n_workers,
            learns=request.learns,
            ahead=pool.takes_ahead,
            deadline=allowed.deadline,
            experiment_timeout_s=request.experiment_timeout_s,
            grace_s=request.grace_s,
            overrun_s=allowed.overrun_s,
            same_error=request.same_error,
        ),
        propose=_proposer(registry, study, run, provenance, request, memory),
        n_to_propose=n_left,
        display=display,
        stop=stop,
        judge=_judge(study, pipeline, provenance, request),
        spill=spill,
    )
    with Heartbeat(registry.heartbeat):
        try:
            reason = driver.run()
        except PoolError as error:
            raise _with_what_was_saved(error, driver.n_released, request) from error
    display.close()
    # Another orchestrator may have run all of it.
    best = tally.best or next(iter(registry.best(study, 1, provenance)), None)
    confirmation = None
    if reason is StopReason.DONE and request.confirm and best is not None:
        with Heartbeat(registry.heartbeat):
            confirmation = confirm_best(
                registry,
                study,
                pipeline,
                pool,
                request,
                deployed=deployed,
                folds=folds,
                allowed=allowed,
                display=display,
                stop=stop,
            )
        reason = confirmation.reason
    if reason is StopReason.DONE:
        registry.end_run(run)
    if tally.n_complete and _has_time(reason, allowed, time.monotonic()):
        take_stock(registry, study, provenance)
        keep_in_memory(registry, study, pipeline, provenance)
    n_failed = n_failed_before + tally.n_failed
    return RunResult(
        study=study,
        reason=reason,
        n_complete=tally.n_complete,
        n_pruned=tally.n_pruned,
        n_failed=n_failed,
        causes=tally.causes(),
        n_waiting=registry.counts(study)[State.WAITING],
        n_released=driver.n_released,
        exhausted=driver.exhausted,
        best=best,
        baseline=tally.baseline,
        elapsed_s=time.monotonic() - started_at,
        command=request.command,
        flags=request.flags,
        front=registry.front(study, provenance) if study.goals.objectives else (),
        same_error=driver.same_errors.last if reason is StopReason.SAME_ERROR else None,
        confirmation=confirmation,
        exit_code=_exit_code(reason, n_failed > request.max_failed, best, stop),
    )


def _estimate_line(
    n_waiting: int, n_new: int | None, pool: WorkerPool, tally: Tally, request: Request
) -> str:
    """How long it takes and what it costs, as far as that is known."""
    n = None if n_new is None else n_waiting + n_new
    found = Estimate(n, pool.n_workers, tally.typical_s, request.timeout_s, request.cost_per_hour)
    if tally.typical_s is None and not found.cost_text:
        return ""
    return f"time: {found.time_text}" + (f"; cost: {found.cost_text}" if found.cost_text else "")


def _has_time(reason: StopReason, allowed: Allowance, now: float) -> bool:
    """Whether to learn what mattered, which takes a few seconds, and to end after that."""
    return reason is not StopReason.INTERRUPTED and now + _STOCK_S + allowed.start_s <= allowed.ends_at


def _judge(study: Study, pipeline: Pipeline, provenance: Provenance, request: Request) -> Judge | None:
    if request.pruner == "none":
        return None
    pruner = make_pruner(request.pruner, **request.pruner_options)
    return Judge(pruner, study, provenance, folds=pipeline.steps == FOLDS)


def start_pool(request: Request, pipeline: Pipeline, data: object, n_workers: int) -> WorkerPool:
    """Start the workers without waiting for them; only the library of the chosen pool is loaded."""
    memory_bytes = request.experiment_memory_bytes
    if request.pool == "local":
        from orchestrator.local_pool import LocalPool

        return LocalPool(pipeline, data, n_workers, echo=request.echo, memory_bytes=memory_bytes)
    from orchestrator.ray_pool import RayPool

    return RayPool(
        pipeline,
        data,
        n_workers,
        request.address,
        echo=request.echo,
        memory_bytes=memory_bytes,
    )


def _n_open(config: "Config", request: Request) -> int:
    """How many experiments of the study wait or run: what there is to do before anything is proposed.

    What runs may have been left by a dead orchestrator, so that only an idle study has nothing to do.

    Raises:
        NotFoundError: there is none, and nothing is to be proposed.
    """
    try:
        with open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs) as registry:
            study = registry.find_study(config.study_name)
            counts = registry.counts(study) if study is not None else {}
    except NotFoundError:
        counts = {}
    n_open = counts.get(State.WAITING, 0) + counts.get(State.RUNNING, 0)
    if request.method is None and not n_open:
        raise NotFoundError(
            f"Nothing waits in study {config.study_name!r}.",
            f"orchestrator --method bayesian --configs 20{request.flags}",
        )
    return n_open


def deployed_in_space(config: "Config", registry: Registry, pipeline: Pipeline) -> Params | None:
    """What is in production, or None where it is the defaults or not in the space."""
    from retrain.deploy.deployed import find_deployed

    found = find_deployed(config, registry, pipeline.space)
    if found.source == "defaults" or not pipeline.space.contains(found.params):
        return None
    return pipeline.space.validate(found.params)


def _start_run(
    registry: Registry, study: Study, request: Request, provenance: Provenance, display: Display
) -> tuple[Run, int | None]:
    """Start a run, or take over the unfinished one of the same command; and how many candidates it lacks.

    What it scored on other data, code or metric has to be scored again, and so is lacking.
    """
    n_wanted = request.n_configs or 0
    run = registry.start_run(
        study, method=request.method, n_wanted=n_wanted, seed=study.seed, info=run_info(request.command)
    )
    rows = registry.experiments(study, run=run)
    n_outdated = sum(is_outdated(each, provenance) for each in rows)
    n_written = len(rows) - n_outdated
    if request.method is not None and request.n_configs is None:
        n_left = 0 if rows and not n_outdated else None
    else:
        n_left = max(0, n_wanted - n_written)
    if rows and n_left == 0 and all(each.state.finished for each in rows):
        what = "its only candidate was" if n_written == 1 else f"all its {n_written} candidates were"
        display.note(
            f"run {run.id}, which was interrupted, lacks nothing: {what} finished since;"
            " the same command again starts another run"
        )
    elif rows:
        of = "" if request.n_configs is None else f" of {n_wanted}"
        besides = f"; {n_outdated} more cannot be compared any more" if n_outdated else ""
        display.note(f"continuing run {run.id}: {n_written}{of} candidates are written{besides}")
    return run, n_left


def _n_failed(registry: Registry, study: Study, run: Run) -> int:
    """How many of the run failed before it was interrupted. What a user cancelled did not fail."""
    failed = registry.experiments(study, states=[State.FAILED], run=run)
    return sum(each.outcome is not Outcome.CANCELLED for each in failed)


def _to_run(study: Study, n_waiting: int, n_new: int | None) -> str:
    """What the run begins with, in words; `n_new` is None for a whole design."""
    if not n_new and n_new is not None:
        return f"{_count(n_waiting, 'experiment')} waiting in study {study.name!r}"
    new = "a whole design of new ones" if n_new is None else f"{n_new} new"
    total = "" if n_new is None else f"{_count(n_waiting + n_new, 'experiment')} "
    return f"{total}to run in study {study.name!r}: {n_waiting} waiting, {new}"


def _earlier(registry: Registry, study: Study, provenance: Provenance) -> list[Experiment]:
    """What a tally must know of the past, in the order of writing; never the whole past."""
    baseline = registry.find_scored(study, provenance, params=study.baseline)
    known = [
        *registry.best(study, 1, provenance),
        *registry.experiments(study, states=[State.COMPLETE], limit=N_DURATIONS, newest_first=True),
        *([baseline] if baseline else []),
    ]
    return sorted({each.id: each for each in known}.values(), key=lambda each: each.id)


def _proposer(
    registry: Registry,
    study: Study,
    run: Run,
    provenance: Provenance,
    request: Request,
    memory: Recollected | None,
) -> Callable[[int | None], Sequence[Experiment]] | None:
    method = request.method
    if method is None:
        return None
    return lambda n: propose(
        registry,
        study,
        method,
        n,
        run=run,
        provenance=provenance,
        warm_start=request.warm_start,
        memory=memory,
        **request.options,
    )


def _with_what_was_saved(error: PoolError, n_released: int, request: Request) -> PoolError:
    again = f"continue with: {shlex.join(request.command)}"
    if not n_released:
        return PoolError(str(error), error.remedy or again)
    return PoolError(f"{error} {_count(n_released, 'experiment')} that ran will run again.", again)


def _exit_code(reason: StopReason, too_many_failed: bool, best: Experiment | None, stop: StopRequest) -> int:
    if reason is StopReason.INTERRUPTED:
        return stop.exit_code
    if reason is StopReason.SAME_ERROR:
        return 1
    if too_many_failed:
        return 5
    return 6 if best is None else 0


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
