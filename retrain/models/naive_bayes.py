"""Naive Bayes of scikit-learn for counts and shares, such as words: multinomial, or its complement.

The complement (Rennie et al. 2003) bears classes of unequal size better. Features may not be negative: the
numbers of a table are brought to [0, 1], which suits yes and no, and counts, better than anything else. There
is no chance in it: the seed changes nothing. It learns all there is in one epoch: a second one would count
each row twice.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.naive_bayes import ComplementNB, MultinomialNB

from retrain.models.store import load, save
from tuner.errors import ConfigError
from tuner.experiment import Params

__all__ = ["build", "fit_epochs", "load", "save"]

VARIANTS = {"multinomial": MultinomialNB, "complement": ComplementNB}


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator. Works on one core by itself."""
    own = dict(params)
    variant = own.pop("variant", "multinomial")
    if variant not in VARIANTS:
        raise ConfigError(
            f"`variant` must be one of 'multinomial', 'complement', but got {variant!r}.",
            "Choose one of them.",
        )
    return VARIANTS[variant](**own)


def fit_epochs(estimator: Any, x: np.ndarray, y: np.ndarray, at: Callable[[int, Any], None]) -> None:
    """Fit in its one epoch, and call `at(1, model)` after it."""
    estimator.partial_fit(x, y, np.unique(y))
    at(1, estimator)
