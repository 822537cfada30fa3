"""What a model family must say about itself, and what its estimators can do."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, Self

from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Params

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Model", "ModelFamily", "check_installed", "check_params", "without_class_weight"]


class Model(Protocol):
    """An estimator in scikit-learn's manner. Classifiers take class codes 0..k-1.

    They have `predict_proba`; those of a family without probabilities at least `decision_function`.
    """

    def fit(self, X: "np.ndarray", y: "np.ndarray") -> Self:  # noqa: N803 - the name all estimators use
        """Learn from X (n, p) and y (n,)."""

    def predict(self, X: "np.ndarray") -> "np.ndarray":  # noqa: N803
        """Return (n,) class codes or values."""


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """A model family.

    Attributes:
        name: what users write.
        tasks: the kinds of problem it can learn.
        params: the hyperparameters it takes.
        library: the distribution that implements it; its version is part of a score's provenance.
        extra: the extra of this project that brings the library, where it does not come along anyway.
        takes_missing: whether it learns from missing numbers; where not, they are imputed.
        needs_scaling: whether its numbers must be brought to one scale.
        needs_shares: whether none of its numbers may be negative: they are brought to [0, 1].
        probabilities: whether every configuration gives probabilities. Where not, metrics that need them are
            refused before a run; for two classes, `roc_auc` and its like rank by the decision function.
        instead: for a task that it cannot learn, what is closest to it.
        default_rounds: of a family that can stop early, its `n_estimators` where none is given; else None.
        learns_in_rounds: whether its file can look into a fit after each round (`fit_rounds`).
        learns_in_epochs: whether its file can learn by passes over the rows (`fit_epochs`).
        regression_defaults: defaults of its library that a regressor has and a classifier has not.
    """

    name: str
    tasks: tuple[str, ...]
    params: frozenset[str]
    library: str = "scikit-learn"
    extra: str = ""
    takes_missing: bool = False
    needs_scaling: bool = False
    needs_shares: bool = False
    probabilities: bool = True
    instead: str = ""
    default_rounds: int | None = None
    learns_in_rounds: bool = False
    learns_in_epochs: bool = False
    regression_defaults: Params = field(default_factory=dict)

    @property
    def preparation(self) -> tuple[bool, bool, bool]:
        """What decides how features are prepared: families that agree in it can share them."""
        return self.takes_missing, self.needs_scaling, self.needs_shares


def check_params(family: ModelFamily, names: Iterable[str]) -> None:
    """Refuse hyperparameters that the family does not take.

    Raises:
        ConfigError: names every unknown one and the closest that exists.
    """
    unknown = [name for name in names if name not in family.params]
    if unknown:
        faults = " ".join(
            f"Unknown parameter {name!r}.{did_you_mean(name, family.params)}" for name in unknown
        )
        raise ConfigError(
            f"The model {family.name!r} does not take what it was given: {faults}",
            f'{family.name} takes: {", ".join(sorted(family.params))}. Its own space: preset = "default"',
        )


def check_installed(family: ModelFamily) -> None:
    """Refuse a family whose library is not there. Imports nothing.

    Raises:
        ConfigError: names the package, and what installs it.
    """
    if family.extra and find_spec(family.library) is None:
        raise ConfigError(
            f"The model {family.name!r} needs the package {family.library!r}, which is not installed.",
            f"pip install 'retrain[{family.extra}]'",
        )


def without_class_weight(params: Params) -> Params:
    """What a regressor is given of what a classifier takes: here the rules have let only None through."""
    return {name: value for name, value in params.items() if name != "class_weight"}
