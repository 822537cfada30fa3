"""What every model family must keep, run over all of them."""

import inspect
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import scipy.sparse
import xgboost
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Lasso, LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from retrain.metrics import BINARY, MULTICLASS, REGRESSION, UndefinedMetricError, get_metric, score
from retrain.models import MODELS, check_metric, check_params, family_module, get_family, make_model
from retrain.models.store import dump, read
from retrain.pipelines.artifact import converged, fit_estimator, predict
from tests.retrain.projects import tabular
from tuner.errors import ConfigError, StorageError
from tuner.presets import APPETITES, PRESETS, load_preset

TASKS = [(name, task) for name, family in MODELS.items() for task in family.tasks]
QUICK: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 5, "subsample": 0.7},
    "lightgbm": {"n_estimators": 5, "subsample": 0.7, "subsample_freq": 1, "min_child_samples": 5},
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5, "max_depth": 3},
    "gradient_boosting": {"n_estimators": 5, "subsample": 0.7},
    "logistic_regression": {"solver": "saga", "max_iter": 20},
    "ridge": {"solver": "sag", "max_iter": 20},
    "lasso": {"selection": "random", "max_iter": 3},
    "linear_svm": {"dual": True, "max_iter": 20},
    "naive_bayes": {},
    "sgd": {"max_iter": 20},
    "k_nearest_neighbors": {},
}
WITHOUT_CHANCE = ("naive_bayes", "k_nearest_neighbors")
"""Families whose models do not hang on the seed."""


