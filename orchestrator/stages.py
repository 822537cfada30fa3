"""`orchestrator stages`: a search in steps, each more thorough than the last, whose best it begins with.

Each stage has a study of its own, `<study>-<stage>`, since its space and its scores are of its own: scores of
different fidelity never meet in one. The best of the last stage are scored anew at full fidelity, in the
study itself, and the winner is fitted on all training data and looked at once on the holdout. All that is
done stands in the registry, so that the same command goes on where it was interrupted, within a stage too.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.allowance import allowance
from orchestrator.alone import alone, stages_lock
from orchestrator.launch import conduct, start_pool
from orchestrator.plan import StopReason
from orchestrator.progress import Display
from orchestrator.request import Request
from orchestrator.result import RunResult
from orchestrator.signals import StopRequest
from orchestrator.spill import Spill
from retrain.pipeline import Pipeline
from retrain.who import who
from tuner.errors import ConfigError, MismatchError, ParamsError, RetrainError, UsageError, did_you_mean
from tuner.experiment import GUESS, Experiment, Provenance, State, Study, Value
from tuner.generators import learns_from_earlier, make_generator
from tuner.narrow import narrowed
from tuner.propose import complete_guesses, open_study, queue_guesses
from tuner.registry.base import HoldoutRead, Registry, StudySpec
from tuner.space import CategoricalParam, FloatParam, Param, SearchSpace, config_key

if TYPE_CHECKING:
    from retrain.config import Config
    from retrain.config.stages import StageConfig

__all__ = ["StageOutcome", "StagesResult", "check_stages", "run_stages", "with_budget"]

_N_FINALISTS = 3
_FEWEST_AROUND = 3
_QUARTER = 4
_REFERENCES = ("default", "deployed", GUESS)


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a stage came to.

    Attributes:
        name: of the stage.
        study: its study.
        fidelity: in words; "full" where it is that of the configuration.
        method, n_wanted: as declared.
        n_complete, n_failed: of its experiments, on what is there now.
        n_params: how many parameters it searched.
        best: None where nothing succeeded.
        was_done: it had come to its end before this invocation.
    """

    name: str
    study: str
    fidelity: str
    method: str
    n_wanted: int
    n_complete: int
    n_failed: int
    n_params: int
    best: Experiment | None
    was_done: bool


@dataclass(frozen=True, slots=True)
class StagesResult:
    """The end of all stages, or of as many as there was time for.

    Attributes:
        study: in which the best of the last stage were scored at full fidelity; None where it did not come
            to that.
        best, baseline: of it.
        look: at the holdout, by the best.
        reason: why it ended.
        command: what continues it.
    """

    metric: str
    stages: Sequence[StageOutcome]
    study: str | None
    best: Experiment | None
    baseline: Experiment | None
    look: HoldoutRead | None
    reason: StopReason
    elapsed_s: float
    command: Sequence[str]
    flags: str
    exit_code: int


@dataclass(frozen=True)
class _Job:
    """What all stages share."""

    config: "Config"
    registry: Registry
    request: Request
    display: Display
    stop: StopRequest
    started_at: float
    start_s: float

    def request_for(self, **changes: Any) -> Request:
        """The request, whose time goes on."""
        return replace(self.request, **changes).settled()

    def has_time_for(self, typical_s: float | None) -> bool:
        """Whether what takes so long would end in time."""
        now = time.monotonic()
        return now + (typical_s or 0.0) <= allowance(self.request.timeout_s, self.started_at, now).ends_at


@dataclass(frozen=True)
class _Stage:
    """A stage that is about to run: its configuration, and its pipeline, without data yet."""

    declared: "StageConfig"
    config: "Config"
    pipeline: Pipeline


