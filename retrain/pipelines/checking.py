"""Whether the models can be fitted with whatever a space may propose: found out before anything runs."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from retrain.models import Choice, Facts, ModelFamily, faults_of
from tuner.errors import ConfigError
from tuner.experiment import Params, Value
from tuner.space import CategoricalParam, SearchSpace

__all__ = ["check_rules"]

_DRAWS = 256


def check_rules(
    choice: Choice,
    space: SearchSpace,
    given: Callable[[Params], Params],
    facts: Facts,
    n_features: Callable[[ModelFamily], int | None],
) -> None:
    """Refuse a space of which a configuration breaks a rule of its model.

    The default, both ends of every number and 256 draws are looked at. What slips through fails as an
    experiment of its own, with the same sentence.

    Args:
        choice: the models.
        space: what may be proposed.
        given: the hyperparameters of the models in a configuration, fixed ones included.
        facts: what is known of the data, but for the number of features.
        n_features: that of a family, where it is known; asked only where a rule hangs on it.

    Raises:
        ConfigError: says which rule, and what in the space to change.
    """
    for params in _some_of(space):
        family, own = choice.chosen(given(params))
        known = facts
        if isinstance(own.get("max_features"), int):
            known = replace(facts, n_features=n_features(family))
        faults = faults_of(family.name, own, known)
        if faults:
            raise ConfigError(
                f"The model {family.name!r} cannot be fitted with every configuration of this space:"
                f" {'; '.join(faults)}.",
                "Change the range or the fixed value, forbid the combination ([[space.constraints]] with"
                " forbid), or bind one parameter to the other (when).",
            )


def _some_of(space: SearchSpace) -> Iterator[dict[str, Value]]:
    rng = np.random.default_rng(0)
    yield space.defaults()
    for name, param in space.params.items():
        if not isinstance(param, CategoricalParam):
            for end in (param.low, param.high):
                yield space.repair({**_active(space, name), name: end})
    for _ in range(_DRAWS):
        yield space.sample(rng)


def _active(space: SearchSpace, name: str) -> dict[str, Value]:
    """Values of the parents of a parameter, and of theirs, with which it is in use."""
    wanted: dict[str, Value] = {}
    for parent, values in (space.params[name].when or {}).items():
        wanted |= {**_active(space, parent), parent: values[0]}
    return wanted
