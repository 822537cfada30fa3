"""Rules of the models: what a space may propose that they refuse is found before anything runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain.models import MODELS, Facts, faults_of, make_model
from retrain.models.trial import refusal
from retrain.pipelines import load_pipeline
from tests.retrain.projects import mixed_frame, tabular
from tuner.errors import ConfigError
from tuner.presets import PRESETS, load_preset

L1_RATIO = "l1_ratio = { type = 'float', low = 0.0, high = 1.0 }\n"


def look(folder: Path, params: str = "", **pipeline: Any) -> None:
    mixed_frame().to_csv(folder / "data.csv", index=False)
    rest = f"[space.params]\n{params}" if params else ""
    made: Any = load_pipeline(tabular(folder, rest=rest, drop=["site", "day"], **pipeline))
    made.load()


@pytest.mark.parametrize(
    ("model", "params", "fixed", "said"),
    [
        ("logistic_regression", L1_RATIO, {}, "solver = 'lbfgs' has the L2 penalty alone"),
        ("logistic_regression", L1_RATIO, {"solver": "liblinear"}, "'liblinear' takes l1_ratio = 0 or 1"),
        (
            "logistic_regression",
            "penalty = ['l2', 'l1']\nsolver = ['saga', 'sag']\n",
            {},
            "solver = 'sag' has the L2 penalty alone",
        ),
        ("logistic_regression", "", {"dual": True}, "dual = true is there for solver = 'liblinear'"),
        ("random_forest", "max_features = { type = 'int', low = 1, high = 7 }\n", {}, "the 6 features that"),
        ("extra_trees", "", {"max_features": 9}, "max_features = 9 must not be above the 6 features"),
        ("extra_trees", "", {"max_samples": 0.5, "bootstrap": False}, "max_samples needs bootstrap = true"),
        ("random_forest", "criterion = ['gini', 'squared_error']\n", {}, "'squared_error' is one of numbers"),
        ("gradient_boosting", "", {"loss": "squared_error"}, "loss = 'squared_error' is one of numbers"),
        ("lightgbm", "subsample = { type = 'float', low = 0.5, high = 1.0 }\n", {}, "subsample says nothing"),
        ("ridge", "", {"solver": "sag", "positive": True}, "positive = true needs solver = 'lbfgs'"),
        ("linear_svm", "penalty = ['l1', 'l2']\nloss = ['hinge', 'squared_hinge']\n", {}, "L2 penalty alone"),
        ("naive_bayes", "norm = [true, false]\n", {}, "norm is there for variant = 'complement' alone"),
        (
            "random_forest",
            "",
            {"max_depth": "deep"},
            "'max_depth' parameter of RandomForestClassifier must be",
        ),
        ("random_forest", "", {"max_depth": 10**23}, "larger than any whole number that a model takes"),
        ("extra_trees", "", {"min_samples_leaf": -1}, "'min_samples_leaf' parameter of ExtraTreesClassifier"),
        ("naive_bayes", "", {"variant": "other"}, "`variant` must be one of"),
        ("xgboost", "", {"max_leaves": "many"}, "format for max_leaves expect int"),
        ("xgboost", "", {"subsample": 2.0}, "subsample = 2 must be in [0, 1]"),
        (
            "xgboost",
            "colsample_bytree = { type = 'float', low = 0.4, high = 1.3, default = 1.0 }\n",
            {},
            "colsample_bytree = 1.3 must be in [0, 1]",
        ),
        ("lightgbm", "", {"max_bin": 3.5}, 'Parameter max_bin should be of type int, got "3.5"'),
        (
            "k_nearest_neighbors",
            "n_neighbors = { type = 'int', low = 1, high = 80 }\n",
            {},
            "n_neighbors = 80 must not be above the 76 rows that a fold learns from",
        ),
    ],
)
def test_a_space_of_which_a_model_cannot_be_fitted_is_refused(
    model: str, params: str, fixed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        look(tmp_path, params, model=model, fixed=fixed)
    assert said in str(caught.value)
    assert "forbid" in caught.value.remedy


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("random_forest", "max_features = { type = 'int', low = 1, high = 6 }\n"),
        ("random_forest", "max_features = { type = 'float', low = 0.1, high = 1.0 }\n"),
        ("logistic_regression", "solver = ['saga']\n" + L1_RATIO),
        ("k_nearest_neighbors", "n_neighbors = { type = 'int', low = 1, high = 76 }\n"),
        ("xgboost", "subsample = { type = 'float', low = 0.0, high = 1.0 }\n"),
        ("gradient_boosting", "max_features = { type = 'int', low = 2, high = 6 }\n"),
    ],
)
def test_what_lies_just_within_is_taken(model: str, params: str, tmp_path: Path) -> None:
    look(tmp_path, params, model=model)


def test_a_fixed_value_that_needs_another_is_looked_at_with_it(tmp_path: Path) -> None:
    """LightGBM's random forest needs a part of the rows, which the space has."""
    space = "subsample = { type = 'float', low = 0.5, high = 0.9 }\n"
    look(tmp_path, space, model="lightgbm", fixed={"boosting_type": "rf", "subsample_freq": 1})


