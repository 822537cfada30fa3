"""What the step can be asked for, checked before anything is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.errors import UsageError, did_you_mean

__all__ = ["METHODS", "METRICS", "MODELS", "PRUNERS", "TASKS", "Settings"]

TASKS = {"death": "retrain.toml", "weight": "weight.toml"}
"""A classification and a regression, each with its configuration."""

MODELS = (
    "xgboost",
    "lightgbm",
    "random_forest",
    "extra_trees",
    "gradient_boosting",
    "logistic_regression",
    "ridge",
    "lasso",
)
METHODS = ("bayesian", "tpe", "random", "cmaes")
PRUNERS = {"median": "median", "halving": "asha", "none": "none"}
METRICS = ("roc_auc", "accuracy", "f1", "rmse", "r2")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One call of the step.

    Attributes:
        models: those to choose among; None for all of the task.
        method: how candidates are proposed.
        pruner: what stops bad ones early.
        metric: what is optimised; None for that of the task.
        trials: candidates; the default configuration comes on top, once a study.
        timeout_s: for the whole search; what is finished by then is the result.
        study: its name; None for that of the task. Of one that exists, the search goes on.
        seed: of a new study, and of the training.
        warm_start: names of earlier studies to learn from; for the method bayesian.
        memory: whether to learn from whatever similar study is remembered; for the method bayesian.
        workers: how many trials at a time; None for one per core.
        pool: "local", or "ray".
        progress: whether to show it on stderr.

    Raises:
        UsageError: a model, method, pruner or metric that is none of those above.
    """

    models: Sequence[str] | None = None
    method: str = "bayesian"
    pruner: str = "none"
    metric: str | None = None
    trials: int = 30
    timeout_s: float | None = None
    study: str | None = None
    seed: int = 0
    warm_start: Sequence[str] = ()
    memory: bool = False
    workers: int | None = None
    pool: str = "local"
    progress: bool = False

    def __post_init__(self) -> None:
        _insist("method", self.method, METHODS)
        _insist("pruner", self.pruner, PRUNERS)
        if self.metric is not None:
            _insist("metric", self.metric, METRICS)
        for model in self.models or ():
            _insist("model", model, MODELS)

    @property
    def overrides(self) -> dict[str, Any]:
        """What is laid over the configuration of the task, by dotted key."""
        return {
            "pipeline.model": list(self.models) if self.models else None,
            "pipeline.metric": self.metric,
            "study.name": self.study,
            "study.seed": self.seed,
            "study.warm_start": list(self.warm_start) or None,
            "study.memory": True if self.memory else None,
            "pruning.pruner": PRUNERS[self.pruner],
        }


def _insist(what: str, given: str, known: Iterable[str]) -> None:
    if given not in known:
        raise UsageError(
            f"Unknown {what} {given!r}.{did_you_mean(given, known)}", f"There are: {', '.join(known)}."
        )
