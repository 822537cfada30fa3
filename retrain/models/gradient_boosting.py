"""Gradient boosting of scikit-learn, one tree after the other (Friedman 2001). Works on one core by itself.

Its own early stopping (`n_iter_no_change`) is not offered: it draws the rows to stop on at random, whatever
their group or time. xgboost and lightgbm stop on rows that are set aside as all splits are.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from retrain.metrics import REGRESSION
from retrain.models.store import load_trees as load
from retrain.models.store import save
from tuner.experiment import Params

__all__ = ["build", "fit_rounds", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator."""
    kind = GradientBoostingRegressor if task == REGRESSION else GradientBoostingClassifier
    return kind(**params, random_state=seed)


def fit_rounds(
    estimator: Any,
    x: np.ndarray,
    y: np.ndarray,
    at: Callable[[int, Any], None],
) -> None:
    """Fit, and call `at(n_rounds, model)` after each round; `model` predicts with the rounds so far."""

    def after_each_round(i: int, model: Any, _: Any) -> bool:
        trees = model.estimators_
        model.estimators_ = trees[: i + 1]
        try:
            at(i + 1, model)
        finally:
            model.estimators_ = trees
        return False

    estimator.fit(x, y, monitor=after_each_round)
