"""Which experiment the word `best` stands for."""

from tuner.errors import NotFoundError, UsageError
from tuner.experiment import Experiment, Study
from tuner.registry.base import RegistryReader

__all__ = ["get_best"]

_N_NAMED = 10


def get_best(registry: RegistryReader, study: Study | None, name: str) -> Experiment:
    """Return the best experiment of a study; `name` is its name, where there may be none.

    Raises:
        NotFoundError: no complete experiment keeps the limits, or none is complete.
        UsageError: the study has several objectives; names the front to choose from.
    """
    best = [] if study is None else registry.best(study)
    if not best or study is None:
        broken = 0 if study is None else registry.n_infeasible(study)
        what = "has no finished experiment yet" if not broken else "has none that keeps its limits yet"
        raise NotFoundError(
            f"Study {name!r} {what}, so there is no best one.", "orchestrator --method bayesian --configs 20"
        )
    if study.goals.objectives:
        front = registry.front(study, best[0].provenance)
        some = ", ".join(each.public_id for each in front[:_N_NAMED])
        more = f" and {len(front) - _N_NAMED} more" if len(front) > _N_NAMED else ""
        raise UsageError(
            f"Study {name!r} has several objectives, so there is no best one, but a front: {some}{more}.",
            "Choose by: orchestrator --summary. Then name one: retrain --apply-hp ID",
        )
    return best[0]
