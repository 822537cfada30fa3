"""Whether the data and whatever a space may propose can be used at all: found out before anything runs."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import get_metric
from retrain.models import Choice, Facts, ModelFamily, faults_of
from retrain.models.trial import refusal
from retrain.pipelines.artifact import make_preprocessing
from retrain.splits import Rows, Split
from tuner.errors import ConfigError, DataError
from tuner.experiment import Params, Value
from tuner.space import CategoricalParam, SearchSpace

if TYPE_CHECKING:
    from retrain.data import Table

__all__ = ["check_classes", "check_defined", "check_names", "check_rules", "fewest_features"]

_DRAWS = 256


def check_defined(metrics: Sequence[str], tasks: Sequence[str]) -> None:
    """Refuse metrics of objectives and limits that have no value for the data.

    Args:
        metrics: their names.
        tasks: what the data are, and what else is scored on them.

    Raises:
        DataError: names the first.
    """
    for name in metrics:
        if not {*tasks} & {*get_metric(name).tasks}:
            raise DataError(
                f"The metric {name!r} of an objective or limit must be defined for the data, but"
                f" these are of a {tasks[0]} task.",
                "Name another metric in [[objective]] or [[limit]].",
            )


def check_classes(rows: Rows, classes: Sequence[Any], metrics: Sequence[str], folds: int) -> None:
    """Refuse rows to train on that are all of one class, or lack one in a fold, whatever the seed.

    Args:
        rows: those to train on.
        classes: of the whole table, by code.
        metrics: what each fold is scored by.
        folds: of one cross-validation.

    Raises:
        DataError: names the class.
    """
    if rows.n_classes and len(np.unique(rows.y)) < 2:
        raise DataError(
            f"The rows to train on must hold at least two classes, but all are {classes[rows.y[0]]!r}.",
            "The split by group or time leaves the others to the holdout: use another one.",
        )
    strict = [name for name in metrics if get_metric(name).every_class] if rows.n_classes else []
    of_what = "rows" if rows.groups is None else "groups"
    for code, name in enumerate(classes if strict else ()):
        of_class = rows.y == code
        n = int(of_class.sum()) if rows.groups is None else len(np.unique(rows.groups[of_class]))
        if n < folds:
            raise DataError(
                f"The metric {strict[0]!r} needs every class in each of {folds} folds, but {name!r} is in"
                f" {n} of the {of_what} to train on.",
                "Use fewer folds ([splits] folds), more rows of that class, or another metric.",
            )


def check_names(choice: Choice, names: Collection[str], steps: str) -> None:
    """Refuse hyperparameters that no model takes, and epochs as steps where one is not told how many.

    Args:
        choice: the models.
        names: the hyperparameters of models that are searched or fixed.
        steps: what experiments report after; with "epochs" all models can learn in these.

    Raises:
        ConfigError: names the parameter that is unknown, or lacking.
    """
    choice.check(names)
    for family in choice.families if steps == "epochs" else ():
        needed = "epochs" if len(choice.families) == 1 else f"{family.name}_epochs"
        if "epochs" in family.params and needed not in names:
            raise ConfigError(
                f"steps = 'epochs' needs a number of epochs for {family.name!r}, but {needed!r} is neither"
                " searched nor fixed.",
                f'Give one: [pipeline] fixed = {{ {needed} = 27 }}, or [space] preset = "default", whose'
                " space has it.",
            )


def check_rules(
    choice: Choice,
    space: SearchSpace,
    given: Callable[[Params], Params],
    facts: Facts,
    n_features: Callable[[ModelFamily], int | None],
    *,
    ask_library: bool = False,
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
        ask_library: have the library of each model look at one configuration, too: some values are of no
            space that would have checked them.

    Raises:
        ConfigError: says which rule, and what in the space to change.
    """
    counted: dict[tuple[bool, ...], int | None] = {}
    asked = set[str]()
    for params in _some_of(space):
        family, own = choice.chosen(given(params))
        known = facts
        if isinstance(own.get("max_features"), int):
            if family.preparation not in counted:
                counted[family.preparation] = n_features(family)
            known = replace(facts, n_features=counted[family.preparation])
        faults = faults_of(family.name, own, known)
        if ask_library and not faults and family.name not in asked:
            asked.add(family.name)
            faults = [said] if (said := refusal(family.name, own, facts.task)) else []
        if faults:
            raise ConfigError(
                f"The model {family.name!r} cannot be fitted with every configuration of this space:"
                f" {'; '.join(faults)}.",
                "Change the range or the fixed value, forbid the combination ([[space.constraints]] with"
                " forbid), or bind one parameter to the other (when).",
            )


def fewest_features(family: ModelFamily, table: "Table", folds: Sequence[Split]) -> int:
    """How many features a fold has at least, once those of a table are prepared for a family."""
    prepared = (
        make_preprocessing(family.name, table.columns).fit(table.features[learned]) for learned, _ in folds
    )
    return min(int(each.transform(table.features[:1]).shape[1]) for each in prepared)


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
