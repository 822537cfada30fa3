"""What a fitted model costs where it is used: time for one row, and size."""

import pickle
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

__all__ = ["costs"]

_N_ROWS = 20


def costs(
    names: Sequence[str], model: Any, x: np.ndarray, predict: Callable[[np.ndarray], object]
) -> dict[str, float]:
    """Measure `predict_ms` and `model_kb`, where they are among `names`.

    Args:
        names: of `retrain.metrics.COSTS`; others are left to whoever fits.
        model: what was fitted.
        x: rows to predict, n >= 1 of them: (n, d), dense or sparse, or (n,) texts.
        predict: predicts rows with it.
    """
    found = {}
    if "predict_ms" in names:
        found["predict_ms"] = median(_milliseconds(predict, x[[i % x.shape[0]]]) for i in range(_N_ROWS))
    if "model_kb" in names:
        found["model_kb"] = len(pickle.dumps(model)) / 1024  # only measured: nothing is stored or loaded so
    return found


def _milliseconds(predict: Callable[[np.ndarray], object], row: np.ndarray) -> float:
    start = time.perf_counter()
    predict(row)
    return 1e3 * (time.perf_counter() - start)
