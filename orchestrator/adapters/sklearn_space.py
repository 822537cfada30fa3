"""Spaces as scikit-learn's searches take them: lists of any objects, distributions, several dictionaries."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import isfinite
from typing import Any

import numpy as np

from tuner.errors import SpaceError
from tuner.experiment import Params, Value
from tuner.space import CategoricalParam, IntParam, Param, SearchSpace
from tuner.space.foreign import scipy, skopt
from tuner.space.foreign.mixed import params_of
from tuner.space.values import brief, is_number, plain, typed

__all__ = ["EstimatorSpace", "read_space"]

_SELECTOR = "which::dictionary"
"""The parameter that chooses among several dictionaries."""

_NO_VALUE = object()
"""Of no parameter, and fit for a set, as what an estimator holds need not be."""

_N_LISTED = 1000
"""How long a range may be that is searched as a list."""

_N_DRAWN = 100
"""How many values stand for a distribution that can only be drawn from."""


@dataclass(frozen=True)
class _Entry:
    """One parameter of an estimator that is searched in its own values."""

    param: Param

    def outward(self, value: Value) -> Any:
        """What the estimator is given for a value of `param`."""
        return value

    def inward(self, value: Any) -> Any:
        """The value of `param` that stands for what an estimator has; anything else where there is none."""
        scalar = plain(value)
        return scalar if scalar is None or isinstance(scalar, str | int | float) else _NO_VALUE

    def place(self, value: Value) -> int:  # noqa: ARG002 - there is no list
        """Where a value of `param` stands in the user's list; 0 where there is none."""
        return 0

    def alike(self, other: "_Entry") -> bool:
        """Whether both mean the same, their names aside, and under no condition."""
        same = type(self) is type(other) and self.param == replace(other.param, name=self.param.name)
        return same and self.param.when is None


@dataclass(frozen=True)
class _Listed(_Entry):
    """One that takes any of a few objects: `param` holds indices of `order`, and that places in `objects`."""

    objects: tuple[Any, ...]
    order: tuple[int, ...]

    def outward(self, value: Value) -> Any:
        return self.objects[self.place(value)]

    def inward(self, value: Any) -> Any:
        return next((i for i, at in enumerate(self.order) if _same(self.objects[at], value)), None)

    def place(self, value: Value) -> int:
        assert isinstance(value, int)
        return self.order[value]

    def alike(self, other: _Entry) -> bool:
        return (
            super().alike(other)
            and isinstance(other, _Listed)
            and all(_same(one, two) for one, two in zip(self.objects, other.objects, strict=True))
        )


class EstimatorSpace:
    """A SearchSpace, and what its configurations mean to an estimator.

    Args:
        space: where to search.
        dictionaries: for each of the user's dictionaries the entries by the estimator's name of them. With
            more than one, `_SELECTOR` is a parameter of the space and holds the index of the one in use.
    """

    def __init__(self, space: SearchSpace, dictionaries: Sequence[Mapping[str, _Entry]]) -> None:
        self.space = space
        self._dictionaries = dictionaries

    def params_of(self, config: Params) -> dict[str, Any]:
        """What `set_params` of the estimator takes for a configuration."""
        return {
            name: entry.outward(config[entry.param.name])
            for name, entry in self._dictionaries[self._which(config)].items()
            if entry.param.name in config
        }

    def whole(self, most: int) -> list[Params] | None:
        """Every configuration, in the order of scikit-learn's ParameterGrid; None where there are more."""
        size = self.space.size()
        return sorted(self.space.enumerate(), key=self._place) if size is not None and size <= most else None

    def _place(self, config: Params) -> tuple[int, ...]:
        which = self._which(config)
        entries = (entry for _, entry in sorted(self._dictionaries[which].items()))
        return which, *(
            entry.place(config[entry.param.name]) for entry in entries if entry.param.name in config
        )

    def _which(self, config: Params) -> int:
        """The index of the dictionary that a configuration belongs to."""
        which = config.get(_SELECTOR, 0)
        assert isinstance(which, int)
        return which

    def config_of(self, params: Mapping[str, Any], *, whole: bool) -> Params | None:
        """The configuration that stands for an estimator's parameters; None where the space has none.

        Args:
            params: by the estimator's names.
            whole: whether `params` must be what `params_of` gives; else it may hold more.
        """
        for which, entries in enumerate(self._dictionaries):
            config = {
                entry.param.name: entry.inward(params[name])
                for name, entry in entries.items()
                if name in params
            }
            if _SELECTOR in self.space.params:
                config[_SELECTOR] = which
            config = self.space.active(config)
            if self.space.contains(config) and not (whole and len(self.params_of(config)) < len(params)):
                return self.space.validate(config)
        return None


