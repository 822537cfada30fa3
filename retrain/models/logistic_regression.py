"""Logistic regression of scikit-learn.

scikit-learn 1.8 replaced `penalty` by `l1_ratio` and `C`. Spaces may still speak of a penalty ("l1", "l2",
"elasticnet", or None): it is translated here, so that no deprecated argument is ever used.

A fit that stops at `max_iter` is a legitimate point of the search, not a fault: `retrain.pipelines.artifact`
silences the warning, the score stands for itself, and the folds concerned are counted in `n_not_converged`.
"""

import math
from typing import Any

from sklearn.linear_model import LogisticRegression

from retrain.models.store import load, save
from tuner.errors import ConfigError
from tuner.experiment import Params

__all__ = ["build", "load", "save"]

L1_RATIOS = {"l1": 1.0, "l2": 0.0}


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator. Works on one core by itself."""
    given: dict[str, Any] = dict(params)
    if "penalty" in given:
        given |= _translated(given.pop("penalty"), given)
    return LogisticRegression(**given, random_state=seed)


def _translated(penalty: Any, given: Params) -> dict[str, Any]:
    """Say a penalty in the new words."""
    if penalty is None:
        return {"C": math.inf, "l1_ratio": 0.0}
    if penalty == "elasticnet":
        return {"l1_ratio": given.get("l1_ratio", 0.5)}
    if penalty not in L1_RATIOS:
        raise ConfigError(
            f"`penalty` must be one of 'l1', 'l2', 'elasticnet' or null, but got {penalty!r}.",
            "Or search l1_ratio in [0, 1] instead: 0 is l2, 1 is l1.",
        )
    return {"l1_ratio": L1_RATIOS[penalty]}
