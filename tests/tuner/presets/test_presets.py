"""Presets: each loads, is valid throughout, and holds only what its library takes without a warning."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tuner.spaces import is_valid
from tuner import presets
from tuner.errors import SpaceError
from tuner.presets import APPETITES, EPOCHS, FEATURES, PRESETS, load_preset
from tuner.space import CategoricalParam, SearchSpace

NOT_MODELS = (*FEATURES, *EPOCHS)

MODELS = (
    "extra_trees",
    "gradient_boosting",
    "k_nearest_neighbors",
    "lasso",
    "lightgbm",
    "linear_svm",
    "logistic_regression",
    "naive_bayes",
    "random_forest",
    "ridge",
    "sgd",
    "xgboost",
)


def samples(name: str, n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    space = load_preset(name)
    return [space.defaults(), *(space.sample(rng) for _ in range(n))]


def test_every_model_has_every_appetite() -> None:
    assert tuple(f"{model}/{appetite}" for model in MODELS for appetite in APPETITES) == PRESETS
    folder = Path(presets.__file__).parent
    assert len(list(folder.glob("*/*.toml"))) == len(PRESETS) + len(NOT_MODELS) * len(APPETITES)


@pytest.mark.parametrize("name", [*PRESETS, *(f"{each}/{a}" for each in NOT_MODELS for a in APPETITES)])
def test_defaults_and_samples_are_valid(name: str) -> None:
    space = load_preset(name)
    assert all(is_valid(space, config) for config in samples(name, 100))
    assert SearchSpace.from_dict(space.to_dict()) == space


@pytest.mark.parametrize("model", [*MODELS, *NOT_MODELS])
def test_a_larger_appetite_contains_the_smaller(model: str) -> None:
    few, some, many = (load_preset(f"{model}/{appetite}") for appetite in APPETITES)
    assert len(few) < len(some) < len(many)
    for smaller, larger in ((few, some), (some, many)):
        for name, param in smaller.params.items():
            wider = larger.params[name]
            assert param.default == wider.default
            if isinstance(param, CategoricalParam):
                assert isinstance(wider, CategoricalParam)
                assert set(map(repr, param.choices)) <= set(map(repr, wider.choices))
            else:
                assert not isinstance(wider, CategoricalParam)
                assert wider.low <= param.low
                assert param.high <= wider.high


def test_an_unknown_preset_is_named_with_the_closest() -> None:
    with pytest.raises(SpaceError) as caught:
        load_preset("xgboost/agressive")
    assert str(caught.value) == "Unknown preset 'xgboost/agressive'. Did you mean 'xgboost/aggressive'?"
    with pytest.raises(SpaceError):
        load_preset("../presets/xgboost/default")


# ---- against the libraries: three classes, four columns, 60 rows; numbers of trees cut, since only names and
# values are judged here. Any warning fails, as everywhere in these tests.

STREAM = np.random.default_rng(1)
X = STREAM.normal(size=(60, 4))
CLASSES = np.arange(60) % 3
TARGET = X @ np.array([1.0, -2.0, 0.5, 0.0])


@pytest.mark.parametrize("appetite", APPETITES)
def test_scikit_learn_takes_every_logistic_regression(appetite: str) -> None:
    from sklearn.linear_model import LogisticRegression

    for config in samples(f"logistic_regression/{appetite}", 25):
        # A large tolerance lets every solver converge; the preset's own is within the library's range.
        assert 0 < config.get("tol", 1e-4) <= 1e-2
        assert config.get("max_iter", 100) >= 50
        LogisticRegression(**{**config, "tol": 10.0, "max_iter": 1000, "C": min(config["C"], 1.0)}).fit(
            X, CLASSES
        )


@pytest.mark.parametrize("appetite", APPETITES)
def test_scikit_learn_takes_every_random_forest(appetite: str) -> None:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    for config in samples(f"random_forest/{appetite}", 15):
        few = {**config, "n_estimators": 3, "random_state": 0}
        RandomForestClassifier(**few).fit(X, CLASSES)
        RandomForestRegressor(**few).fit(X, TARGET)


@pytest.mark.parametrize("appetite", APPETITES)
def test_xgboost_takes_every_configuration(appetite: str, capfd: pytest.CaptureFixture[str]) -> None:
    from xgboost import XGBClassifier, XGBRegressor

    for config in samples(f"xgboost/{appetite}", 15):
        few = {**config, "n_estimators": 3, "n_jobs": 1, "verbosity": 1}
        XGBClassifier(**few).fit(X, CLASSES)
        XGBRegressor(**few).fit(X, TARGET)
    assert "WARNING" not in capfd.readouterr().err  # it prints unused parameters there
