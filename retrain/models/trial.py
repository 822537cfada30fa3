"""What a library says of hyperparameters before anything is fitted in earnest.

Models of scikit-learn check their parameters by a table of their own, without data. The others find out in a
fit: so they are fitted for one round, to rows that mean nothing.
"""

import re
import warnings
from typing import Any

import numpy as np

from retrain.metrics import MULTICLASS, REGRESSION
from retrain.models import family_module
from tuner.experiment import Params

__all__ = ["refusal"]

_N_ROWS, _N_FEATURES = 200, 4
_PLACE_BEFORE = re.compile(r"^\[[\d:]+\] \S+: ")
_PLACE_BEHIND = re.compile(r" at \S+, line \d+ ?\.?$")


def refusal(name: str, params: Params, task: str) -> str | None:
    """What the library of a model has against its hyperparameters; None where that is nothing.

    Args:
        name: of `retrain.models.MODELS`.
        params: its hyperparameters, which break none of our own rules.
        task: "binary", "multiclass" or "regression".
    """
    module = family_module(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = module.build(params, task, 0)
            if hasattr(estimator, "_parameter_constraints"):
                estimator._validate_params()
            else:
                _fit_briefly(estimator, task)
    except Exception as error:  # noqa: BLE001 - the libraries have no kind in common
        return _said(error)
    return None


def _fit_briefly(estimator: Any, task: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_N_ROWS, _N_FEATURES))
    y = x[:, 0] if task == REGRESSION else np.arange(_N_ROWS) % (3 if task == MULTICLASS else 2)
    rounds = estimator.get_params().get("n_estimators")
    if isinstance(rounds, int) and rounds > 1:
        estimator.set_params(n_estimators=1)
    estimator.fit(x, y)


def _said(error: Exception) -> str:
    """Its first line, without the places in the source of the library."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return _PLACE_BEHIND.sub("", _PLACE_BEFORE.sub("", line)).rstrip(".")
