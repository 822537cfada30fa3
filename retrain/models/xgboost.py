"""Gradient-boosted trees of XGBoost. The only file that imports it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from retrain.metrics import REGRESSION
from retrain.models.store import refuse_pickle
from tuner.errors import StorageError
from tuner.experiment import Params

__all__ = ["build", "fit_rounds", "fit_stopping", "load", "save"]

FILE = "model.ubj"
_SOURCE_LINE = re.compile(r"^\[[\d:]+\] \S+: ")
"""The time of day and the line of the library's source, before what it has to say."""


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator that works on one core."""
    kind = xgboost.XGBRegressor if task == REGRESSION else xgboost.XGBClassifier
    # verbosity=0: the names of parameters are checked by us, and nothing else it says helps a search.
    return kind(**params, n_jobs=1, random_state=seed, verbosity=0)


class _AfterEachRound(xgboost.callback.TrainingCallback):
    def __init__(self, estimator: Any, at: Callable[[int, Any], None]) -> None:
        self._estimator, self._at = estimator, at

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        self._estimator._Booster = model  # so that it predicts as it stands
        self._at(epoch + 1, self._estimator)
        return False


def fit_rounds(
    estimator: Any,
    x: np.ndarray,
    y: np.ndarray,
    at: Callable[[int, Any], None],
) -> None:
    """Fit, and call `at(n_rounds, model)` after each round; `model` predicts with the rounds so far."""
    estimator.set_params(callbacks=[_AfterEachRound(estimator, at)])
    try:
        estimator.fit(x, y)
    finally:
        estimator.set_params(callbacks=None)


def fit_stopping(
    estimator: Any,
    learn: tuple[np.ndarray, np.ndarray],
    stop: tuple[np.ndarray, np.ndarray],
    patience: int,
) -> int:
    """Fit on `learn` until the loss on `stop` has not improved for `patience` rounds; return the best round.

    Args:
        estimator: unfitted; it predicts with its best round afterwards. Its `n_estimators` is the bound.
        learn: features (n, q) and targets (n,) to learn from.
        stop: the same of the rows to stop on.
        patience: rounds, >= 1. The loss is the one that is learned by: log loss, or squared error.

    Returns:
        The number of the best round, from 0.
    """
    estimator.set_params(early_stopping_rounds=patience)
    estimator.fit(*learn, eval_set=[stop], verbose=False)
    return int(estimator.best_iteration)


def save(estimator: Any, folder: Path) -> Path:
    """Write it as UBJSON, which holds no code."""
    estimator.save_model(folder / FILE)
    return folder / FILE


def load(folder: Path, task: str) -> Any:
    """Read what `save` wrote.

    Raises:
        StorageError: the file is missing, damaged, or something else than UBJSON.
    """
    path = folder / FILE
    refuse_pickle(path)
    with path.open("rb") as file:
        is_ubjson = (
            file.read(2) == b"{L"
        )  # what XGBoost writes: an object, its first key with a 64-bit length
    estimator = build({}, task, seed=0)
    try:
        if not is_ubjson:
            raise ValueError("it is not UBJSON")
        estimator.load_model(path)
    except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
        reason = _SOURCE_LINE.sub("", str(error).strip().split("\n")[0]) or type(error).__name__
        raise StorageError(f"The model file {str(path)!r} cannot be read: {reason}.") from None
    return estimator
