"""`orchestrator --preview`: what a run would come to. Nothing is run and nothing is written."""

import statistics
from typing import TYPE_CHECKING, Any

from orchestrator.estimate import Estimate
from orchestrator.report.rows import aligned
from orchestrator.request import Request
from orchestrator.tally import N_DURATIONS
from retrain.tables import render, seconds, to_json
from tuner.errors import NotFoundError
from tuner.experiment import State
from tuner.registry import open_registry

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["preview", "preview_text"]


def preview(config: "Config", request: Request) -> dict[str, Any]:
    """Gather what is known before a run.

    Returns:
        study, n_waiting, n_new (None for a whole design), n_workers, pool, and the `estimate`.

    Raises:
        UsageError: the request or the configuration must change.
        NotFoundError: no method was given, and nothing waits.
    """
    from retrain.phases import searching
    from retrain.pipelines import load_pipeline
    from retrain.tuning import check_method

    request = request.settled()
    config = searching(config)
    n_waiting, durations = _known(config)
    if request.method is None and not n_waiting:
        raise NotFoundError(
            f"Nothing waits in study {config.study_name!r}.",
            f"orchestrator --method bayesian --configs 20{request.flags}",
        )
    n_workers = request.n_workers_for(n_waiting or 0)
    if request.method is not None:
        check_method(config, load_pipeline(config), request.method)
    n_new = 0 if request.method is None else request.n_configs
    n_waiting = 1 if n_waiting is None else n_waiting  # a new study begins with its baseline
    estimate = Estimate(
        None if n_new is None else n_waiting + n_new,
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


def _known(config: "Config") -> tuple[int | None, list[float]]:
    """How many experiments of the study wait or run (None: there is no study), and how long others took."""
    try:
        with open_registry(config.db, create=False, read_only=True) as registry:
            study = registry.find_study(config.study_name)
            if study is None:
                return None, []
            counts = registry.counts(study)
            rows = registry.experiments(study, states=[State.COMPLETE], limit=N_DURATIONS, newest_first=True)
    except NotFoundError:
        return None, []
    took = [each.duration_s for each in rows if each.duration_s is not None]
    return counts[State.WAITING] + counts[State.RUNNING], took


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
    new = "a whole design of new ones" if found["n_new"] is None else f"{found['n_new']} new"
    total = "" if estimate.n is None else f"{estimate.n}: "
    facts = {
        "experiments": f"{total}{found['n_waiting']} waiting, {new}",
        "workers": f"{found['n_workers']}, {found['pool']}",
        "time": estimate.time_text,
        "limit": "" if estimate.timeout_s is None else seconds(estimate.timeout_s),
        "cost": estimate.cost_text,
    }
    lines = [f"Study {found['study']}", *(f"  {line}" for line in aligned(facts))]
    return "\n".join([*lines, "Nothing was run and nothing was written."])