def read_space(given: Any, rng: np.random.RandomState) -> EstimatorSpace:
    """Read a space in any of its forms.

    Args:
        given: a SearchSpace; its document; a dictionary of the parameters' names with lists, distributions
            (scipy's, or anything with `rvs`) or tables such as {"type": "int", "low": 1, "high": 9}; or a
            list of such dictionaries, of which each candidate takes one.
        rng: draws from those distributions that have no quantiles.

    Raises:
        SpaceError: it is none of these; says which part.
    """
    if isinstance(given, Mapping) and _is_document(given):
        given = SearchSpace.of(given)
    if isinstance(given, SearchSpace):
        return EstimatorSpace(given, [{name: _Entry(param) for name, param in given.params.items()}])
    dictionaries = [given] if isinstance(given, Mapping) else given
    if (
        not isinstance(dictionaries, list | tuple)
        or not dictionaries
        or not all(isinstance(one, Mapping) for one in dictionaries)
    ):
        raise SpaceError(
            "A space must be a dictionary of parameters, a list of such dictionaries or a SearchSpace, "
            f"but got {brief(given)}.",
            'Write it as {"C": loguniform(0.01, 100), "kernel": ["rbf", "linear"]}.',
        )
    return _of_dictionaries(dictionaries, rng)


def _is_document(given: Mapping[Any, Any]) -> bool:
    """Whether it is the document of a SearchSpace, and no dictionary of a parameter called "params"."""
    params = given.get("params")
    if isinstance(params, list | tuple):
        tables = bool(params) and all(isinstance(one, Mapping) and "type" in one for one in params)
    else:
        tables = isinstance(params, Mapping) and all(isinstance(one, Mapping) for one in params.values())
    return tables and set(given) <= {"params", "constraints"}


def _of_dictionaries(given: Sequence[Mapping[str, Any]], rng: np.random.RandomState) -> EstimatorSpace:
    """What several dictionaries say of a parameter in the same words is one parameter, learned as one."""
    users: dict[str, list[int]] = {}
    entries: dict[str, _Entry] = {}
    named: list[dict[str, str]] = []
    for which, dictionary in enumerate(given):
        named.append({})
        for name, values in dictionary.items():
            inner = _place(entries, name, values, rng)
            users.setdefault(inner, []).append(which)
            named[-1][name] = inner
    selected = len(given) > 1 or not entries
    for inner, users_of_it in users.items():
        when = _translated(entries[inner].param.when or {}, named[users_of_it[0]], entries)
        when |= {_SELECTOR: users_of_it} if selected else {}
        entries[inner] = replace(entries[inner], param=replace(entries[inner].param, when=when))
    selector = [CategoricalParam(_SELECTOR, list(range(len(given))))] if selected else []
    space = SearchSpace([*selector, *(entry.param for entry in entries.values())])
    return EstimatorSpace(space, [{name: entries[n] for name, n in names.items()} for names in named])


def _translated(
    when: Mapping[str, Sequence[Any]], named: Mapping[str, str], entries: Mapping[str, _Entry]
) -> dict[str, list[Any]]:
    """A condition in the names and values of the space, as far as these are known."""
    found = {}
    for name, values in when.items():
        inner = named.get(name, name)
        inward = [entries[inner].inward(value) if inner in entries else None for value in values]
        found[inner] = [value if at is None else at for at, value in zip(inward, values, strict=True)]
    return found


