"""Lasso of scikit-learn: least squares with an L1 penalty (Tibshirani 1996). For numbers alone.

Its like for classes is logistic_regression with solver = "saga" and l1_ratio = 1.
"""

from typing import Any

from sklearn.linear_model import Lasso

from retrain.models.store import load, save
from tuner.experiment import Params

__all__ = ["build", "load", "save"]


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator. Works on one core by itself; the seed counts with selection = "random"."""
    return Lasso(**params, random_state=seed)
