"""Random forests of scikit-learn."""

from pathlib import Path
from typing import Any

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from retrain.metrics import REGRESSION
from retrain.models.store import dump, read
from tuner.errors import ConfigError
from tuner.experiment import Params

__all__ = ["build", "load", "save"]

FILE = "model.skops"
TRUSTED = ("sklearn.tree._tree.Tree",)


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator that works on one core."""
    if task != REGRESSION:
        return RandomForestClassifier(**params, n_jobs=1, random_state=seed)
    if params.get("class_weight") is not None:
        raise ConfigError("The parameter 'class_weight' has no meaning for a regression.", "Leave it out.")
    own = {name: value for name, value in params.items() if name != "class_weight"}
    return RandomForestRegressor(**own, n_jobs=1, random_state=seed)


def save(estimator: Any, folder: Path) -> Path:
    """Write it in the format of skops, which holds no code."""
    return dump(estimator, folder / FILE)


def load(folder: Path, task: str) -> Any:  # noqa: ARG001 - one signature for all families
    """Read what `save` wrote."""
    return read(folder / FILE, TRUSTED)