def _place(entries: dict[str, _Entry], name: Any, values: Any, rng: np.random.RandomState) -> str:
    """Add what is said of a parameter, unless the same is there; return its name in the space."""
    if not isinstance(name, str):
        raise SpaceError(
            f"The name of a parameter must be a string, but got {brief(name)}.", "Write it in quotes."
        )
    # Not all of an estimator's names may stand in a space.
    first = name if re.fullmatch(r"[^\W\d][\w.\-:/]*", name) else "p:" + re.sub(r"[^\w.\-:/]", "_", name)
    entry = _entry(first, values, rng)
    inner = next(
        inner
        for inner in (first if n == 1 else f"{first}:{n}" for n in count(1))
        if inner != _SELECTOR and (inner not in entries or entries[inner].alike(entry))
    )
    entries.setdefault(inner, replace(entry, param=replace(entry.param, name=inner)))
    return inner


def _entry(name: str, given: Any, rng: np.random.RandomState) -> _Entry:
    """What one of the user's dictionaries says of a parameter: what scikit-learn takes in its own meaning."""
    if _is_list(given) and not (isinstance(given, range) and given[_N_LISTED:]):
        return _of_list(name, given)
    if hasattr(given, "rvs") and not scipy.recognises(given) and not skopt.recognises(given):
        return _of_list(name, [given.rvs(random_state=rng) for _ in range(_N_DRAWN)])
    params = params_of({name: given})
    if [param.name for param in params] != [name]:
        raise SpaceError(
            f"{name!r} must be one parameter, but got {brief(given)}.",
            "Name those of a step as the estimator does, such as step__parameter.",
        )
    return _Entry(params[0])


def _is_list(given: Any) -> bool:
    """Whether it is choices, as a tuple is in scikit-learn, but for a range with the prior of skopt's."""
    if isinstance(given, tuple) and len(given) > 2 and all(is_number(plain(end)) for end in given[:2]):
        return given[2] not in ("uniform", "log-uniform") if isinstance(given[2], str) else True
    return not isinstance(given, str | bytes | Mapping) and all(
        hasattr(given, needed) for needed in ("__len__", "__getitem__")
    )


def _of_list(name: str, values: Sequence[Any]) -> _Entry:
    """A list of numbers is known by their ranks, so that what lies between two good ones looks good."""
    objects = _distinct(list(values))
    if not objects:
        raise SpaceError(
            f"{name!r} must have at least one value, but the list is empty.", "Name one, or leave it out."
        )
    places = range(len(objects))
    if len(objects) > 1 and all(is_number(plain(one)) and isfinite(one) for one in objects):
        ranked = sorted(places, key=objects.__getitem__)
        return _Listed(IntParam(name, 0, len(objects) - 1), tuple(objects), tuple(ranked))
    return _Listed(CategoricalParam(name, list(places)), tuple(objects), tuple(places))


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Each value once; objects that are no plain values are told apart by their identity."""
    found: dict[Any, Any] = {}
    for value in values:
        scalar = plain(value)
        plainly = scalar is None or isinstance(scalar, str | int | float)
        found.setdefault(typed(scalar) if plainly else id(value), value)
    return list(found.values())


def _same(one: Any, other: Any) -> bool:
    """Whether two values mean the same to an estimator: 1 and 1.0 do, 1 and True do not.

    So do two estimators of one class with the same parameters, which are not equal to Python.
    """
    if one is other:
        return True
    one, other = plain(one), plain(other)
    if not (is_number(one) and is_number(other)) and type(one) is not type(other):
        return False
    if hasattr(one, "get_params") and not isinstance(one, type):
        ours, theirs = one.get_params(deep=False), other.get_params(deep=False)
        return ours.keys() == theirs.keys() and all(_same(ours[name], theirs[name]) for name in ours)
    try:
        return bool(one == other)
    except ValueError:  # arrays
        return False
