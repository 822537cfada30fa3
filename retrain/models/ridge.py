"""Ridge regression of scikit-learn, and the classifier made of it.

That regresses on classes coded as -1 and 1, and tells them apart by the sign. It gives no probabilities; for
two classes rows are ranked by what it regresses to, which is all that `roc_auc` asks for.
"""

from typing import Any

from sklearn.linear_model import Ridge, RidgeClassifier

from retrain.metrics import REGRESSION
from retrain.models.base import without_class_weight
from retrain.models.store import load, save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator. Works on one core by itself."""
    if task == REGRESSION:
        return Ridge(**without_class_weight(params), random_state=seed)
    return RidgeClassifier(**params, random_state=seed)
