"""Random forests of scikit-learn."""

from typing import Any

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from retrain.metrics import REGRESSION
from retrain.models.base import without_class_weight
from retrain.models.store import load_trees as load
from retrain.models.store import save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator that works on one core."""
    if task == REGRESSION:
        return RandomForestRegressor(**without_class_weight(params), n_jobs=1, random_state=seed)
    return RandomForestClassifier(**params, n_jobs=1, random_state=seed)