def run_stages(config: "Config", request: Request, *, display: Display, stop: StopRequest) -> StagesResult:
    """Run the configured stages, from where they stand to the look at the holdout.

    Raises:
        ConfigError: there are no stages, or one cannot be as it is declared. Nothing was written.
        UsageError: the request or the configuration must change. Nothing was written.
        MismatchError: a stage's study is of another space.
        PoolError: the workers cannot be started, or were lost.
        StorageError: the registry cannot be used, or another process runs these stages.
    """
    from retrain.deploy.deployed import found_in_place
    from retrain.opening import open_or_make
    from retrain.phases import searching
    from retrain.pipelines import load_pipeline

    request = request.settled()
    started_at = time.monotonic() if request.started_at is None else request.started_at
    config = searching(config)
    whole = load_pipeline(config)
    stages = check_stages(config, whole)
    lock = stages_lock(config.db, config.root, config.study_name)
    with (
        open_or_make(config, lambda: found_in_place(config, whole.space)) as registry,
        alone(lock, f"the stages of study {config.study_name!r}"),
    ):
        job = _Job(config, registry, request, display, stop, started_at, time.monotonic() - started_at)
        outcomes: list[StageOutcome] = []
        last: _Found | None = None
        for stage in stages:
            outcome, last, run = _run_stage(job, stage, last)
            outcomes.append(outcome)
            if run is not None and run.reason is not StopReason.DONE:
                return _ended(job, whole, outcomes, run.reason, run.exit_code)
            if last is None:
                return _ended(job, whole, outcomes, StopReason.DONE, 6)
            if stop.stop_at is not None:
                return _ended(job, whole, outcomes, StopReason.INTERRUPTED, stop.exit_code)
        assert last is not None
        return _run_final(job, whole, outcomes, last)


def with_budget(stages: "Sequence[StageConfig]", n: int) -> "tuple[StageConfig, ...]":
    """The stages with `n` candidates in all, shared out as those that are declared; each has at least one.

    Raises:
        UsageError: there are more stages than that.
    """
    if n < len(stages):
        raise UsageError(
            f"Each of {len(stages)} stages needs a candidate, but there are {n} in all.",
            f"Give at least {len(stages)}.",
        )
    declared = [each.configs for each in stages]
    spare = n - len(stages)
    exact = [spare * each / sum(declared) for each in declared]
    shares = [math.floor(each) for each in exact]
    by_rest = sorted(range(len(shares)), key=lambda i: (shares[i] - exact[i], i))
    for i in by_rest[: spare - sum(shares)]:
        shares[i] += 1
    return tuple(
        each.model_copy(update={"configs": 1 + share}) for each, share in zip(stages, shares, strict=True)
    )


# ---- before anything runs


def check_stages(config: "Config", whole: Pipeline) -> list[_Stage]:
    """Every stage with its pipeline, after all that can be said of it without data.

    Raises:
        ConfigError: there are none, or one cannot be as it is declared.
        UsageError: stages cannot serve several objectives, or a method this space.
        SpaceError: what a stage fixes leaves no space.
    """
    from retrain.config.stages import in_stage
    from retrain.pipelines import load_pipeline

    if not config.stages:
        raise ConfigError(
            f"{config.source.name} declares no stages.",
            'Add some, such as: [[stages]] name = "S0", configs = 8, fidelity = { folds = 2 }',
        )
    if whole.goals.objectives:
        raise UsageError(
            "Stages narrow the space around the best, but of several objectives there is no one best.",
            "Take [[objective]] out, or search in one study: orchestrator --method bayesian --configs N",
        )
    stages = []
    for declared in config.stages:
        for name, value in declared.fidelity.fixed.items():
            _check_fixed(declared.name, name, value, whole.space)
        staged = in_stage(config, declared)
        pipeline = load_pipeline(staged)
        make_generator(declared.method, pipeline.space, goals=pipeline.goals)
        stages.append(_Stage(declared, staged, pipeline))
    return stages


def _check_fixed(stage: str, name: str, value: Value, space: SearchSpace) -> None:
    """A parameter that is not searched at all may be fixed too, such as epochs; not one that is misspelt."""
    if name not in space.params:
        if meant := did_you_mean(name, space.names):
            raise ConfigError(
                f"Stage {stage!r} fixes {name!r}, which is no parameter of the space.{meant}",
                f"The space has: {', '.join(space.names)}.",
            )
        return
    if not _is_of(space.params[name], value):
        raise ConfigError(
            f"Stage {stage!r} fixes {name!r} at {value!r}, which is no value of its type.",
            "Give a number where it is one, or one of its choices. It may lie beside the range.",
        )


def _is_of(param: Param, value: Value) -> bool:
    """Whether a value has the type of a parameter. Bounds are for the search alone."""
    if isinstance(param, CategoricalParam):
        return not param.check(value)[1]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(param, FloatParam) or float(value).is_integer()


# ---- one stage


@dataclass(frozen=True)
class _Found:
    """What a stage leaves for the next: its study, its space, and its best, the best first."""

    study: Study
    space: SearchSpace
    best: Sequence[Experiment]


