"""Gradient-boosted trees of LightGBM (the extra `lightgbm`). The only file that imports it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from retrain.metrics import REGRESSION
from retrain.models.store import refuse_pickle
from tuner.errors import StorageError
from tuner.experiment import Params

__all__ = ["LoadedBooster", "build", "fit_rounds", "fit_stopping", "load", "save"]

FILE = "model.txt"
_HEAD, _END = b"tree\n", b"\nend of parameters\n\npandas_categorical:null\n"

_FIXED: dict[str, Any] = {"n_jobs": 1, "verbosity": -1, "deterministic": True, "force_col_wise": True}
"""One core; nothing printed; and the same trees every time: else LightGBM times two ways of counting, and
takes the one that was quicker."""


def build(params: Params, task: str, seed: int) -> Any:
    """Build an unfitted estimator that works on one core."""
    kind: Any = lightgbm.LGBMRegressor if task == REGRESSION else lightgbm.LGBMClassifier
    return kind(**params, **_FIXED, random_state=seed)


def fit_rounds(
    estimator: Any,
    x: np.ndarray,
    y: np.ndarray,
    at: Callable[[int, Any], None],
) -> None:
    """Fit, and call `at(n_rounds, model)` after each round; `model` predicts with the rounds so far."""
    task = REGRESSION if isinstance(estimator, lightgbm.LGBMRegressor) else ""

    def after_each_round(env: Any) -> None:
        at(env.iteration + 1, LoadedBooster(env.model, task))

    estimator.fit(x, y, callbacks=[after_each_round])


def fit_stopping(
    estimator: Any, learn: tuple[np.ndarray, np.ndarray], stop: tuple[np.ndarray, np.ndarray], patience: int
) -> int:
    """Fit on `learn` until the loss on `stop` has not improved for `patience` rounds; return the best round.

    As of `retrain.models.xgboost.fit_stopping`.
    """
    estimator.fit(*learn, eval_set=[stop], callbacks=[lightgbm.early_stopping(patience, verbose=False)])
    return max(0, int(estimator.best_iteration_) - 1)


class LoadedBooster:
    """What was read from a file: it predicts as the estimator did that was written."""

    def __init__(self, booster: "lightgbm.Booster", task: str) -> None:
        self.booster, self.task = booster, task

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return (n,) class codes or values."""
        if self.task == REGRESSION:
            return self._said(X)
        codes: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return codes

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return (n, k) probabilities."""
        said = self._said(X)
        return said if said.ndim == 2 else np.column_stack([1 - said, said])

    def _said(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.booster.predict(x, num_threads=1))


def save(estimator: Any, folder: Path) -> Path:
    """Write it in LightGBM's own text, which holds no code."""
    booster = estimator.booster if isinstance(estimator, LoadedBooster) else estimator.booster_
    (folder / FILE).write_text(booster.model_to_string(), encoding="utf-8")
    return folder / FILE


def load(folder: Path, task: str) -> LoadedBooster:
    """Read what `save` wrote.

    Raises:
        StorageError: the file is missing, damaged, or something else than LightGBM's text.
    """
    path = folder / FILE
    refuse_pickle(path)
    data = path.read_bytes()
    if not data.startswith(_HEAD) or not data.endswith(_END):
        raise StorageError(f"The model file {str(path)!r} cannot be read: it is not a whole LightGBM text.")
    try:
        booster = lightgbm.Booster(model_str=data.decode("utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise StorageError(f"The model file {str(path)!r} cannot be read: {reason}.") from None
    return LoadedBooster(booster, task)
