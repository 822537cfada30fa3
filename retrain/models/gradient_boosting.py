"""Gradient boosting of scikit-learn, one tree after the other (Friedman 2001). Works on one core by itself.

Its own early stopping (`n_iter_no_change`) is not offered: it draws the rows to stop on at random, whatever
their group or time. xgboost and lightgbm stop on rows that are set aside as all splits are.
"""

from typing import Any

from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from retrain.metrics import REGRESSION
from retrain.models.store import load_trees as load
from retrain.models.store import save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator."""
    kind = GradientBoostingRegressor if task == REGRESSION else GradientBoostingClassifier
    return kind(**params, random_state=seed)