def _run_stage(
    job: _Job, stage: _Stage, last: _Found | None
) -> tuple[StageOutcome, _Found | None, RunResult | None]:
    """Run what a stage lacks; what it came to, what it found, and the run where there was one."""
    declared, pipeline, registry = stage.declared, stage.pipeline, job.registry
    data = pipeline.load()
    pipeline.use(data)
    provenance = pipeline.provenance()
    study = _open_study(registry, stage, last)
    pipeline.space = space = SearchSpace.from_dict(study.space)
    n_wanted = _n_lacking(registry, study, declared.configs, provenance)
    run = None
    if n_wanted == 0 and not _n_open(registry, study):
        job.display.note(f"stage {declared.name}: done before")
    else:
        job.display.note(
            f"stage {declared.name}: {declared.method}, {declared.configs} configurations of {len(space)}"
            f" parameters, {_fidelity(stage)}"
        )
        warm = last is not None and learns_from_earlier(declared.method, pipeline.goals)
        request = job.request_for(
            method=declared.method if n_wanted else None,
            n_configs=n_wanted or None,
            warm_start=(last.study.name,) if last is not None and warm else (),
        )
        run = _conduct(job, study, pipeline, data, request)
    around = max(_FEWEST_AROUND, math.ceil(declared.configs / _QUARTER))
    best = registry.best(study, around, provenance)
    rows = registry.experiments(study)
    outcome = StageOutcome(
        name=declared.name,
        study=study.name,
        fidelity=_fidelity(stage),
        method=declared.method,
        n_wanted=declared.configs,
        n_complete=sum(each.state is State.COMPLETE and each.provenance == provenance for each in rows),
        n_failed=sum(each.state is State.FAILED and each.ended_on == provenance for each in rows),
        n_params=len(space),
        best=best[0] if best else None,
        was_done=run is None,
    )
    return outcome, _Found(study, space, best) if best else None, run


def _open_study(registry: Registry, stage: _Stage, last: _Found | None) -> Study:
    """The stage's study as it is stored; or a new one, in a space around the best of the last stage."""
    whole, name = stage.pipeline.space, stage.config.study_name
    stored = registry.find_study(name)
    if stored is not None:
        space = SearchSpace.from_dict(stored.space)
        if not _is_within(space, whole):
            raise MismatchError(
                f"Study {name!r} of stage {stage.declared.name!r} must lie within the configured space, but"
                " that is another one now.",
                "Start other stages with --study NAME.",
            )
    elif last is None:
        space = whole
    else:
        best = [each.params for each in last.best]
        space = narrowed(whole, best, last=last.space, share=stage.declared.narrow)
    spec = StudySpec(
        name=name,
        space=space.to_dict(),
        metric=stage.pipeline.metric,
        direction=stage.pipeline.direction,
        baseline=space.defaults() if stored is None else stored.baseline,
        seed=stage.config.study.seed,
        goals=stage.pipeline.goals,
    )
    return open_study(registry, spec)


def _is_within(space: SearchSpace, whole: SearchSpace) -> bool:
    if not space.params.keys() <= whole.params.keys():
        return False
    return whole.contains(whole.repair(space.defaults())) and all(
        not whole.params[name].check(value)[1] for name, value in space.defaults().items()
    )


def _n_lacking(registry: Registry, study: Study, n_wanted: int, provenance: Provenance) -> int:
    """How many candidates the run is to ask for that brings the stage to its end; 0 where none is lacking.

    That of an interrupted run where there is one: asked for again, it goes on.
    """
    own = [each for each in registry.experiments(study) if each.method not in _REFERENCES]
    counted = [each for each in own if not each.state.finished or _ended_on(each, provenance)]
    last = registry.find_run(own[-1]) if own else None
    if last is not None and last.ended_at is None:
        return last.n_wanted
    return max(0, n_wanted - len(counted))


def _ended_on(row: Experiment, provenance: Provenance) -> bool:
    return provenance in (row.provenance, row.ended_on)


def _n_open(registry: Registry, study: Study) -> int:
    counts = registry.counts(study)
    return counts[State.WAITING] + counts[State.RUNNING]


def _conduct(job: _Job, study: Study, pipeline: Pipeline, data: object, request: Request) -> RunResult:
    n_workers = request.n_workers_for(_n_open(job.registry, study))
    begun_at = time.monotonic() - job.start_s
    with start_pool(request, pipeline, data, n_workers) as pool:
        return conduct(
            job.registry,
            study,
            pipeline,
            pool,
            request,
            display=job.display,
            stop=job.stop,
            spill=Spill.of(job.config.db, job.config.root),
            started_at=job.started_at,
            begun_at=begun_at,
        )