def problem(task: str, n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    if task == REGRESSION:
        x, y = make_regression(n, 5, noise=5.0, random_state=0)
        return x, y
    x, y = make_classification(n, 6, n_informative=4, n_classes=2 if task == BINARY else 3, random_state=0)
    return x - x.min(axis=0), y  # none is negative, which some families need


def fitted(name: str, task: str, seed: int = 0, **params: Any) -> Any:
    x, y = problem(task)
    model = make_model(name, {**QUICK[name], **params}, task, seed)
    fit_estimator(model, x, y, len(np.unique(y)) if task != REGRESSION else 0)
    return model


def answers(model: Any, task: str) -> np.ndarray:
    x, _ = problem(task)
    if task == REGRESSION:
        return np.asarray(model.predict(x))
    return np.asarray(
        model.predict_proba(x) if hasattr(model, "predict_proba") else model.decision_function(x)
    )


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_the_seed_decides(name: str, task: str) -> None:
    first, again = fitted(name, task, seed=1), fitted(name, task, seed=1)
    np.testing.assert_array_equal(answers(first, task), answers(again, task))
    if name not in WITHOUT_CHANCE:
        assert not np.array_equal(answers(first, task), answers(fitted(name, task, seed=2), task))


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_it_works_on_one_core(name: str, task: str) -> None:
    cores = getattr(make_model(name, {}, task, 0), "n_jobs", None)
    # None means one core in scikit-learn, and all of them in XGBoost and LightGBM.
    assert cores in ((1,) if name in ("xgboost", "lightgbm") else (1, None))


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_what_is_stored_answers_as_before_and_holds_no_pickle(name: str, task: str, tmp_path: Path) -> None:
    model = fitted(name, task)
    path = family_module(name).save(model, tmp_path)
    assert path.suffix in (".ubj", ".txt", ".skops")
    if path.suffix == ".skops":
        names = zipfile.ZipFile(path).namelist()
        assert not [file for file in names if file.endswith((".pkl", ".pickle", ".joblib"))]
    back = family_module(name).load(tmp_path, task)
    np.testing.assert_array_equal(answers(model, task), answers(back, task))


def _names_of_lightgbm() -> Iterator[str]:
    """Those of its own core, with every alias, and of its adapter to scikit-learn."""
    yield from inspect.signature(lightgbm.LGBMClassifier).parameters
    yield from lightgbm.basic._ConfigAliases._get_all_param_aliases()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_configuration_of_its_presets_can_be_fitted(preset: str) -> None:
    """Names map one to one, and nothing warns: warnings are errors in this suite."""
    name, rng = preset.split("/")[0], np.random.default_rng(0)
    space = load_preset(preset)
    check_params(get_family(name), space.names)
    for task in get_family(name).tasks:
        for params in [space.defaults(), *(space.sample(rng) for _ in range(8))]:
            quick = {**params, "n_estimators": 4} if "n_estimators" in params else params
            x, y = problem(task)
            model = make_model(name, quick, task, 0)
            fit_estimator(model, x, y, len(np.unique(y)) if task != REGRESSION else 0)
            assert np.isfinite(model.predict(x)).all()


def test_a_preset_of_another_model_is_answered_with_its_own() -> None:
    with pytest.raises(ConfigError, match=r"'gradient_boosting' does not take .*'colsample") as caught:
        check_params(get_family("gradient_boosting"), ["max_depth", "colsample_bytree"])
    assert caught.value.remedy.endswith('Its own space: preset = "default"')


ESTIMATORS = {
    "random_forest": RandomForestClassifier,
    "extra_trees": ExtraTreesClassifier,
    "gradient_boosting": GradientBoostingClassifier,
    "logistic_regression": LogisticRegression,
    "ridge": RidgeClassifier,
    "lasso": Lasso,
    "linear_svm": LinearSVC,
    "naive_bayes": ComplementNB,
    "sgd": SGDClassifier,
    "k_nearest_neighbors": KNeighborsClassifier,
    "lightgbm": lightgbm.LGBMClassifier,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_defaults_of_the_presets_are_those_of_the_libraries(name: str) -> None:
    theirs = ESTIMATORS[name]().get_params()
    defaults = load_preset(f"{name}/aggressive").defaults()
    for parameter, ours in defaults.items():
        if (name, parameter) == ("naive_bayes", "variant"):
            continue  # ours: scikit-learn has a class for each
        if name == "lightgbm" and parameter not in theirs:
            given: dict[str, Any] = {parameter: ours}
            text = fitted("lightgbm", BINARY, **given).booster_.model_to_string()
            assert text == fitted("lightgbm", BINARY).booster_.model_to_string(), parameter
        elif (name, parameter) in NEARLY:
            assert theirs[parameter] == NEARLY[name, parameter]
        else:
            assert ours == theirs[parameter], parameter


NEARLY = {
    ("random_forest", "max_samples"): None,  # all rows are what 1.0 draws
    ("lightgbm", "reg_alpha"): 0.0,  # a log scale has no 0; its lower end does nothing measurable
    ("lightgbm", "reg_lambda"): 0.0,
}


def test_the_names_that_families_take_are_real() -> None:
    for name in ESTIMATORS.keys() - {"lightgbm"}:
        ours = MODELS[name].params - {"variant", "epochs"}  # of our own
        assert ours <= set(inspect.signature(ESTIMATORS[name]).parameters), name
    assert MODELS["lightgbm"].params <= set(_names_of_lightgbm())
    known = set(inspect.signature(xgboost.XGBModel.__init__).parameters)
    dart = {"sample_type", "normalize_type", "rate_drop", "one_drop", "skip_drop"}
    linear = {"feature_selector", "top_k", "updater"}
    assert MODELS["xgboost"].params - dart - linear <= known


def test_parameters_that_xgboost_would_swallow_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        make_model("xgboost", {"learnig_rate": 0.1, "depth": 3, "n_jobs": 4}, BINARY, 0)
    message = str(caught.value)
    assert "Unknown parameter 'learnig_rate'. Did you mean 'learning_rate'?" in message
    assert "'depth'" in message
    assert "'n_jobs'" in message, "the factory's own affair"


def test_parameters_reach_the_booster() -> None:
    dart = fitted("xgboost", BINARY, booster="dart", rate_drop=0.3, max_depth=2, reg_lambda=7.0)
    config = dart.get_booster().save_config()
    assert '"rate_drop":"0.3' in config
    assert '"max_depth":"2"' in config
    assert '"lambda":"7"' in config


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_sparse_features_do_as_well(name: str, task: str) -> None:
    """Text is sparse: what is learned from it and predicted for it comes as rows of a compressed matrix."""
    x, y = problem(task)
    rows = scipy.sparse.csr_matrix(x if name != "xgboost" else np.where(x == 0, np.nan, x))
    model = make_model(name, QUICK[name], task, 0)
    n_classes = len(np.unique(y)) if task != REGRESSION else 0
    present = fit_estimator(model, rows, y, n_classes)
    said = predict(model, rows, present, n_classes)
    assert said.labels.shape == y.shape
    assert (said.probabilities is not None) or (said.ranking is not None) or task != BINARY


WITHOUT_PROBABILITIES = [name for name, family in MODELS.items() if not family.probabilities]


@pytest.mark.parametrize("name", WITHOUT_PROBABILITIES)
def test_what_gives_no_probabilities_ranks_two_classes_by_its_decision(name: str) -> None:
    x, y = problem(BINARY)
    model = make_model(name, QUICK[name], BINARY, 0)
    said = predict(model, x, fit_estimator(model, x, y, 2), 2)
    assert said.ranking is not None
    assert said.probabilities is None
    ours = score(get_metric("roc_auc"), y, said, 2)
    assert ours == roc_auc_score(y, model.decision_function(x))  # type: ignore[attr-defined]
    assert ours > 0.7, "the second class is the one that is ranked first"
    for metric in ("log_loss", "brier_score", "roc_auc_ovr"):
        with pytest.raises(UndefinedMetricError, match="gives no probabilities"):
            score(get_metric(metric), y, said, 2)
        with pytest.raises(ConfigError, match=f"{name!r} does not give") as caught:
            check_metric(MODELS[name], metric)
        assert "logistic_regression" in caught.value.remedy
    for metric in ("roc_auc", "average_precision", "f1", "csmf_accuracy"):
        check_metric(MODELS[name], metric)


def test_every_other_classifier_gives_probabilities_in_every_configuration() -> None:
    rng = np.random.default_rng(0)
    for name in MODELS.keys() - {*WITHOUT_PROBABILITIES, "lasso"}:
        for params in (load_preset(f"{name}/aggressive").sample(rng) for _ in range(10)):
            assert hasattr(make_model(name, params, BINARY, 0), "predict_proba"), (name, params)


def test_a_library_that_is_not_installed_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retrain.models.base.find_spec", lambda name: None if name == "lightgbm" else 1)
    make_model("xgboost", {}, BINARY, 0)
    with pytest.raises(ConfigError, match="'lightgbm' needs the package 'lightgbm', which is not") as caught:
        make_model("lightgbm", {}, BINARY, 0)
    assert caught.value.remedy == "pip install 'retrain[lightgbm]'"


def test_a_loaded_lightgbm_is_written_again_as_it_was(tmp_path: Path) -> None:
    lightgbm_file = family_module("lightgbm")
    first = lightgbm_file.save(fitted("lightgbm", MULTICLASS), tmp_path).read_bytes()
    assert lightgbm_file.save(lightgbm_file.load(tmp_path, MULTICLASS), tmp_path).read_bytes() == first


def test_an_unknown_model_gets_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"Unknown model 'random_forrest'\. Did you mean 'random_forest'"):
        make_model("random_forrest", {}, BINARY, 0)


def test_logistic_regression_refuses_numbers_and_says_who_takes_them() -> None:
    with pytest.raises(ConfigError, match="'logistic_regression' cannot learn a regression task") as caught:
        make_model("logistic_regression", {}, REGRESSION, 0)
    assert caught.value.remedy == (
        "What is closest to it: ridge or lasso. Models that can: xgboost, lightgbm, random_forest,"
        " extra_trees, gradient_boosting, ridge, lasso, k_nearest_neighbors"
    )


def test_the_first_epoch_is_that_of_the_library_and_later_ones_have_other_orders(tmp_path: Path) -> None:
    x, y = problem(MULTICLASS)
    once = SGDClassifier(max_iter=1, tol=None, random_state=3).fit(x, y)
    ours = make_model("sgd", {"epochs": 1}, MULTICLASS, 3).fit(x, y)
    np.testing.assert_array_equal(ours.coef_, once.coef_)  # type: ignore[attr-defined]
    same_order = SGDClassifier(random_state=3)
    for _ in range(3):
        same_order.partial_fit(x, y, np.unique(y))
    thrice = make_model("sgd", {"epochs": 3, "class_weight": None}, MULTICLASS, 3).fit(x, y)
    assert (thrice.coef_ != same_order.coef_).any()  # type: ignore[attr-defined]
    again = make_model("sgd", {"epochs": 3}, MULTICLASS, 3).fit(x, y)
    np.testing.assert_array_equal(again.coef_, thrice.coef_)  # type: ignore[attr-defined]
    family_module("sgd").save(thrice, tmp_path)
    stored = family_module("sgd").load(tmp_path, MULTICLASS)
    assert type(stored) is SGDClassifier
    np.testing.assert_array_equal(stored.decision_function(x), thrice.decision_function(x))  # type: ignore[attr-defined]


def test_balanced_weights_are_those_of_a_whole_fit() -> None:
    x, y = problem(MULTICLASS)
    kept = np.r_[np.flatnonzero(y == 0)[:5], np.flatnonzero(y != 0)]
    params: dict[str, Any] = {"class_weight": "balanced", "learning_rate": "constant", "eta0": 0.01}
    ours = make_model("sgd", {**params, "epochs": 1}, MULTICLASS, 0).fit(x[kept], y[kept])
    whole = SGDClassifier(**params, max_iter=1, tol=None, random_state=0).fit(x[kept], y[kept])
    np.testing.assert_allclose(ours.coef_, whole.coef_)  # type: ignore[attr-defined]
    assert ours.class_weight == "balanced"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"epochs": 0}, "whole number of at least 1"),
        ({"epochs": True}, "whole number of at least 1"),
        ({"epochs": 5, "tol": 1e-3}, "tol says nothing beside epochs"),
        ({"epochs": 5, "learning_rate": "adaptive"}, "'adaptive' follows the loss"),
    ],
)
def test_what_epochs_leave_without_effect_is_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_model("sgd", params, BINARY, 0)


