"""What a model family refuses, known before a fit: values that go neither together nor with the data.

The rules are ours to state, since the libraries find out in the middle of a fit, or say nothing and leave a
parameter without effect. They import no library.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from retrain.metrics import MULTICLASS, REGRESSION
from tuner.experiment import Params

__all__ = ["Facts", "faults_of"]


_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the data, and of how a model is fitted.

    Attributes:
        task: "binary", "multiclass" or "regression".
        n_rows: the fewest that a fold learns from; None where it is not known.
        n_features: columns after their preparation; None where it is not known.
        stops_early: whether the number of rounds is found by early stopping.
    """

    task: str
    n_rows: int | None = None
    n_features: int | None = None
    stops_early: bool = False


def faults_of(family: str, params: Params, facts: Facts) -> list[str]:
    """Why a model cannot be fitted so, one sentence for each fault; empty where it can.

    Args:
        family: a name of `retrain.models.MODELS`.
        params: its hyperparameters, without those that stand at the default of the library.
        facts: what they have to suit.
    """
    rules = _RULES.get(family, ())
    return [fault for rule in (_within_64_bits, *rules) for fault in rule(params, facts)]


Rule = Callable[[Params, Facts], Iterator[str]]


def _within_one(*names: str, zero: bool = False) -> Rule:
    """Shares and probabilities, as floats; a whole number may count what a float is a share of."""

    def rule(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001 - one signature for all rules
        for name in names:
            value = params.get(name)
            if isinstance(value, float) and not ((zero and value == 0) or 0 < value <= 1):
                yield f"{name} = {value:g} must be {'in [0, 1]' if zero else 'above 0, and at most 1'}"

    return rule


def _within_64_bits(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001 - one signature for all
    for name, value in params.items():
        if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
            yield f"{name} = {value} is larger than any whole number that a model takes"


def _solver_takes_penalty(params: Params, facts: Facts) -> Iterator[str]:
    """The table of solvers in scikit-learn's own page on LogisticRegression, from 1.8 on."""
    solver, penalty = params.get("solver", "lbfgs"), params.get("penalty", "as l1_ratio says")
    named: Mapping[Any, float] = {"l1": 1.0, "l2": 0.0, "elasticnet": 0.5}
    l1_ratio = params.get("l1_ratio", named.get(penalty, 0.0))
    l1_ratio = named[penalty] if penalty in ("l1", "l2") else 0.0 if penalty is None else l1_ratio
    if l1_ratio and solver not in ("saga", "liblinear"):
        yield f"solver = {solver!r} has the L2 penalty alone (l1_ratio = 0); an L1 part needs 'saga'"
    if solver == "liblinear" and (l1_ratio not in (0, 1) or penalty == "elasticnet"):
        yield "solver = 'liblinear' takes l1_ratio = 0 or 1; what lies between needs 'saga'"
    if solver == "liblinear" and penalty is None:
        yield "solver = 'liblinear' cannot do without a penalty: choose another solver"
    if solver == "liblinear" and facts.task == MULTICLASS:
        yield "solver = 'liblinear' takes two classes, but there are more: choose another solver"
    if params.get("dual") and (solver != "liblinear" or l1_ratio):
        yield "dual = true is there for solver = 'liblinear' with the L2 penalty alone"


def _no_more_features_than_there_are(params: Params, facts: Facts) -> Iterator[str]:
    wanted = params.get("max_features")
    if facts.n_features is None or isinstance(wanted, bool) or not isinstance(wanted, int):
        return
    if wanted > facts.n_features:
        yield (
            f"max_features = {wanted} must not be above the {facts.n_features} features that there are"
            " (as a fraction, such as 0.5, it is a share of them)"
        )


def _samples_need_bootstrap(default: bool) -> Rule:
    def rule(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001 - one signature for all rules
        if params.get("max_samples") is not None and not params.get("bootstrap", default):
            yield "max_samples needs bootstrap = true"

    return rule


def _classes_are_there_to_be_weighted(params: Params, facts: Facts) -> Iterator[str]:
    if facts.task == REGRESSION and params.get("class_weight") is not None:
        yield "class_weight has no meaning for a regression"


def _criterion_suits_task(params: Params, facts: Facts) -> Iterator[str]:
    criterion, of_classes = params.get("criterion"), ("gini", "entropy", "log_loss")
    if criterion is not None and (criterion in of_classes) is (facts.task == REGRESSION):
        yield f"criterion = {criterion!r} is one of {'classes' if criterion in of_classes else 'numbers'}"


def _loss_suits_task(params: Params, facts: Facts) -> Iterator[str]:
    loss = params.get("loss")
    if loss in ("log_loss", "exponential") and facts.task == REGRESSION:
        yield f"loss = {loss!r} is one of classes"
    if loss in ("squared_error", "absolute_error", "huber", "quantile") and facts.task != REGRESSION:
        yield f"loss = {loss!r} is one of numbers"
    if loss == "exponential" and facts.task == MULTICLASS:
        yield "loss = 'exponential' takes two classes, but there are more"


def _rows_are_drawn(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001
    if params.get("subsample", 1.0) != 1.0 and not params.get("subsample_freq", 0):
        yield "subsample says nothing while subsample_freq is 0, its default: set it to 1, say"


def _dart_does_not_stop(params: Params, facts: Facts) -> Iterator[str]:
    if facts.stops_early and params.get("boosting_type") == "dart":
        yield "boosting_type = 'dart' cannot stop early: it changes the trees that it has"


def _hinge_has_its_penalty(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001
    loss, l1 = params.get("loss", "squared_hinge"), params.get("penalty") == "l1"
    if l1 and loss == "hinge":
        yield "loss = 'hinge' has the L2 penalty alone"
    if l1 and params.get("dual") is True:
        yield "penalty = 'l1' needs dual = false"
    if loss == "hinge" and params.get("dual") is False:
        yield "loss = 'hinge' needs dual = true"


def _norm_is_of_the_complement(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001
    if "norm" in params and params.get("variant", "multinomial") != "complement":
        yield "norm is there for variant = 'complement' alone"


def _positive_has_its_solver(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001
    solver = params.get("solver", "auto")
    if params.get("positive") and solver not in ("auto", "lbfgs"):
        yield f"positive = true needs solver = 'lbfgs' or 'auto', not {solver!r}"
    if solver == "lbfgs" and not params.get("positive"):
        yield "solver = 'lbfgs' is there for positive = true alone"


def _epochs_are_all_that_ends_it(params: Params, facts: Facts) -> Iterator[str]:  # noqa: ARG001
    epochs = params.get("epochs")
    if epochs is None:
        return
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        yield f"epochs must be a whole number of at least 1, but is {epochs!r}"
    for name in ("max_iter", "tol", "n_iter_no_change"):
        if name in params:
            yield f"{name} says nothing beside epochs, which alone say how long it learns"
    if params.get("learning_rate") == "adaptive":
        yield "learning_rate = 'adaptive' follows the loss over many epochs, and says nothing beside epochs"


def _enough_neighbors(params: Params, facts: Facts) -> Iterator[str]:
    wanted = params.get("n_neighbors", 5)
    if facts.n_rows is not None and isinstance(wanted, int) and wanted > facts.n_rows:
        yield f"n_neighbors = {wanted} must not be above the {facts.n_rows} rows that a fold learns from"


_RULES: Mapping[str, tuple[Rule, ...]] = {
    "xgboost": (
        _within_one("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode", zero=True),
        _within_one("rate_drop", "skip_drop", zero=True),
    ),
    "lightgbm": (
        _within_one("subsample", "colsample_bytree", "feature_fraction_bynode"),
        _within_one("drop_rate", "skip_drop", zero=True),
        _rows_are_drawn,
        _dart_does_not_stop,
        _classes_are_there_to_be_weighted,
    ),
    "random_forest": (
        _within_one("max_features"),
        _no_more_features_than_there_are,
        _samples_need_bootstrap(True),
        _criterion_suits_task,
        _classes_are_there_to_be_weighted,
    ),
    "extra_trees": (
        _within_one("max_features"),
        _no_more_features_than_there_are,
        _samples_need_bootstrap(False),
        _criterion_suits_task,
        _classes_are_there_to_be_weighted,
    ),
    "gradient_boosting": (
        _within_one("max_features", "subsample"),
        _no_more_features_than_there_are,
        _loss_suits_task,
    ),
    "logistic_regression": (_solver_takes_penalty,),
    "ridge": (_positive_has_its_solver, _classes_are_there_to_be_weighted),
    "linear_svm": (_hinge_has_its_penalty,),
    "naive_bayes": (_norm_is_of_the_complement,),
    "sgd": (_epochs_are_all_that_ends_it,),
    "k_nearest_neighbors": (_enough_neighbors,),
}
