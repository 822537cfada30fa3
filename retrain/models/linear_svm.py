"""Linear support vector machines of scikit-learn (liblinear), each class against the rest.

They give no probabilities. For two classes rows are ranked by their side of the plane and distance to it.
"""

from typing import Any

from sklearn.svm import LinearSVC

from retrain.models.store import load, save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator. Works on one core by itself; the seed counts in the dual problem."""
    return LinearSVC(**params, random_state=seed)