def test_class_weights_have_no_meaning_for_a_forest_of_numbers() -> None:
    make_model("random_forest", {"class_weight": None}, REGRESSION, 0)
    with pytest.raises(ConfigError, match="class_weight"):
        make_model("random_forest", {"class_weight": "balanced"}, REGRESSION, 0)


@pytest.mark.parametrize(
    ("params", "l1_ratio", "c"),
    [
        ({"penalty": "l1", "C": 2.0}, 1.0, 2.0),
        ({"penalty": "l2", "C": 2.0}, 0.0, 2.0),
        ({"penalty": "elasticnet", "l1_ratio": 0.3}, 0.3, 1.0),
        ({"penalty": "elasticnet"}, 0.5, 1.0),
        ({"penalty": None, "C": 2.0}, 0.0, np.inf),
    ],
)
def test_a_penalty_is_translated_and_fits_without_a_deprecation(
    params: dict[str, Any], l1_ratio: float, c: float
) -> None:
    model = fitted("logistic_regression", MULTICLASS, **params)
    assert (model.l1_ratio, c) == (l1_ratio, model.C)


def test_an_unknown_penalty_is_refused() -> None:
    with pytest.raises(ConfigError, match="`penalty` must be one of"):
        make_model("logistic_regression", {"penalty": "l3"}, BINARY, 0)


