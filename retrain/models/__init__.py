"""The model families, one file each, behind one factory. The table is data: reading it imports no library."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType, ModuleType

from retrain.metrics import BINARY, METRICS, MULTICLASS, REGRESSION
from retrain.models.base import Model, ModelFamily, check_installed, check_params
from retrain.models.choice import MODEL, Choice
from retrain.models.rules import Facts, faults_of
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Params

__all__ = [
    "MODEL",
    "MODELS",
    "Choice",
    "Facts",
    "Model",
    "ModelFamily",
    "check_installed",
    "check_metric",
    "check_params",
    "check_task",
    "choice_of",
    "family_module",
    "faults_of",
    "get_family",
    "make_model",
]

_XGBOOST_PARAMS = """
    booster n_estimators learning_rate max_depth max_leaves max_bin grow_policy tree_method gamma
    min_child_weight max_delta_step subsample sampling_method colsample_bytree colsample_bylevel
    colsample_bynode reg_alpha reg_lambda scale_pos_weight base_score num_parallel_tree sample_type
    normalize_type rate_drop one_drop skip_drop feature_selector top_k updater
"""
_LIGHTGBM_PARAMS = """
    boosting_type n_estimators learning_rate num_leaves max_depth min_child_samples min_child_weight
    min_split_gain subsample subsample_freq colsample_bytree feature_fraction_bynode reg_alpha reg_lambda
    max_bin max_delta_step path_smooth extra_trees linear_tree class_weight scale_pos_weight drop_rate
    max_drop skip_drop uniform_drop xgboost_dart_mode top_rate other_rate
"""
_FOREST_PARAMS = """
    n_estimators criterion max_depth min_samples_split min_samples_leaf min_weight_fraction_leaf max_features
    max_leaf_nodes min_impurity_decrease bootstrap max_samples ccp_alpha class_weight
"""
_BOOSTING_PARAMS = """
    loss learning_rate n_estimators subsample max_depth min_samples_split min_samples_leaf
    min_weight_fraction_leaf max_features max_leaf_nodes min_impurity_decrease ccp_alpha
"""
_LOGISTIC_PARAMS = "C penalty l1_ratio solver max_iter tol class_weight fit_intercept intercept_scaling dual"
_RIDGE_PARAMS = "alpha solver max_iter tol class_weight fit_intercept positive"
_LASSO_PARAMS = "alpha max_iter tol selection fit_intercept positive"
_SVM_PARAMS = "C penalty loss dual max_iter tol class_weight fit_intercept intercept_scaling"
_SGD_PARAMS = """
    loss penalty alpha l1_ratio learning_rate eta0 power_t average epsilon shuffle max_iter tol
    n_iter_no_change class_weight fit_intercept epochs
"""

_CLASSES = (BINARY, MULTICLASS)
_ALL = (*_CLASSES, REGRESSION)


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FAMILIES = (
    ModelFamily(
        "xgboost",
        _ALL,
        _named(_XGBOOST_PARAMS),
        library="xgboost",
        takes_missing=True,
        default_rounds=100,
        learns_in_rounds=True,
    ),
    ModelFamily(
        "lightgbm",
        _ALL,
        _named(_LIGHTGBM_PARAMS),
        library="lightgbm",
        extra="lightgbm",
        takes_missing=True,
        default_rounds=100,
        learns_in_rounds=True,
    ),
    ModelFamily("random_forest", _ALL, _named(_FOREST_PARAMS), regression_defaults={"max_features": 1.0}),
    ModelFamily("extra_trees", _ALL, _named(_FOREST_PARAMS), regression_defaults={"max_features": 1.0}),
    ModelFamily("gradient_boosting", _ALL, _named(_BOOSTING_PARAMS), learns_in_rounds=True),
    ModelFamily(
        "logistic_regression",
        _CLASSES,
        _named(_LOGISTIC_PARAMS),
        needs_scaling=True,
        instead="ridge or lasso",
    ),
    ModelFamily("ridge", _ALL, _named(_RIDGE_PARAMS), needs_scaling=True, probabilities=False),
    ModelFamily(
        "lasso",
        (REGRESSION,),
        _named(_LASSO_PARAMS),
        needs_scaling=True,
        instead="logistic_regression with solver = 'saga' and l1_ratio = 1",
    ),
    ModelFamily("linear_svm", _CLASSES, _named(_SVM_PARAMS), needs_scaling=True, probabilities=False),
    ModelFamily(
        "naive_bayes",
        _CLASSES,
        _named("variant alpha fit_prior norm"),
        needs_shares=True,
        learns_in_epochs=True,
    ),
    ModelFamily(
        "sgd",
        _CLASSES,
        _named(_SGD_PARAMS),
        needs_scaling=True,
        probabilities=False,
        learns_in_epochs=True,
    ),
    ModelFamily("k_nearest_neighbors", _ALL, _named("n_neighbors weights metric p"), needs_scaling=True),
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
    """Import the file of a model family: `build`, `save`, `load`, and what else it can.

    `fit_stopping` where it stops early; `fit_rounds`, `fit_epochs` where it can be looked at after each.

    Raises:
        ConfigError: there is no such family, or its library is not installed.
    """
    family = get_family(name)
    check_installed(family)
    return import_module(f"retrain.models.{family.name}")


def choice_of(names: Iterable[str]) -> Choice:
    """Return the families of these names, the first of which is the default.

    Raises:
        ConfigError: one is unknown.
    """
    return Choice(tuple(map(get_family, names)))


def check_task(family: ModelFamily, task: str) -> None:
    """Refuse a task that the family cannot learn.

    Raises:
        ConfigError: names the families that can.
    """
    if task not in family.tasks:
        able = ", ".join(other for other, its in MODELS.items() if task in its.tasks)
        closest = f"What is closest to it: {family.instead}. " if family.instead else ""
        raise ConfigError(
            f"The model {family.name!r} cannot learn a {task} task.", f"{closest}Models that can: {able}"
        )


def check_metric(family: ModelFamily, metric: str) -> None:
    """Refuse a metric that needs probabilities of a family that does not give them.

    Raises:
        ConfigError: names the families that do.
    """
    if family.probabilities or metric not in METRICS or not METRICS[metric].needs_probabilities:
        return
    able = ", ".join(other.name for other in MODELS.values() if other.probabilities and BINARY in other.tasks)
    raise ConfigError(
        f"The metric {metric!r} needs probabilities, which the model {family.name!r} does not give.",
        f"Models that do: {able}. Of two classes, roc_auc and average_precision ask for none.",
    )


def make_model(name: str, params: Params, task: str, seed: int) -> Model:
    """Build an unfitted estimator that works on one core.

    Args:
        name: a name of `MODELS`.
        params: its hyperparameters by their own names.
        task: "binary", "multiclass" or "regression".
        seed: any integer >= 0; the same seed and data give the same model.

    Raises:
        ConfigError: unknown model or hyperparameter, values that do not go together, a task that it cannot
            learn, or a library that is not installed.
    """
    family = get_family(name)
    check_task(family, task)
    check_params(family, params)
    faults = faults_of(name, params, Facts(task))
    if faults:
        raise ConfigError(
            f"The model {name!r} cannot be fitted so: {'; '.join(faults)}.", "Change one of these parameters."
        )
    model: Model = family_module(name).build(params, task, seed)
    return model
