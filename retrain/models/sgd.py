"""Linear classifiers of scikit-learn that learn by stochastic gradient descent; the loss says which.

Only the losses "log_loss" and "modified_huber" give probabilities, so no metric that needs them is taken. For
two classes rows are ranked by their probability where there is one, else by their distance to the plane.
scikit-learn's own early stopping is not offered: it draws its rows at random, whatever their group.
"""

from typing import Any

from sklearn.linear_model import SGDClassifier

from retrain.models.store import load, save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator that works on one core."""
    return SGDClassifier(**params, n_jobs=1, random_state=seed)