def test_a_fit_that_did_not_converge_is_told_apart_and_does_not_warn() -> None:
    assert not converged(fitted("logistic_regression", BINARY, max_iter=1))
    assert converged(fitted("logistic_regression", BINARY, solver="lbfgs", max_iter=1000))
    assert converged(fitted("random_forest", BINARY))


# ---- model files


def test_a_damaged_or_missing_model_file_is_one_sentence(tmp_path: Path) -> None:
    path = dump(fitted("random_forest", BINARY), tmp_path / "model.skops")
    trusted = ["sklearn.tree._tree.Tree"]
    read(path, trusted)
    path.write_bytes(path.read_bytes()[:-100])
    for damaged in (path, tmp_path / "none.skops"):
        with pytest.raises(StorageError, match="cannot be read"):
            read(damaged, trusted)


def test_a_model_file_with_another_type_is_not_built(tmp_path: Path) -> None:
    path = dump(fitted("random_forest", BINARY), tmp_path / "model.skops")
    with pytest.raises(StorageError, match="is not trusted"):
        read(path)


@pytest.mark.parametrize("appetite", APPETITES)
def test_the_first_row_of_a_regression_is_the_default_of_the_regressor(appetite: str, tmp_path: Path) -> None:
    """A forest that regresses sees every feature at each split by default, one that classifies their root."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    for metric, estimator in (("rmse", RandomForestRegressor), ("accuracy", RandomForestClassifier)):
        rest = f'[space]\npreset = "random_forest/{appetite}"\n'
        config = tabular(tmp_path, rest=rest, metric=metric)
        theirs = estimator().get_params()["max_features"]
        assert config.search_space().defaults()["max_features"] == theirs
    chosen = '[space.params]\nmax_features = { type = "categorical", choices = ["sqrt", 1.0] }\n'
    own = tabular(tmp_path, rest=chosen, metric="rmse")
    assert own.search_space().defaults() == {"max_features": "sqrt"}, "a user's own parameter stands"
    fixed = tabular(tmp_path, metric="rmse", fixed={"max_features": "log2"})
    assert "max_features" not in fixed.search_space().defaults()