def test_a_fixed_value_of_one_model_among_several_is_looked_at(tmp_path: Path) -> None:
    models = ["ridge", "random_forest"]
    look(tmp_path, model=models, metric="accuracy", fixed={"random_forest_max_depth": 3})
    with pytest.raises(ConfigError, match=r"'random_forest' cannot be fitted .* Got 'deep' instead"):
        look(tmp_path, model=models, metric="accuracy", fixed={"random_forest_max_depth": "deep"})


def test_a_constraint_or_condition_mends_it(tmp_path: Path) -> None:
    both = "penalty = ['l1', 'l2']\nloss = ['hinge', 'squared_hinge']\n"
    forbid = "[[space.constraints]]\nforbid = { penalty = 'l1', loss = 'hinge' }\n"
    look(tmp_path, both + forbid, model="linear_svm")
    when = "when = { solver = ['saga'] }"
    ratio = "l1_ratio = { type = 'float', low = 0.0, high = 1.0, " + when + " }\n"
    look(tmp_path, "solver = ['lbfgs', 'saga']\n" + ratio, model="logistic_regression")


def test_a_rule_of_one_model_among_several_is_found(tmp_path: Path) -> None:
    params = "random_forest_max_features = { type = 'int', low = 1, high = 50 }\n"
    with pytest.raises(ConfigError, match="'random_forest' cannot be fitted with every configuration"):
        look(tmp_path, params, model=["ridge", "random_forest"], metric="accuracy")


def test_dart_of_lightgbm_cannot_stop_early(tmp_path: Path) -> None:
    given: dict[str, Any] = {"model": "lightgbm", "fixed": {"boosting_type": "dart"}}
    look(tmp_path, **given)
    with pytest.raises(ConfigError, match="'dart' cannot stop early"):
        look(tmp_path, **given, early_stopping_rounds=5)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_keep_the_rules(preset: str) -> None:
    name, space, rng = preset.split("/")[0], load_preset(preset), np.random.default_rng(0)
    for task in MODELS[name].tasks:
        for params in [space.defaults(), *(space.sample(rng) for _ in range(100))]:
            assert faults_of(name, params, Facts(task, n_rows=60, n_features=2)) == []


@pytest.mark.parametrize(
    ("model", "names", "beside"),
    [
        ("xgboost", "subsample colsample_bytree colsample_bylevel colsample_bynode", {}),
        ("xgboost", "rate_drop skip_drop", {"booster": "dart"}),
        ("lightgbm", "subsample colsample_bytree feature_fraction_bynode", {"subsample_freq": 1}),
        ("lightgbm", "drop_rate skip_drop", {"boosting_type": "dart"}),
        ("gradient_boosting", "subsample max_features", {}),
        ("random_forest", "max_features", {}),
        ("extra_trees", "max_features", {}),
    ],
)
def test_what_is_said_of_shares_is_what_the_libraries_say(
    model: str, names: str, beside: dict[str, Any]
) -> None:
    for name in names.split():
        for value in (-0.1, 0.0, 0.5, 1.0, 1.1):
            params = {**beside, name: value}
            ours = faults_of(model, params, Facts("binary"))
            assert bool(ours) is (refusal(model, params, "binary") is not None), (name, value)


def test_a_model_is_not_made_against_its_rules() -> None:
    with pytest.raises(ConfigError, match="'logistic_regression' cannot be fitted so: solver = 'lbfgs'"):
        make_model("logistic_regression", {"l1_ratio": 0.5}, "binary", 0)


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ({"max_depth": "deep"}, "'max_depth' must be a whole number, but is 'deep'"),
        ({"max_depth": 2.5}, "'max_depth' must be a whole number, but is 2.5"),
        ({"gamma": True}, "'gamma' must be a number, but is True"),
    ],
)
def test_a_fixed_value_of_another_type_than_its_preset_is_refused(
    fixed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    config = tabular(tmp_path, model="xgboost", fixed=fixed)
    with pytest.raises(ConfigError, match=said):
        config.search_space()
    beyond = tabular(tmp_path, model="xgboost", fixed={"n_estimators": 5000, "gamma": 1})
    assert "gamma" not in beyond.search_space().names, "a preset's bounds are those of the search"