def _fidelity(stage: _Stage) -> str:
    """In words, such as "2 folds, 20 % of rows, n_estimators=30"."""
    given = stage.declared.fidelity
    words = []
    if given.folds is not None or given.repeats is not None:
        splits = stage.config.splits
        words.append(f"{splits.folds} folds" + (f" x {splits.repeats}" if splits.repeats > 1 else ""))
    if given.rows is not None and given.rows < 1:
        words.append(f"{100 * given.rows:g} % of rows")
    counted = (("epochs", given.epochs), ("rounds", given.rounds))
    words += [f"{n} {unit}" for unit, n in counted if n is not None]
    words += [f"{name}={value}" for name, value in given.fixed.items()]
    return ", ".join(words) or "full"


# ---- the end


def _run_final(job: _Job, whole: Pipeline, outcomes: Sequence[StageOutcome], last: _Found) -> StagesResult:
    """Score the best of the last stage as all else is scored, and look once at the holdout."""
    from retrain.tuning import open_configured_study

    data = whole.load()
    whole.use(data)
    registry, provenance = job.registry, whole.provenance()
    study = open_configured_study(job.config, registry, whole, seed=job.request.seed)
    finalists = _finalists(last.best, whole.space, study)
    queue_guesses(registry, study, finalists)
    if _n_open(registry, study) or not registry.best(study, 1, provenance):
        n = len(finalists)
        job.display.note(f"the best {n} of the last stage, at full fidelity in study {study.name!r}")
        # All that is compared here comes to its end.
        request = job.request_for(method=None, n_configs=None, pruner="none", pruner_options={})
        run = _conduct(job, study, whole, data, request)
        if run.reason is not StopReason.DONE:
            return _ended(job, whole, outcomes, run.reason, run.exit_code)
    best = next(iter(registry.best(study, 1, provenance)), None)
    look = None
    if best is not None and whole.can_fit:
        look = _look(job, whole, study, best)
    baseline = registry.find_scored(study, provenance, params=study.baseline)
    n_failed = sum(each.n_failed for each in outcomes)
    code = 6 if best is None else 5 if n_failed > job.request.max_failed else 0
    return StagesResult(
        metric=whole.metric,
        stages=outcomes,
        study=study.name,
        best=best,
        baseline=baseline,
        look=look,
        reason=StopReason.DONE,
        elapsed_s=time.monotonic() - job.started_at,
        command=job.request.command,
        flags=job.request.flags,
        exit_code=code,
    )


def _finalists(best: Sequence[Experiment], space: SearchSpace, study: Study) -> list[dict[str, Any]]:
    """The first of them that differ at full fidelity; what a stage fixed is as in the baseline."""
    found: dict[str, dict[str, Any]] = {}
    for each in best:
        try:
            [params] = complete_guesses(space, [each.params], study.baseline)
        except ParamsError:  # a sum or an order with what the stage had fixed
            params = space.repair({**study.baseline, **each.params})
        found.setdefault(config_key(params), params)
    return list(found.values())[:_N_FINALISTS]


def _look(job: _Job, pipeline: Pipeline, study: Study, best: Experiment) -> HoldoutRead | None:
    """Fit on all training data and test once: what was seen before of the same is not looked at again."""
    from retrain.confirmed import find_look
    from retrain.holdout import look_at_holdout

    seen = find_look(job.registry, pipeline.name, pipeline.provenance(), best.params)
    if seen is not None:
        return seen
    if not job.has_time_for(best.duration_s):
        job.display.note(f"no time is left to fit {best.public_id} for a look at the holdout")
        return None
    job.display.note(f"fitting {best.public_id} for a look at the holdout ...")
    try:
        return look_at_holdout(
            job.registry,
            pipeline,
            best.params,
            seed=study.seed,
            why="orchestrator stages",
            who=who(),
            experiment=best.public_id,
        )
    except RetrainError as error:
        job.display.note(f"{best.public_id} has no score on the holdout: {error}")
        return None


def _ended(
    job: _Job, whole: Pipeline, outcomes: Sequence[StageOutcome], reason: StopReason, exit_code: int
) -> StagesResult:
    """The stages did not come to their end."""
    return StagesResult(
        metric=whole.metric,
        stages=outcomes,
        study=None,
        best=None,
        baseline=None,
        look=None,
        reason=reason,
        elapsed_s=time.monotonic() - job.started_at,
        command=job.request.command,
        flags=job.request.flags,
        exit_code=exit_code,
    )
