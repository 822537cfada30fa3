"""`orchestrator --preview`: what a run would come to. Nothing is run and nothing is written."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.estimate import Estimate
from orchestrator.launch import load_checked
from orchestrator.report.rows import aligned
from orchestrator.request import Request
from orchestrator.tally import N_DURATIONS
from retrain.tables import render, seconds, to_json
from tuner.errors import NotFoundError
from tuner.experiment import Experiment, Params, State
from tuner.generators import make_generator
from tuner.registry import open_registry
from tuner.registry.base import RegistryReader

if TYPE_CHECKING:
    from retrain.config import Config
    from retrain.pipeline import Pipeline

__all__ = ["preview", "preview_text"]


def preview(config: "Config", request: Request) -> dict[str, Any]:
    """Gather what is known before a run, after all that is checked before one: the data are read as for it.

    Returns:
        study, n_waiting, n_new (what an unfinished run of the same command lacks, where there is one; it is
        taken to be no other's), n_workers, pool, and the `estimate`.

    Raises:
        UsageError: the request, the configuration or the data must change.
        NotFoundError: no method was given, and nothing waits.
    """
    from retrain.phases import searching

    request = request.settled()
    config = searching(config)
    n_waiting, durations, known, n_written = _known(config, request)
    if request.method is None and not n_waiting:
        raise NotFoundError(
            f"Nothing waits in study {config.study_name!r}.",
            f"orchestrator --method bayesian --configs 20{request.flags}",
        )
    n_workers = request.n_workers_for(n_waiting or 0)
    pipeline = load_checked(config, request)
    pipeline.load()
    n_new = 0
    if request.method is not None:
        if request.n_configs is None:
            n_new = _n_of_design(request.method, pipeline, known)
        else:
            n_new = max(0, request.n_configs - n_written)
    n_waiting = 1 if n_waiting is None else n_waiting  # a new study begins with its baseline
    estimate = Estimate(
        n_waiting + n_new,
        n_workers,
        statistics.median(durations) if durations else None,
        request.timeout_s,
        config.budget.cost_per_hour,
    )
    return {
        "study": config.study_name,
        "n_waiting": n_waiting,
        "n_new": n_new,
        "n_workers": n_workers,
        "pool": request.pool,
        "estimate": estimate,
    }


def _n_of_design(method: str, pipeline: "Pipeline", known: Sequence[Params]) -> int:
    """How many candidates a method has that nobody gave a number, without those that the study has."""
    baseline = known[0] if known else pipeline.space.defaults()
    generator = make_generator(method, pipeline.space, baseline=baseline, goals=pipeline.goals)
    generator.tell((), known or [baseline])
    return generator.default_n()


def _n_written(registry: RegistryReader, rows: Sequence[Experiment], request: Request, seed: int) -> int:
    """How many candidates the unfinished run of the same command has written; 0 where there is none."""
    own = [each for each in rows if each.method == request.method]
    run = registry.find_run(own[-1]) if own else None
    asked = (request.method, request.n_configs, seed)
    if run is None or run.ended_at is not None or (run.method, run.n_wanted, run.seed) != asked:
        return 0
    return sum(each.run_id == run.id for each in own)


def _known(config: "Config", request: Request) -> tuple[int | None, list[float], list[Params], int]:
    """What the registry has of the study.

    Returns:
        How many of its experiments wait or run (None: there is no study), how long others took, all its
        configurations, its baseline first, and how many the unfinished run of the request has written.
    """
    try:
        with open_registry(config.db, create=False, read_only=True) as registry:
            study = registry.find_study(config.study_name)
            if study is None:
                return None, [], [], 0
            counts = registry.counts(study)
            rows = registry.experiments(study, states=[State.COMPLETE], limit=N_DURATIONS, newest_first=True)
            every = registry.experiments(study)
            n_written = _n_written(registry, every, request, study.seed)
            known = [study.baseline, *(each.params for each in every)]
    except NotFoundError:
        return None, [], [], 0
    took = [each.duration_s for each in rows if each.duration_s is not None]
    return counts[State.WAITING] + counts[State.RUNNING], took, known, n_written


def preview_text(found: dict[str, Any], output: str) -> str:
    """The preview as text, in one of the formats of reports."""
    estimate: Estimate = found["estimate"]
    row = {
        **{key: value for key, value in found.items() if key != "estimate"},
        "typical_s": estimate.typical_s,
        "wall_s": estimate.wall_s,
        "timeout_s": estimate.timeout_s,
        "cost": estimate.cost,
    }
    if output == "json":
        return to_json(row)
    if output != "table":
        return render([row], list(row), output)
    facts = {
        "experiments": f"{estimate.n}: {found['n_waiting']} waiting, {found['n_new']} new",
        "workers": f"{found['n_workers']}, {found['pool']}",
        "time": estimate.time_text,
        "limit": "" if estimate.timeout_s is None else seconds(estimate.timeout_s),
        "cost": estimate.cost_text,
    }
    lines = [f"Study {found['study']}", *(f"  {line}" for line in aligned(facts))]
    return "\n".join([*lines, "Nothing was run and nothing was written."])
