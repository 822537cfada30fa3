"""Gradient-boosted trees of XGBoost. The only file that imports it."""

from pathlib import Path
from typing import Any

import xgboost

from retrain.metrics import REGRESSION
from tuner.experiment import Params

__all__ = ["build", "load", "save"]

FILE = "model.ubj"


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator that works on one core."""
    kind = xgboost.XGBRegressor if task == REGRESSION else xgboost.XGBClassifier
    # verbosity=0: the names of parameters are checked by us, and nothing else it says helps a search.
    return kind(**params, n_jobs=1, random_state=seed, verbosity=0)


def save(estimator: Any, folder: Path) -> Path:
    """Write it as UBJSON, which holds no code."""
    estimator.save_model(folder / FILE)
    return folder / FILE


def load(folder: Path, task: str) -> Any:
    """Read what `save` wrote."""
    estimator = build({}, task, seed=0)
    estimator.load_model(folder / FILE)
    return estimator
