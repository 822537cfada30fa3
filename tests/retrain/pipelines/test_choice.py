"""A choice among models: one conditional space, scored, fitted, stored and deployed as a single model is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain.config import Config
from retrain.models import MODELS, choice_of
from retrain.models.choice import joined
from retrain.pipelines import load_pipeline
from retrain.pipelines.tabular import TabularPipeline
from tests.retrain.projects import mixed_frame, tabular
from tuner.errors import ConfigError, ParamsError
from tuner.presets import APPETITES, load_preset
from tuner.space import SearchSpace

BOTH = ["xgboost", "logistic_regression"]


def config(folder: Path, model: Any = BOTH, rest: str = "", **pipeline: Any) -> Config:
    mixed_frame().to_csv(folder / "data.csv", index=False)
    return tabular(folder, model=model, rest=rest, drop=["site", "day"], **pipeline)


def bound(folder: Path, model: Any = BOTH, rest: str = "", **pipeline: Any) -> TabularPipeline:
    made = load_pipeline(config(folder, model, rest, **pipeline))
    assert isinstance(made, TabularPipeline)
    made.use(made.load())
    return made


def silent(*_: object) -> None:
    pass


def test_the_space_is_that_of_every_model_under_the_condition_that_it_is_chosen(tmp_path: Path) -> None:
    space = config(tmp_path).search_space()
    singles = {name: load_preset(f"{name}/default") for name in BOTH}
    expected = ["model", *(f"{name}_{param}" for name in BOTH for param in singles[name].names)]
    assert list(space.names) == expected
    assert space.defaults() == {
        "model": "xgboost",
        **{f"xgboost_{name}": value for name, value in singles["xgboost"].defaults().items()},
    }
    rng = np.random.default_rng(0)
    for params in (space.sample(rng) for _ in range(100)):
        family, own = choice_of(BOTH).chosen(params)
        assert family.name == params["model"]
        assert singles[family.name].validate(own) == own, "a configuration of the model's own space"
        assert len(own) == len(params) - 1, "and nothing of another model"


def test_a_condition_within_a_model_is_kept(tmp_path: Path) -> None:
    space = config(tmp_path).search_space()
    assert space.params["logistic_regression_l1_ratio"].when == {
        "model": ("logistic_regression",),
        "logistic_regression_solver": ("saga",),
    }


@pytest.mark.parametrize("appetite", APPETITES)
def test_all_models_of_a_task_make_one_space(appetite: str, tmp_path: Path) -> None:
    """The largest there is: more than 20 conditional parameters, each reached by some draw."""
    for metric, task in (("roc_auc", "binary"), ("rmse", "regression")):
        names = [name for name, family in MODELS.items() if task in family.tasks]
        made = config(tmp_path, names, f'[space]\npreset = "{appetite}"\n', metric=metric)
        space = made.search_space()
        assert len(space) == 1 + sum(len(load_preset(f"{name}/{appetite}")) for name in names) > 20
        rng = np.random.default_rng(0)
        assert {name for _ in range(1000) for name in space.sample(rng)} == set(space.names)


def test_constraints_of_presets_are_renamed() -> None:
    tables = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("a", "b")}
    kinds = {"kind": {"type": "categorical", "choices": ["x", "y"]}}
    params, constraints = joined(
        {
            "ridge": (tables, [{"sum": ["a", "b"], "equals": 1.0}]),
            "lasso": (tables, [{"increasing": ["a", "b"]}]),
            "sgd": ({**tables, **kinds}, [{"forbid": {"kind": ["x"], "b": [0.0]}}]),
        }
    )
    assert constraints == [
        {"sum": ["ridge_a", "ridge_b"], "equals": 1.0},
        {"increasing": ["lasso_a", "lasso_b"]},
        {"forbid": {"sgd_kind": ["x"], "sgd_b": [0.0]}},
    ]
    space = SearchSpace.from_dict({"params": params, "constraints": constraints})
    rng = np.random.default_rng(0)
    drawn = [values for values in (space.sample(rng) for _ in range(60)) if values["model"] == "ridge"]
    assert drawn
    for values in drawn:
        assert float(values["ridge_a"] or 0) + float(values["ridge_b"] or 0) == pytest.approx(1.0)


def test_each_model_scores_as_it_does_alone(tmp_path: Path) -> None:
    several = bound(tmp_path, rest='[space]\npreset = "conservative"\n')
    for name in BOTH:
        own = load_preset(f"{name}/conservative").defaults()
        params = {"model": name, **{f"{name}_{key}": value for key, value in own.items()}}
        (tmp_path / name).mkdir()
        alone = bound(tmp_path / name, name, '[space]\npreset = "conservative"\n')
        one, other = several.evaluate(params, silent, 3), alone.evaluate(own, silent, 3)
        assert (one.value, one.std_error) == (other.value, other.std_error)
        ours, theirs = several.fit(params, 3), alone.fit(own, 3)
        assert several.test(ours).metrics == alone.test(theirs).metrics
        assert several.fit_rule(ours) == alone.fit_rule(theirs)
        folder = tmp_path / name / "model"
        folder.mkdir()
        several.save(ours, folder)
        rows = several.sample_rows(5)
        assert several.predict_rows(several.load_model(folder), rows) == alone.predict_rows(theirs, rows)


def test_scores_are_those_of_the_choice(tmp_path: Path) -> None:
    """An experiment of xgboost alone was scored with another space of models in mind: it is another study."""
    assert bound(tmp_path).provenance().code.startswith("xgboost or logistic_regression; retrain ")
    assert "xgboost 3" in bound(tmp_path).provenance().code
    assert config(tmp_path).name == "models-data"
    assert config(tmp_path, ["ridge"]).pipeline.model == "ridge", "a list of one is that one"


def test_early_stopping_is_of_the_models_that_can(tmp_path: Path) -> None:
    several = bound(tmp_path, early_stopping_rounds=3)
    defaults = several.space.defaults()
    xgb = several.evaluate(defaults, silent, 0)
    assert "best_iteration" in xgb.metrics
    logistic = several.space.complete({"model": "logistic_regression"})
    assert "best_iteration" not in several.evaluate(logistic, silent, 0).metrics
    assert "early_stopping" in several.fit_rule(several.fit(defaults, 0))
    assert "early_stopping" not in several.fit_rule(several.fit(logistic, 0))
    with pytest.raises(ConfigError, match=r"early_stopping_rounds.*no meaning for model = 'ridge', 'sgd'"):
        config(tmp_path, ["ridge", "sgd"], early_stopping_rounds=3)


def test_defaults_of_regressors_are_those_of_each_model(tmp_path: Path) -> None:
    both = ["xgboost", "random_forest", "extra_trees"]
    space = config(tmp_path, both, metric="rmse").search_space()
    assert space.params["random_forest_max_features"].default == 1.0
    assert space.params["extra_trees_max_features"].default == 1.0
    space = config(tmp_path, both).search_space()
    assert space.params["random_forest_max_features"].default == "sqrt"


def test_what_is_fixed_is_fixed_for_its_model(tmp_path: Path) -> None:
    made = bound(tmp_path, fixed={"xgboost_n_estimators": 4, "logistic_regression_C": 0.5})
    assert not {"xgboost_n_estimators", "logistic_regression_C"} & set(made.space.names)
    model = made.fit(made.space.defaults(), 0)
    assert model.estimator.n_estimators == 4
    model = made.fit(made.space.complete({"model": "logistic_regression"}), 0)
    assert model.estimator.C == 0.5
    chosen = bound(tmp_path, fixed={"model": "logistic_regression"})
    assert chosen.space.names == tuple(
        f"logistic_regression_{name}" for name in load_preset("logistic_regression/default").names
    )
    assert chosen.fit(chosen.space.defaults(), 0).family == "logistic_regression"


def test_own_parameters_belong_to_the_model_that_they_are_named_after(tmp_path: Path) -> None:
    rest = (
        "[space]\npreset = 'conservative'\n[space.params]\n"
        "xgboost_max_depth = { type = 'int', low = 2, high = 3 }\n"
        "logistic_regression_tol = { type = 'float', low = 1e-5, high = 1e-3, log = true }\n"
    )
    space = config(tmp_path, rest=rest).search_space()
    assert space.params["xgboost_max_depth"].when == {"model": ("xgboost",)}
    assert space.params["logistic_regression_tol"].when == {"model": ("logistic_regression",)}
    assert "xgboost_learning_rate" in space.names
    alone = config(tmp_path, rest=rest.replace("preset = 'conservative'", "")).search_space()
    assert alone.names == ("model", "xgboost_max_depth", "logistic_regression_tol")


def test_a_partial_configuration_of_another_model_is_completed_with_its_defaults(tmp_path: Path) -> None:
    space = config(tmp_path).search_space()
    base = space.defaults()
    whole = space.complete({"model": "logistic_regression", "logistic_regression_C": 3.0}, base=base)
    assert whole["logistic_regression_C"] == 3.0
    assert not [name for name in whole if name.startswith("xgboost")]
    with pytest.raises(ParamsError, match="in use only where model is 'xgboost'"):
        space.complete({"model": "logistic_regression", "xgboost_max_depth": 3})


@pytest.mark.parametrize(
    ("model", "rest", "pipeline", "said"),
    [
        (["xgboost", "rigde"], "", {}, "unknown model, 'rigde'. Did you mean 'ridge'?"),
        ([], "", {}, "must name a model, but the list is empty"),
        (["ridge", "ridge"], "", {}, "names 'ridge' twice"),
        (["xgboost", "ridge"], "", {"metric": "log_loss"}, "which the model 'ridge' does not give"),
    ],
)
def test_choices_that_cannot_be_are_refused(
    model: list[str], rest: str, pipeline: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        config(tmp_path, model, rest, **pipeline)


def test_a_preset_of_one_model_is_none_of_several(tmp_path: Path) -> None:
    made = config(tmp_path, rest='[space]\npreset = "xgboost/aggressive"\n')
    with pytest.raises(ConfigError, match="must be one of conservative, default, aggressive") as caught:
        made.search_space()
    assert 'preset = "aggressive"' in caught.value.remedy
    one = config(tmp_path, "ridge", '[space]\npreset = "aggressive"\n').search_space()
    assert one == load_preset("ridge/aggressive"), "of a single model the appetite alone will do"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "max_depth",
            "must begin with its name, but 'max_depth' does not. Did you mean 'xgboost_max_depth'?",
        ),
        ("xgboost_depth", "Unknown parameter 'depth'. Did you mean 'max_depth'?"),
    ],
)
def test_a_parameter_of_no_model_is_named(name: str, said: str, tmp_path: Path) -> None:
    rest = f"[space.params]\n{name} = {{ type = 'int', low = 2, high = 3 }}\n"
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        load_pipeline(config(tmp_path, rest=rest))


def test_a_model_that_cannot_learn_the_task_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'lasso' cannot learn a binary task") as caught:
        bound(tmp_path, ["xgboost", "lasso"])
    assert "logistic_regression with solver = 'saga' and l1_ratio = 1" in caught.value.remedy
    with pytest.raises(ConfigError, match="'logistic_regression' cannot learn a regression task"):
        bound(tmp_path, ["xgboost", "logistic_regression"], metric="rmse")
