"""The k nearest neighbours of scikit-learn.

Every search is by brute force, whose model is a plain table: a search tree is a type of its own, which would
have to be trusted in a file. A model therefore holds all rows it was fitted on, as it must in any case, and
whoever has the file has them. There is no chance in it: the seed changes nothing.
"""

from typing import Any

from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from retrain.metrics import REGRESSION
from retrain.models.store import load, save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator that works on one core."""
    kind = KNeighborsRegressor if task == REGRESSION else KNeighborsClassifier
    return kind(**params, algorithm="brute", n_jobs=1)
