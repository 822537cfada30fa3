"""The model families, one file each, behind one factory. The table is data: reading it imports no library."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType, ModuleType

from retrain.metrics import BINARY, MULTICLASS, REGRESSION
from retrain.models.base import Model, ModelFamily, check_params
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Params

__all__ = [
    "MODELS",
    "Model",
    "ModelFamily",
    "check_params",
    "check_task",
    "family_module",
    "get_family",
    "make_model",
]

_XGBOOST_PARAMS = """
    booster n_estimators learning_rate max_depth max_leaves max_bin grow_policy tree_method gamma
    min_child_weight max_delta_step subsample sampling_method colsample_bytree colsample_bylevel
    colsample_bynode reg_alpha reg_lambda scale_pos_weight base_score num_parallel_tree sample_type
    normalize_type rate_drop one_drop skip_drop feature_selector top_k updater
"""
_FOREST_PARAMS = """
    n_estimators criterion max_depth min_samples_split min_samples_leaf min_weight_fraction_leaf max_features
    max_leaf_nodes min_impurity_decrease bootstrap max_samples ccp_alpha class_weight
"""
_LOGISTIC_PARAMS = "C penalty l1_ratio solver max_iter tol class_weight fit_intercept intercept_scaling dual"

_FAMILIES = (
    ModelFamily(
        "xgboost",
        (BINARY, MULTICLASS, REGRESSION),
        frozenset(_XGBOOST_PARAMS.split()),
        library="xgboost",
        takes_missing=True,
        default_rounds=100,
    ),
    ModelFamily(
        "random_forest",
        (BINARY, MULTICLASS, REGRESSION),
        frozenset(_FOREST_PARAMS.split()),
        regression_defaults={"max_features": 1.0},
    ),
    ModelFamily(
        "logistic_regression", (BINARY, MULTICLASS), frozenset(_LOGISTIC_PARAMS.split()), needs_scaling=True
    ),
)

MODELS: Mapping[str, ModelFamily] = MappingProxyType({family.name: family for family in _FAMILIES})
"""Every model family by name. The file `retrain/models/<name>.py` builds its estimators."""


def get_family(name: str) -> ModelFamily:
    """Return the model family of this name.

    Raises:
        ConfigError: there is none; names the closest.
    """
    if name not in MODELS:
        raise ConfigError(
            f"Unknown model {name!r}.{did_you_mean(name, MODELS)}", "Known models: " + ", ".join(MODELS)
        )
    return MODELS[name]


def family_module(name: str) -> ModuleType:
    """Import the file of a model family: `build`, `save`, `load`; `fit_stopping` where it can stop early."""
    return import_module(f"retrain.models.{get_family(name).name}")


def check_task(family: ModelFamily, task: str) -> None:
    """Refuse a task that the family cannot learn.

    Raises:
        ConfigError: names the families that can.
    """
    if task not in family.tasks:
        able = ", ".join(other for other, its in MODELS.items() if task in its.tasks)
        raise ConfigError(
            f"The model {family.name!r} cannot learn a {task} task.", f"Models that can: {able}"
        )


def make_model(name: str, params: Params, task: str, seed: int) -> Model:
    """Build an unfitted estimator that works on one core.

    Args:
        name: a name of `MODELS`.
        params: its hyperparameters by their own names.
        task: "binary", "multiclass" or "regression".
        seed: any integer >= 0; the same seed and data give the same model.

    Raises:
        ConfigError: unknown model or hyperparameter, or a task that it cannot learn.
    """
    family = get_family(name)
    check_task(family, task)
    check_params(family, params)
    model: Model = family_module(name).build(params, task, seed)
    return model
