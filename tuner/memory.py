"""What earlier studies taught, read in the terms of another space: the data of a warm start."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tuner.errors import UsageError
from tuner.experiment import Direction, Observation, Params, Value
from tuner.generators.history import History, Result
from tuner.given import insist, listed
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace, config_key

__all__ = ["Carried", "Earlier", "carried"]

_A_SPACE = 'Such as SearchSpace.of({"x": (0.0, 1.0)}).'
_SUCH_AS = 'Such as [Observation({"x": 0.5}, value=0.25)].'
_BEYOND = 0.5
_MOVED = 0.05
_MOST = 100


@dataclass(frozen=True)
class Earlier:
    """An earlier study, as a generator takes it for a warm start.

    Attributes:
        space: the space it searched.
        direction: whether smaller or larger values were better there.
        observations: what it observed; those that failed have `value=None`. Their order does not matter.
        name: what suggestions that come from it call it.
        ids: public ids of the observations, one each, where there are any.

    Raises:
        UsageError: as many ids as observations are needed, or none; or there is no such direction,
            `space` is no SearchSpace, or `observations` are none.
    """

    space: SearchSpace
    direction: Direction | str
    observations: Sequence[Observation]
    name: str
    ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        insist("The space of an earlier study must be a SearchSpace", SearchSpace, self.space, _A_SPACE)
        rule = "The observations of an earlier study must be a list of Observations"
        object.__setattr__(self, "observations", listed(rule, Observation, self.observations, _SUCH_AS))
        object.__setattr__(self, "ids", tuple(self.ids))
        if self.direction not in (known := [each.value for each in Direction]):
            raise UsageError(
                f"The direction of the earlier study {self.name!r} must be one of {', '.join(known)}, but"
                f" got {self.direction!r}.",
            )
        object.__setattr__(self, "direction", Direction(self.direction))
        if self.ids and len(self.ids) != len(self.observations):
            raise UsageError(
                f"An earlier study needs an id for each observation, or none: {self.name!r} has "
                f"{len(self.observations)} observations and {len(self.ids)} ids."
            )


@dataclass(frozen=True)
class Carried:
    """An earlier study as the present space sees it; the order is that of its configurations' keys.

    Attributes:
        name: of the earlier study.
        owners: which of the present parameters each column of `x` belongs to; those that both spaces have.
        columns: the places of those columns in the present encoding.
        x: (n, k), the observations in these columns; up to half a range outside of the unit cube.
        results: (n,), what became of them.
        configs: the present configuration that each stands for; None where there is none close to it.
        ids: of the observations; "" where not known.
    """

    name: str
    owners: tuple[int, ...]
    columns: tuple[int, ...]
    x: "np.ndarray"
    results: tuple[Result, ...]
    configs: tuple[Params | None, ...]
    ids: tuple[str, ...]

    @property
    def n_known(self) -> int:
        """How many of the losses are known."""
        return sum(result.loss is not None for result in self.results)


class _Place(NamedTuple):
    """Where a configuration stands in the shared columns, and the present one close to it, if any."""

    codes: list[float]
    config: Params | None


def carried(earlier: Earlier, space: SearchSpace) -> Carried:
    """Read an earlier study's observations in the terms of another space.

    Parameters are matched by name and numbers by value, whatever range or scale they had. What the earlier
    study did not have takes the default of the present space; what only the earlier one had is left out. An
    observation that the present space cannot express (another category, a number further outside of the range
    than half of it) is left out as well; repeats are merged into their mean. Of many observations a hundred
    are kept: the best, and as many spread over the rest.

    Raises:
        UsageError: the two spaces have no parameter in common, or none of the observations can be expressed.
    """
    shared = [param for param in space.params.values() if _is_shared(param, earlier.space)]
    if not shared:
        raise UsageError(
            f"The earlier study {earlier.name!r} has no parameter in common with this one.",
            f"It has: {', '.join(earlier.space.names)}. This one has: {', '.join(space.names)}.",
        )
    results = _merged(earlier)
    placed = [(result, _placed(result.params, shared, space), name) for result, name in results]
    kept = [(result, place, name) for result, place, name in placed if place is not None]
    if results and not kept:
        raise UsageError(
            f"No configuration of the earlier study {earlier.name!r} can be expressed in this space: their "
            "common parameters have other choices, or ranges far apart.",
            "Leave this study out of the warm start.",
        )
    places = [(space.names.index(param.name), space.columns[param.name]) for param in shared]
    return Carried(
        name=earlier.name,
        owners=tuple(i for i, columns in places for _ in range(columns.start, columns.stop)),
        columns=tuple(j for _, columns in places for j in range(columns.start, columns.stop)),
        x=np.array([place.codes for _, place, _ in kept]),
        results=tuple(result for result, _, _ in kept),
        configs=tuple(place.config for _, place, _ in kept),
        ids=tuple(name for _, _, name in kept),
    )


def _is_shared(param: Param, space: SearchSpace) -> bool:
    """Whether the earlier space has it, as the same kind of thing, and it is free in the present one."""
    other = space.params.get(param.name)
    is_category = isinstance(param, CategoricalParam)
    return other is not None and param.n_values != 1 and isinstance(other, CategoricalParam) is is_category


def _merged(earlier: Earlier) -> list[tuple[Result, str]]:
    """Each valid configuration once, and the first of its ids; at most `_MOST`, in the order of keys."""
    history = History(earlier.space)
    history.tell(earlier.observations, ())
    results = history.results(Direction(earlier.direction))
    if len(results) > _MOST:
        order = np.argsort([math.inf if each.loss is None else each.loss for each in results], kind="stable")
        even = np.linspace(_MOST // 2, len(results) - 1, _MOST - _MOST // 2).round().astype(int)
        results = [results[i] for i in sorted({*order[: _MOST // 2].tolist(), *order[even].tolist()})]
    ids: dict[str, list[str]] = {config_key(each.params): [] for each in results}
    for observation, name in zip(earlier.observations, earlier.ids, strict=False):  # there may be none
        ids.get(config_key(observation.params), []).append(name)
    return [(each, min(ids[config_key(each.params)], default="")) for each in results]


def _placed(params: Params, shared: Sequence[Param], space: SearchSpace) -> _Place | None:
    """Where an earlier configuration stands in the present space; None where that cannot express it."""
    given = {param.name: params[param.name] for param in shared if param.name in params}
    full = space.active({name: given.get(name, param.default) for name, param in space.params.items()})
    codes = _codes(full, shared)
    if codes is None:
        return None
    nearest = space.repair(full)
    reached = _codes(nearest, shared)
    assert reached is not None  # a valid configuration has its place
    is_close = all(abs(a - b) <= _MOVED for a, b in zip(codes, reached, strict=True))
    return _Place(codes, nearest if is_close else None)


def _codes(config: Params, shared: Sequence[Param]) -> list[float] | None:
    """The shared columns of a configuration; None where a value lies too far beside its range."""
    codes: list[float] = []
    for param in shared:
        value = config.get(param.name, param.default)
        if isinstance(param, CategoricalParam):
            if param.check(value)[1]:
                return None
            codes += param.encode([value])[0].tolist()
            continue
        at = _position(param, value)
        if at is None or not -_BEYOND <= at <= 1 + _BEYOND:
            return None
        codes.append(at)
    return codes


def _position(param: FloatParam | IntParam, value: Value) -> float | None:
    """Where a number stands between the bounds, 0 and 1, or beside them; None off a log scale."""
    assert isinstance(value, int | float)
    low, high, at = float(param.low), float(param.high), float(value)
    if param.log:
        if at <= 0:
            return None
        low, high, at = math.log(low), math.log(high), math.log(at)
    # No ratio is taken before the logarithm, which may be 0. Bounds may be so close that nothing is between.
    return (at - low) / (high - low) if low < high else 0.0 if at == low else None
