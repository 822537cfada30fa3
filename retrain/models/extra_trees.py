"""Extremely randomized trees of scikit-learn: forests whose cuts are drawn at random (Geurts et al. 2006)."""

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from retrain.metrics import REGRESSION
from retrain.models.base import without_class_weight
from retrain.models.store import load_trees as load
from retrain.models.store import save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator that works on one core."""
    if task == REGRESSION:
        return ExtraTreesRegressor(**without_class_weight(params), n_jobs=1, random_state=seed)
    return ExtraTreesClassifier(**params, n_jobs=1, random_state=seed)
