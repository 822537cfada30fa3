"""Problems from data that scikit-learn ships: a model, its usual parameters, and a cross-validated loss."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from benchmarks.peers.base import Config, Param

__all__ = ["NAMES", "Builtin"]

_N_FOLDS = 3
_N_ROWS = 400
"""Rows of a data set that are used, drawn once: an experiment must stay cheap."""


def _float(name: str, low: float, high: float, log: bool = False, when: Any = None) -> Param:
    return Param(name, "float", low, high, log, None, when)


def _int(name: str, low: int, high: int, log: bool = False, when: Any = None) -> Param:
    return Param(name, "int", low, high, log, None, when)


def _cat(name: str, choices: list[Any]) -> Param:
    return Param(name, "cat", None, None, False, choices, None)


_SVC = [
    _cat("kernel", ["rbf", "poly", "sigmoid", "linear"]),
    _float("C", 1e-3, 1e3, log=True),
    _float("gamma", 1e-5, 10.0, log=True, when=("kernel", ["rbf", "poly", "sigmoid"])),
    _int("degree", 2, 5, when=("kernel", ["poly"])),
    _float("coef0", -1.0, 1.0, when=("kernel", ["poly", "sigmoid"])),
]
_FOREST = [
    _int("n_estimators", 5, 60, log=True),
    _float("max_features", 0.05, 1.0),
    _int("max_depth", 1, 20, log=True),
    _int("min_samples_leaf", 1, 30, log=True),
    _cat("bootstrap", [True, False]),
]
_LOGISTIC = [
    _float("C", 1e-5, 1e4, log=True),
    _float("l1_ratio", 0.0, 1.0),
    _cat("scale", ["none", "standard", "power"]),
    _cat("class_weight", ["none", "balanced"]),
]
_BOOSTING = [
    _int("max_iter", 5, 60, log=True),
    _float("learning_rate", 0.005, 1.0, log=True),
    _int("max_leaf_nodes", 2, 32, log=True),
    _int("min_samples_leaf", 1, 60, log=True),
    _float("l2_regularization", 1e-6, 1e2, log=True),
    _float("max_features", 0.1, 1.0),
]


def _svc(c: Config) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(**c, max_iter=5000))


def _forest(c: Config) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**c, random_state=0)


def _forest_regressor(c: Config) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(**c, random_state=0)


def _logistic(c: Config) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

    scalers = {"none": FunctionTransformer, "standard": StandardScaler, "power": PowerTransformer}
    weight = None if c["class_weight"] == "none" else "balanced"
    model = LogisticRegression(
        C=c["C"], l1_ratio=c["l1_ratio"], class_weight=weight, solver="saga", max_iter=100
    )
    return make_pipeline(scalers[c["scale"]](), model)


def _boosting(c: Config) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**c, early_stopping=False, random_state=0)


def _boosting_regressor(c: Config) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**c, early_stopping=False, random_state=0)


_MODELS: dict[str, tuple[list[Param], Callable[[Config], Any], str]] = {
    "svc": (_SVC, _svc, "accuracy"),
    "forest": (_FOREST, _forest, "neg_log_loss"),
    "forest_regressor": (_FOREST, _forest_regressor, "neg_root_mean_squared_error"),
    "logistic": (_LOGISTIC, _logistic, "neg_log_loss"),
    "boosting": (_BOOSTING, _boosting, "neg_log_loss"),
    "boosting_regressor": (_BOOSTING, _boosting_regressor, "neg_root_mean_squared_error"),
}

NAMES = (
    "sklearn:breast_cancer:svc",
    "sklearn:breast_cancer:boosting",
    "sklearn:digits:svc",
    "sklearn:digits:forest",
    "sklearn:wine:logistic",
    "sklearn:wine:forest",
    "sklearn:diabetes:forest_regressor",
    "sklearn:diabetes:boosting_regressor",
)


@cache
def _data(name: str) -> tuple[Any, Any]:
    import numpy as np
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))[:_N_ROWS]
    return x[rows], y[rows]


class Builtin:
    """`sklearn:DATA:MODEL`; an experiment that was made before in this process is looked up."""

    known_scale: tuple[float, float] | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        _, self._data_set, model = name.split(":")
        self.space, self._build, self._scoring = _MODELS[model]
        self._known: dict[tuple[tuple[str, Any], ...], float] = {}

    def session(self) -> Callable[[Config], tuple[float, Config]]:
        return lambda config: (self._loss(config), config)

    def _loss(self, config: Config) -> float:
        key = tuple(sorted(config.items()))
        if key not in self._known:
            self._known[key] = self._measure(config)
        return self._known[key]

    def _measure(self, config: Config) -> float:
        from sklearn.model_selection import cross_val_score

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model that did not converge is a result like any other
            scores = cross_val_score(
                self._build(config), *_data(self._data_set), cv=_N_FOLDS, scoring=self._scoring
            )
        return -float(scores.mean())
