import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer, get_scorer_names

from retrain.metrics import (
    BINARY,
    METRICS,
    MULTICLASS,
    REGRESSION,
    USUAL_METRICS,
    Predictions,
    UndefinedMetricError,
    cod_accuracy,
    csmf_accuracy,
    get_metric,
    is_share,
    score,
)
from tuner.errors import ConfigError
from tuner.experiment import Direction

SHORT = {
    "log_loss": "neg_log_loss",
    "brier_score": "neg_brier_score",
    "rmse": "neg_root_mean_squared_error",
    "mse": "neg_mean_squared_error",
    "mae": "neg_mean_absolute_error",
    "mape": "neg_mean_absolute_percentage_error",
    "median_absolute_error": "neg_median_absolute_error",
    "max_error": "neg_max_error",
    "msle": "neg_mean_squared_log_error",
    "rmsle": "neg_root_mean_squared_log_error",
}
SPAN_METRICS = ("span_f1", "span_precision", "span_recall", "mean_f1")  # of `retrain.spans`: see its tests
OURS = ("csmf_accuracy", "cod_accuracy", *SPAN_METRICS)


class Positive(LinearRegression):  # type: ignore[misc]
    """Some metrics are defined for positive predictions only."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(super().predict(x)).clip(0.1)


def problem(task: str) -> tuple[np.ndarray, np.ndarray]:
    if task == REGRESSION:
        x, y = make_regression(80, 4, noise=20.0, random_state=0)
        return x, y - y.min() + 1.0
    n_classes = 2 if task == BINARY else 4
    x, y = make_classification(160, 8, n_informative=5, n_classes=n_classes, flip_y=0.2, random_state=1)
    return x, y


@pytest.mark.parametrize(
    ("name", "task"), [(m.name, task) for m in METRICS.values() for task in m.tasks if m.name not in OURS]
)
def test_every_metric_equals_the_scorer_of_its_name(name: str, task: str) -> None:
    x, y = problem(task)
    theirs = get_scorer(SHORT.get(name, name))
    if task == REGRESSION:
        model = Positive().fit(x, y)
        predictions, n_classes = Predictions(model.predict(x)), 0
    else:
        model = LogisticRegression().fit(x, y)
        predictions, n_classes = Predictions(model.predict(x), model.predict_proba(x)), len(model.classes_)
    sign = -1 if name in SHORT else 1
    assert score(get_metric(name), y, predictions, n_classes) == pytest.approx(
        sign * theirs(model, x, y), rel=1e-9
    )


def test_scorers_of_the_same_name_agree_on_what_is_better() -> None:
    for name, metric in METRICS.items():
        assert name in SHORT or name in OURS or name in get_scorer_names()
        assert metric.direction is (Direction.MINIMIZE if name in SHORT else Direction.MAXIMIZE)


def test_the_usual_metrics_suit_their_task() -> None:
    for task, names in USUAL_METRICS.items():
        assert all(task in METRICS[name].tasks for name in names)
    assert set(USUAL_METRICS) == {BINARY, MULTICLASS, REGRESSION}


def test_an_unknown_name_gets_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"Unknown metric 'roc_acu'. Did you mean 'roc_auc'") as caught:
        get_metric("roc_acu")
    assert "rmse" in caught.value.remedy


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "roc_auc_ovr"])
def test_one_class_only_is_undefined_and_not_one_half(name: str) -> None:
    predictions = Predictions(np.zeros(3, int), np.full((3, 2), 0.5))
    with pytest.raises(UndefinedMetricError, match="hold 1 of 2 classes"):
        score(get_metric(name), np.zeros(3, int), predictions, 2)


def test_r2_of_one_row_is_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="r2 is nan on 1 rows"):
        score(get_metric("r2"), np.array([1.0]), Predictions(np.array([1.0])), 0)


def test_a_model_that_predicts_nan_has_no_score() -> None:
    truth = np.array([0.0, 1.0])
    with pytest.raises(UndefinedMetricError, match="the model predicts nan"):
        score(get_metric("rmse"), truth, Predictions(np.array([0.0, np.nan])), 0)


def test_a_class_that_is_never_predicted_costs_score_without_a_warning() -> None:
    predictions = Predictions(np.zeros(4, int), np.tile([1.0, 0.0], (4, 1)))
    truth = np.array([0, 0, 1, 1])
    assert score(get_metric("f1"), truth, predictions, 2) == 0.0
    assert score(get_metric("balanced_accuracy"), truth, predictions, 2) == 0.5


def test_a_loss_is_defined_where_a_class_is_absent() -> None:
    half = Predictions(np.zeros(2, int), np.full((2, 2), 0.5))
    assert score(get_metric("log_loss"), np.zeros(2, int), half, 2) == pytest.approx(np.log(2))


# ---- verbal autopsy


def test_csmf_accuracy_by_hand() -> None:
    truth = np.array([0] * 5 + [1] * 3 + [2] * 2)
    predicted = np.array([0] * 7 + [1] * 3)
    # shares .5 .3 .2 against .7 .3 0; the worst possible sum of differences is 2 (1 - .2)
    assert csmf_accuracy(truth, predicted) == pytest.approx(1 - 0.4 / 1.6)
    assert cod_accuracy(truth, predicted) == pytest.approx(0.6)


def test_csmf_accuracy_forgives_errors_that_cancel_out_and_cod_accuracy_does_not() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    assert csmf_accuracy(truth, predicted) == 1.0
    assert cod_accuracy(truth, predicted) == 0.0


def test_csmf_accuracy_is_zero_at_its_worst_and_undefined_for_one_cause() -> None:
    assert csmf_accuracy(np.array([0, 0, 0, 1]), np.array([1, 1, 1, 1])) == pytest.approx(0.0)
    assert np.isnan(csmf_accuracy(np.array([0, 0]), np.array([0, 0])))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_csmf_accuracy_lies_in_the_unit_interval_whatever_the_order(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = map(np.array, zip(*pairs, strict=True))
    value = csmf_accuracy(truth, predicted)
    assert np.isnan(value) or -1e-12 <= value <= 1
    assert csmf_accuracy(truth, predicted[::-1]) == pytest.approx(value, nan_ok=True)


def test_the_table_is_read_without_heavy_imports() -> None:
    code = "import sys, retrain.metrics, retrain.models; print({'sklearn', 'xgboost'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_what_may_be_negative_is_no_share() -> None:
    assert is_share("test_top_k_accuracy")
    assert not is_share("test_d2_brier_score")
    assert not is_share("d2_log_loss_score")
    guess = Predictions(np.array([1, 0, 1]), np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9]]))
    assert score(get_metric("d2_brier_score"), np.array([0, 1, 0]), guess, 2) < 0
