"""`orchestrator confirm` and `revalidate`: which of the best would be the best again, and by how much.

The top k are scored once more on fresh folds, the same for all; clear losers stop early; the winner has the
best lower bound. At the end its model, and the one that it would replace, are fitted and looked at once on
the holdout, and that look is counted.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.allowance import Allowance, allowance
from orchestrator.estimate import at_once
from orchestrator.plan import StopReason, TimeLimits
from orchestrator.pool import WorkerPool
from orchestrator.progress import Display
from orchestrator.repeats import Repeats
from orchestrator.request import Request
from orchestrator.signals import StopRequest
from retrain.comparable import difference
from retrain.confirmation import Plan, find_plan, fresh_seeds, record
from retrain.confirmed import Confirmed, find_confirmed, find_confirmed_winner, find_look, looks_at
from retrain.holdout import look_at_holdout
from retrain.honest import find_winner, next_runs
from retrain.improvement import ROLES, find_references
from retrain.pipeline import Pipeline
from retrain.tables import seconds
from retrain.who import who
from tuner.errors import MismatchError, NotFoundError, RetrainError, UsageError
from tuner.experiment import Experiment, Params, Provenance, Study
from tuner.registry.base import HoldoutRead, Registry, RegistryReader
from tuner.space import config_key

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["ConfirmResult", "choose", "confirm", "confirm_best", "open_loaded", "starting"]

_WHY = "orchestrator confirm"

_NO_FRESH_FOLDS = (
    "no repeat has fresh folds, since those of this pipeline do not follow the seed: repeats show only how a"
    " score differs from run to run"
)


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """The end of one confirmation.

    Attributes:
        reason: why it ended.
        plan: who took part, and who failed.
        confirmed: the outcome; None where it did not come to its end, or nobody could be scored again.
        looks: every look at the holdout of these data and splits so far.
        n_repeats: evaluations that were run here.
        elapsed_s: of them.
        command: what continues it.
        flags: common options to repeat in commands that are suggested.
        exit_code: of the process.
    """

    study: Study
    reason: StopReason
    plan: Plan
    confirmed: Confirmed | None
    looks: Sequence[HoldoutRead]
    n_repeats: int
    elapsed_s: float
    command: Sequence[str]
    flags: str
    exit_code: int


def confirm(config: "Config", request: Request, *, display: Display, stop: StopRequest) -> ConfirmResult:
    """Confirm the best of the configured study; `request.confirm` says how many, `request.repeats` how often.

    Raises:
        UsageError: the request, the configuration or the data must change, or there are several objectives.
        NotFoundError: there is no study, or nothing to confirm.
        MismatchError: nothing was scored on what is there now.
        PoolError: the workers cannot be started, or were lost.
        StorageError: the registry cannot be used.
    """
    from orchestrator.launch import deployed_in_space, start_pool
    from retrain.improvement import folds_of
    from retrain.phases import searching

    request = request.settled()
    config = searching(config)
    with open_loaded(config) as (registry, study, pipeline, data):
        deployed = deployed_in_space(config, registry, pipeline)
        folds = folds_of(config)
        plan = choose(registry, study, pipeline.provenance(), request, deployed=deployed, folds=folds)
        n_workers = request.n_workers_for(request.confirm + 2)
        with ExitStack() as stack:
            pool = None
            if next_runs(plan.race(study.direction, registry.confirmations(study, plan.provenance))):
                display.note(starting(n_workers, request))
                pool = stack.enter_context(start_pool(request, pipeline, data, n_workers))
            stop.defer()
            return confirm_best(
                registry,
                study,
                pipeline,
                pool,
                request,
                plan=plan,
                display=display,
                stop=stop,
            )


@contextmanager
def open_loaded(config: "Config") -> Iterator[tuple[Registry, Study, Pipeline, object]]:
    """The registry with the configured study, which must be there, and the pipeline with its data in use."""
    from retrain.improvement import get_study
    from retrain.pipelines import load_pipeline
    from retrain.tuning import open_configured_study
    from tuner.registry import open_registry

    with open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs) as registry:
        get_study(registry, config.study_name)
        pipeline = load_pipeline(config)
        study = open_configured_study(config, registry, pipeline)
        data = pipeline.load()
        pipeline.use(data)
        yield registry, study, pipeline, data


def starting(n_workers: int, request: Request) -> str:
    """Says that the workers start, which takes a while."""
    kind = {"ray": "Ray"}.get(request.pool, request.pool)
    return f"starting {n_workers} {kind} worker{'s' if n_workers > 1 else ''} ..."


def confirm_best(
    registry: Registry,
    study: Study,
    pipeline: Pipeline,
    pool: WorkerPool | None,
    request: Request,
    *,
    plan: Plan | None = None,
    deployed: Params | None = None,
    folds: int | None = None,
    allowed: Allowance | None = None,
    display: Display,
    stop: StopRequest,
) -> ConfirmResult:
    """Confirm on a pool with a pipeline whose data are in use; errors as for `confirm`.

    Who takes part is chosen here where there is no `plan` yet. `pool` is needed unless every repeat of that
    is there already. `allowed` is what a run before it was; else the request says.
    """
    provenance = pipeline.provenance()
    plan = plan or choose(registry, study, provenance, request, deployed=deployed, folds=folds)
    started_at = time.monotonic()
    reason, n_repeats = StopReason.DONE, 0
    if pool is not None:
        if allowed is None:
            began_at = started_at if request.started_at is None else request.started_at
            allowed = allowance(request.timeout_s, began_at, started_at)
        limits = TimeLimits(
            allowed.deadline, request.experiment_timeout_s, request.grace_s, allowed.overrun_s
        )
        if not pipeline.splits_follow_seed:
            display.note(_NO_FRESH_FOLDS)
        repeats = _repeats(registry, study, pool, plan, limits, request.n_cores, display, stop)
        reason = repeats.run()
        display.close()
        plan, n_repeats = repeats.plan, repeats.n_done
    elapsed_s = time.monotonic() - started_at
    outcome = None
    if reason is StopReason.DONE:
        outcome = _end(registry, study, pipeline, plan, display)
    return ConfirmResult(
        study=study,
        reason=reason,
        plan=plan,
        confirmed=outcome,
        looks=looks_at(registry, pipeline.name, provenance),
        n_repeats=n_repeats,
        elapsed_s=elapsed_s,
        command=request.command,
        flags=request.flags,
        exit_code=_exit_code(reason, outcome, stop),
    )


def _repeats(
    registry: Registry,
    study: Study,
    pool: WorkerPool,
    plan: Plan,
    limits: TimeLimits,
    n_cores: int | None,
    display: Display,
    stop: StopRequest,
) -> Repeats:
    """The loop, after saying what it is going to do."""
    rows = {each: registry.get_experiment(each) for each in (*plan.candidates, *plan.references.values())}
    took = [each.duration_s for each in rows.values() if each.duration_s is not None]
    typical_s = statistics.median(took) if took else None
    effort = registry.effort(study)
    busy = effort.experiments_s / effort.wall_s if effort.wall_s else 1.0
    display.note(_intention(plan, typical_s, at_once(pool.n_workers, n_cores, busy)))
    return Repeats(
        registry,
        study,
        pool,
        plan,
        {public_id: row.params for public_id, row in rows.items()},
        limits=limits,
        display=display,
        stop=stop,
        typical_s=typical_s,
    )


def choose(
    registry: RegistryReader,
    study: Study,
    provenance: Provenance,
    request: Request,
    *,
    deployed: Params | None = None,
    folds: int | None = None,
) -> Plan:
    """Who takes part: the best by validation, who won before, the baseline, and what is deployed.

    Raises:
        UsageError: the study has several objectives.
        NotFoundError: nothing was scored yet, or nothing keeps the study's limits.
        MismatchError: there are scores, but none of this provenance.
    """
    if study.goals.objectives:
        raise UsageError(
            f"Study {study.name!r} has several objectives, so there is no one best to confirm.",
            "Choose from the front by: orchestrator --summary",
        )
    best = _distinct(registry.best(study, 3 * request.confirm + 10, provenance))[: request.confirm]
    if not best:
        raise _nothing_to_confirm(registry, study, provenance, request)
    earlier = find_confirmed_winner(registry, study, provenance)
    candidates = _distinct([*best, *([earlier] if earlier is not None else [])])
    known = {config_key(each.params): each.public_id for each in candidates}
    references: dict[str, str] = {}
    for role, row in find_references(registry, study, provenance, deployed).items():
        public_id = known.setdefault(config_key(row.params), row.public_id)
        if public_id not in references.values():
            references[role] = public_id
    return Plan(
        tuple(each.public_id for each in candidates),
        references,
        fresh_seeds(study.seed, request.repeats),
        provenance,
        folds,
    )


def _distinct(rows: Sequence[Experiment]) -> list[Experiment]:
    """Each configuration once: a repeat of the search adds nothing here."""
    first: dict[str, Experiment] = {}
    for each in rows:
        first.setdefault(config_key(each.params), each)
    return list(first.values())


def _nothing_to_confirm(
    registry: RegistryReader, study: Study, provenance: Provenance, request: Request
) -> RetrainError:
    scored = [(each, n) for each, n in registry.provenances(study) if n]
    if not scored:
        return NotFoundError(
            f"Study {study.name!r} has no finished experiment yet, so there is nothing to confirm.",
            f"orchestrator --method bayesian --configs 20{request.flags}",
        )
    if any(each == provenance for each, _ in scored):
        limits = "; ".join(map(str, study.goals.limits))
        return NotFoundError(
            f"No experiment of study {study.name!r} keeps its limits: {limits}.",
            f"orchestrator --summary{request.flags}",
        )
    latest, n = scored[0]
    return MismatchError(
        f"Only what was scored on what is there now can be confirmed, but the {n} latest results of study"
        f" {study.name!r} came from {difference(latest, provenance)}.",
        f"Score the best of them on what is there now: orchestrator revalidate --top 5{request.flags}",
    )


def _intention(plan: Plan, typical_s: float | None, n_at_once: float) -> str:
    """What is going to be done, and about how long it takes if nobody drops out."""
    others = [each for each in plan.references.values() if each not in plan.candidates]
    most = (len(plan.candidates) + len(others)) * len(plan.seeds)
    beside = "" if not others else f", beside {' and '.join(_spoken(plan, others))}"
    took = "" if typical_s is None else f", about {seconds(most * typical_s / max(1.0, n_at_once))}"
    n, each = len(plan.candidates), f"up to {len(plan.seeds)} repeats each"
    return f"confirming the best {n} on fresh folds{beside}: {each}, {most} in all{took}"


def _spoken(plan: Plan, public_ids: Sequence[str]) -> list[str]:
    return [ROLES[role] for role, each in plan.references.items() if each in public_ids]


def _end(
    registry: Registry, study: Study, pipeline: Pipeline, plan: Plan, display: Display
) -> Confirmed | None:
    """Look at the holdout, then write down that it is over: who dies in between comes back here."""
    race = plan.race(study.direction, registry.confirmations(study, plan.provenance))
    winner = find_winner(race)
    if winner is not None and pipeline.can_fit:
        in_place = plan.references.get("deployed") or plan.references.get("baseline")
        for public_id in dict.fromkeys([winner, *([in_place] if in_place else [])]):
            _look(registry, study, pipeline, registry.get_experiment(public_id), display)
    if plan != find_plan(registry, study, plan.provenance):
        record(registry, study, plan, winner)
    if winner is None:
        return None
    return find_confirmed(registry, study, plan.provenance, pipeline=pipeline.name)


def _look(
    registry: Registry, study: Study, pipeline: Pipeline, experiment: Experiment, display: Display
) -> None:
    """Fit and test once: what was seen before of the same on the same is not looked at again."""
    if find_look(registry, pipeline.name, pipeline.provenance(), experiment.params) is not None:
        return
    display.note(f"fitting {experiment.public_id} for a look at the holdout ...")
    try:
        look_at_holdout(
            registry,
            pipeline,
            experiment.params,
            seed=study.seed,
            why=_WHY,
            who=who(),
            experiment=experiment.public_id,
        )
    except RetrainError as error:
        display.note(f"{experiment.public_id} has no score on the holdout: {error}")


def _exit_code(reason: StopReason, outcome: Confirmed | None, stop: StopRequest) -> int:
    if reason is StopReason.INTERRUPTED:
        return stop.exit_code
    return 6 if reason is StopReason.DONE and outcome is None else 0
