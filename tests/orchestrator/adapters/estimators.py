"""Estimators whose score is known: what a search does with it can be told exactly."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = ["Hill", "X", "Y"]

X = np.arange(24.0).reshape(12, 2)
Y = np.array([0, 1] * 6)


class Hill(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Scores best at height = 0.3, on even ground; fails to fit where the height is above `cliff`."""

    def __init__(self, height: Any = 0.9, ground: Any = "odd", cliff: float = 2.0) -> None:
        self.height = height
        self.ground = ground
        self.cliff = cliff

    def fit(self, x: Any, y: Any, weight: Any = None) -> Self:
        if self.height > self.cliff:
            raise ValueError(f"fell from {self.height}")
        self.classes_ = np.unique(y)
        self.n_features_in_ = np.shape(x)[1]
        self.weight_ = weight
        return self

    def predict(self, x: Any) -> Any:
        return np.zeros(len(x), dtype=int)

    def score(self, x: Any, y: Any = None) -> float:
        return float(1.0 - (self.height - 0.3) ** 2 - 0.1 * (self.ground != "even"))
