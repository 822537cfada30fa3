"""Linear classifiers of scikit-learn that learn by stochastic gradient descent; the loss says which.

Only the losses "log_loss" and "modified_huber" give probabilities, so no metric that needs them is taken. For
two classes rows are ranked by their probability where there is one, else by their distance to the plane.
scikit-learn's own early stopping is not offered: it draws its rows at random, whatever their group.

With `epochs` it learns by so many passes of `partial_fit`, in a search and in the final fit alike. Nothing
else ends it; the rows of each epoch have an order of their own, drawn from the seed; the first epochs of a
longer fit are those of a shorter one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.linear_model import SGDClassifier

from retrain.models.store import FILE, dump, load
from tuner.experiment import Params

__all__ = ["build", "fit_epochs", "load", "save"]


class _ByEpochs(SGDClassifier):  # type: ignore[misc]
    """Learns by epochs wherever it is fitted. `n_epochs` is no parameter of scikit-learn's."""

    n_epochs: int

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        fit_epochs(self, x, y, lambda *_: None)
        return self


def build(params: Params, task: str, seed: int) -> Any:  # noqa: ARG001 - one signature for all families
    """Build an unfitted estimator that works on one core."""
    own = dict(params)
    n_epochs = own.pop("epochs", None)
    if n_epochs is None:
        return SGDClassifier(**own, n_jobs=1, random_state=seed)
    estimator = _ByEpochs(**own, n_jobs=1, random_state=seed)
    estimator.n_epochs = int(str(n_epochs))
    return estimator


def fit_epochs(estimator: Any, x: np.ndarray, y: np.ndarray, at: Callable[[int, Any], None]) -> None:
    """Fit, and call `at(n_epochs, model)` after each epoch; `model` predicts as it stands.

    Args:
        estimator: unfitted, built with `epochs`.
        x: (n, q), dense or sparse.
        y: (n,) class codes without gaps.
        at: called with the number of epochs so far.
    """
    classes = np.unique(y)
    seed, weight = estimator.random_state, estimator.class_weight
    if weight == "balanced":  # which partial_fit refuses, not knowing that it is handed all rows
        shares = len(y) / (len(classes) * np.bincount(y))
        estimator.set_params(class_weight=dict(enumerate(shares.tolist())))
    # Of an integer it would draw the same order for each epoch.
    estimator.set_params(random_state=np.random.RandomState(seed))
    try:
        for epoch in range(1, estimator.n_epochs + 1):
            estimator.partial_fit(x, y, classes)
            at(epoch, estimator)
    finally:
        estimator.set_params(random_state=seed, class_weight=weight)


def save(estimator: Any, folder: Path) -> Path:
    """Write it in the format of skops, as scikit-learn's own, however it was fitted."""
    plain = SGDClassifier()
    plain.__dict__.update({name: its for name, its in vars(estimator).items() if name != "n_epochs"})
    return dump(plain, folder / FILE)
